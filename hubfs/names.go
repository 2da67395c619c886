package hubfs

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"hubfs/internal/lex"
	"hubfs/tree"
)

// MaxName is how many bytes the name of a file may have.
const MaxName = 255

// maxDepth is how many directories may lie one in another, so that no path
// grows without end.
const maxDepth = 16

// taken holds the names at the root that are not free, and whether they are
// there already: the others come with later versions, and no hub of today is
// to be in their way.
var taken = map[string]bool{
	"access": true, "ctl": true, "status": true, "events": true, "shell": true, "stats": true, "metrics": true,
	"remote": true, "pipes": false,
}

// Files of a shell called NAME, at the root.
const (
	sufStdin  = "0"
	sufStdout = "1"
	sufStderr = "2"
	sufNote   = "0.note"
)

// checkName says whether a file may have this name. The error wraps
// tree.ErrInvalid and gives the reason.
func checkName(name string) error {
	bad := func(reason string) error {
		return fmt.Errorf("name %q %s: %w", lex.Clip(name), reason, tree.ErrInvalid)
	}
	switch {
	case name == "":
		return fmt.Errorf("a name may not be empty: %w", tree.ErrInvalid)
	case len(name) > MaxName:
		return fmt.Errorf("name %.16q… has %d bytes, %d may be: %w", name, len(name), MaxName, tree.ErrInvalid)
	case !utf8.ValidString(name):
		return bad("is not UTF-8")
	case name == "." || name == "..":
		return bad("means a directory")
	case strings.Contains(name, "/"):
		return bad("may not hold a slash")
	case strings.Contains(name, "@"):
		return bad("may not hold @, which says where to begin reading")
	case strings.ContainsFunc(name, unicode.IsControl):
		return bad("may not hold control characters")
	}
	return nil
}

// checkRootName is checkName for a file at the root, where the names of the
// tree itself are taken.
func checkRootName(name string) error {
	if there, ok := taken[name]; ok {
		err := tree.ErrInvalid
		if there {
			err = tree.ErrExist
		}
		names := slices.Sorted(maps.Keys(taken))
		return fmt.Errorf("name %q is one of the server's own (%s): %w", name, strings.Join(names, ", "), err)
	}
	return checkName(name)
}

// checkShellName is checkRootName for a shell: all its files must have names
// that may be, and its own must not look like an option.
func checkShellName(name string) error {
	if err := checkRootName(name); err != nil {
		return err
	}
	if strings.HasPrefix(name, "-") {
		return fmt.Errorf("name %q of a shell may not begin with -: %w", name, tree.ErrInvalid)
	}
	return checkName(name + sufNote)
}

// shellFiles returns the names of the files that shell name has at the root.
func shellFiles(name string) [4]string {
	return [...]string{name + sufStdin, name + sufStdout, name + sufStderr, name + sufNote}
}
