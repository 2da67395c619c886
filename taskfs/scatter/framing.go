package scatter

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

// A Framing says where a record ends. The zero value is behind a newline.
type Framing struct {
	sep    string // "": see the others
	length bool   // four bytes before the record, the highest first, say how long it is
	size   int    // bytes of each record
}

// maxSep is how long a separator may be, and maxSize a record of fixed size.
const (
	maxSep  = 256
	maxSize = 1 << 30
)

// ParseFraming reads sep=X, in which \n, \t, \0, \\ and \xHH are what they are
// in Go; len; or n=BYTES.
func ParseFraming(text string) (Framing, error) {
	bad := func(format string, args ...any) (Framing, error) {
		return Framing{}, fmt.Errorf("%s: expected sep=X with X of 1 to %d bytes, as sep=\\n or sep=\\0, len (four bytes before each record, the highest first), or n=BYTES of 1 to %d",
			fmt.Sprintf(format, args...), maxSep, maxSize)
	}
	switch key, val, _ := strings.Cut(text, "="); {
	case text == "len":
		return Framing{length: true}, nil
	case key == "sep":
		sep, err := unescape(val)
		if err != nil || sep == "" || len(sep) > maxSep {
			return bad("separator %.40q", val)
		}
		return Framing{sep: sep}, nil
	case key == "n":
		n, err := strconv.Atoi(val)
		if err != nil || n < 1 || n > maxSize {
			return bad("size %.40q", val)
		}
		return Framing{size: n}, nil
	}
	return bad("records by %.40q", text)
}

// unescape reads escapes. \0 is a byte of 0 and takes no digits behind it.
func unescape(s string) (string, error) {
	var b strings.Builder
	for s != "" {
		if rest, ok := strings.CutPrefix(s, `\0`); ok {
			b.WriteByte(0)
			s = rest
			continue
		}
		if s[0] != '\\' {
			b.WriteByte(s[0])
			s = s[1:]
			continue
		}
		c, multibyte, rest, err := strconv.UnquoteChar(s, 0)
		if err != nil {
			return "", err
		}
		if multibyte {
			b.WriteRune(c)
		} else {
			b.WriteByte(byte(c))
		}
		s = rest
	}
	return b.String(), nil
}

// String returns the framing as ParseFraming reads it.
func (f Framing) String() string {
	switch {
	case f.length:
		return "len"
	case f.size > 0:
		return "n=" + strconv.Itoa(f.size)
	}
	q := strconv.Quote(f.separator())
	return "sep=" + strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`)
}

func (f Framing) separator() string {
	if f.sep == "" {
		return "\n"
	}
	return f.sep
}

// A splitter finds the ends of records in a stream that comes in pieces.
type splitter struct {
	f    Framing
	in   bool    // some bytes of a record have come
	left int64   // of its bytes, once it is known; sep: of the separator how many are there
	head [4]byte // of the length
	have int     // bytes of head
	fail []int   // of the separator: see matches
}

// next returns how many bytes at the front of p, which is not empty, belong to the
// record at hand, and whether it ends there.
func (s *splitter) next(p []byte) (n int, end bool) {
	first := !s.in
	s.in = true
	switch {
	case s.f.length:
		n, end = s.byLength(p)
	case s.f.size > 0:
		if first {
			s.left = int64(s.f.size)
		}
		n, end = s.count(p)
	default:
		n, end = s.bySeparator(p)
	}
	s.in = !end
	return n, end
}

// cut reports whether the stream, if it ends here, ends within a record whose
// length is known.
func (s *splitter) cut() bool { return s.in && s.f.length }

func (s *splitter) count(p []byte) (int, bool) {
	n := min(int64(len(p)), s.left)
	s.left -= n
	return int(n), s.left == 0
}

func (s *splitter) byLength(p []byte) (int, bool) {
	took := 0
	if s.have < len(s.head) {
		took = copy(s.head[s.have:], p)
		s.have += took
		if s.have < len(s.head) {
			return took, false
		}
		s.left = int64(binary.BigEndian.Uint32(s.head[:]))
	}
	n, end := s.count(p[took:])
	if end {
		s.have = 0
	}
	return took + n, end
}

func (s *splitter) bySeparator(p []byte) (int, bool) {
	sep := s.f.separator()
	if len(sep) == 1 {
		if i := bytes.IndexByte(p, sep[0]); i >= 0 {
			return i + 1, true
		}
		return len(p), false
	}
	if s.fail == nil {
		s.fail = borders(sep)
	}
	k := int(s.left)
	for i, c := range p {
		for k > 0 && sep[k] != c {
			k = s.fail[k-1]
		}
		if sep[k] == c {
			k++
		}
		if k == len(sep) {
			s.left = 0
			return i + 1, true
		}
	}
	s.left = int64(k)
	return len(p), false
}

// borders is how much of each beginning of sep is also its end, so that a separator
// is found whichever pieces it comes in (Knuth, Morris and Pratt).
func borders(sep string) []int {
	fail := make([]int, len(sep))
	k := 0
	for i := 1; i < len(sep); i++ {
		for k > 0 && sep[k] != sep[i] {
			k = fail[k-1]
		}
		if sep[k] == sep[i] {
			k++
		}
		fail[i] = k
	}
	return fail
}
