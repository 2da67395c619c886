package handles

import (
	"fmt"
	"strconv"
	"strings"

	"hubfs/hub"
	"hubfs/internal/lex"
	"hubfs/tree"
)

// A Place says where in a stream an open begins. The zero value is FromStart.
type Place struct {
	Kind PlaceKind
	Back int64 // of FromBack: bytes before the end
}

// A PlaceKind is a way to say where an open begins.
type PlaceKind int

// The kinds, as names say them.
const (
	FromStart PlaceKind = iota // NAME
	FromEnd                    // NAME@end
	FromBack                   // NAME@-N
	Addressed                  // NAME@
	Times                      // NAME@times, a file besides the stream
)

// SplitPlace takes NAME, NAME@, NAME@end, NAME@-N and NAME@times apart.
func SplitPlace(s string) (name string, at Place, err error) {
	name, pos, ok := strings.Cut(s, "@")
	switch {
	case !ok:
		return name, Place{}, nil
	case pos == "":
		return name, Place{Kind: Addressed}, nil
	case pos == "end":
		return name, Place{Kind: FromEnd}, nil
	case pos == "times":
		return name, Place{Kind: Times}, nil
	}
	if digits, ok := strings.CutPrefix(pos, "-"); ok && digits != "" && strings.Trim(digits, "0123456789") == "" {
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil { // more than can be: all there is
			n = 1<<63 - 1
		}
		return name, Place{Kind: FromBack, Back: n}, nil
	}
	return "", Place{}, fmt.Errorf("place %q of %s: expected @, @end, @-N or @times: %w", "@"+lex.Clip(pos), lex.Clip(name), tree.ErrNotExist)
}

// Start says to package hub where to begin.
func (at Place) Start() hub.Start {
	switch at.Kind {
	case FromEnd:
		return hub.FromEnd
	case FromBack:
		return hub.Back(at.Back)
	case Addressed:
		return hub.Addressed
	}
	return hub.FromOldest
}
