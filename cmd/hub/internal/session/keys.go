package session

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// DefaultPrefix is the prefix key where nobody chose another: Ctrl-\.
const DefaultPrefix = Prefix(0x1c)

// NoPrefix is the prefix of a session without a prefix key: every key goes to
// the shell.
const NoPrefix = Prefix(-1)

// A Prefix is the key that announces a key for hub: the byte that it sends,
// or NoPrefix.
type Prefix int

// ParsePrefix reads a key as people write it: ^A, C-a, Ctrl-A, a single ASCII
// character, or "none".
func ParsePrefix(s string) (Prefix, error) {
	if s == "none" {
		return NoPrefix, nil
	}
	key := s
	control := false
	for _, p := range []string{"ctrl-", "ctrl+", "c-", "^"} {
		if len(s) > len(p) && strings.EqualFold(s[:len(p)], p) {
			key, control = s[len(p):], true
			break
		}
	}
	if len(key) != 1 || key[0] >= utf8.RuneSelf {
		return 0, badPrefix(s)
	}
	c := key[0]
	if !control {
		return Prefix(c), nil
	}
	switch {
	case c >= 'a' && c <= 'z':
		c -= 'a' - 'A'
	case c == ' ':
		c = '@'
	}
	if c == '?' {
		return 0x7f, nil
	}
	if c < '@' || c > '_' {
		return 0, badPrefix(s)
	}
	return Prefix(c - '@'), nil
}

func badPrefix(s string) error {
	return fmt.Errorf("%q is no key: expected one like ^A, C-a, Ctrl-A, a character, or none", s)
}

// String returns the key as people write it.
func (p Prefix) String() string {
	switch {
	case p == NoPrefix:
		return "none"
	case p < ' ':
		return "Ctrl-" + string(rune(p+'@'))
	case p == 0x7f:
		return "Ctrl-?"
	}
	return string(rune(p))
}

// A keyScanner finds the prefix key in what is typed.
//
// Programs may ask the terminal to send keys as escape sequences (the kitty
// keyboard protocol, xterm's modifyOtherKeys); a prefix that comes that way is
// recognized too, or there would be no way out of such a program. Only a
// sequence that lies whole in one read is looked at: a terminal sends it so,
// and a lone Escape must not wait for what may follow.
type keyScanner struct {
	prefix Prefix
	armed  bool // the prefix was typed; the next key is ours
}

// scan splits p: data goes to the shell. If key is not zero, it is the key
// that followed the prefix, and rest is what was typed after it. Else rest is
// empty.
func (s *keyScanner) scan(p []byte) (data []byte, key rune, rest []byte) {
	if s.prefix == NoPrefix {
		return p, 0, nil
	}
	if !s.armed {
		at, n := s.find(p)
		if at < 0 {
			return p, 0, nil
		}
		s.armed = true
		data, p = p[:at], p[at+n:]
	}
	key, n := decodeKey(p)
	if n == 0 {
		return data, 0, nil
	}
	s.armed = false
	return data, key, p[n:]
}

// find returns where the prefix key is in p, and its length there.
func (s *keyScanner) find(p []byte) (at, n int) {
	for i, c := range p {
		switch {
		case c == byte(s.prefix):
			return i, 1
		case c == 0x1b:
			if k, n := decodeKey(p[i:]); n > 1 && k == rune(s.prefix) {
				return i, n
			}
		}
	}
	return -1, 0
}

// decodeKey returns the first key in p and how many bytes it took: 0 if there
// is none. A key that has no character is utf8.RuneError.
func decodeKey(p []byte) (rune, int) {
	if len(p) == 0 {
		return 0, 0
	}
	if len(p) < 2 || p[0] != 0x1b {
		return utf8.DecodeRune(p)
	}
	if p[1] != '[' { // a function key, or a key with Alt
		if p[1] == 'O' {
			return utf8.RuneError, min(len(p), 3)
		}
		return utf8.RuneError, 2
	}
	end := 2
	for end < len(p) && (p[end] < 0x40 || p[end] > 0x7e) {
		end++
	}
	if end == len(p) {
		return utf8.RuneError, len(p)
	}
	if k, ok := csiKey(string(p[2:end]), p[end]); ok {
		return k, end + 1
	}
	return utf8.RuneError, end + 1
}

// csiKey decodes CSI code;mods u (kitty) and CSI 27;mods;code ~ (xterm) into
// the byte or character that the key sends without such a protocol.
func csiKey(params string, final byte) (rune, bool) {
	f := strings.Split(params, ";")
	var code, mods string
	switch {
	case final == 'u' && len(f) == 1:
		code, mods = f[0], "1"
	case final == 'u' && len(f) >= 2:
		code, mods = f[0], f[1]
	case final == '~' && len(f) == 3 && f[0] == "27":
		code, mods = f[2], f[1]
	default:
		return 0, false
	}
	code, _, _ = strings.Cut(code, ":") // the shifted and base keys
	mods, event, _ := strings.Cut(mods, ":")
	if event == "3" { // a key that is let go
		return 0, false
	}
	c, err := strconv.Atoi(code)
	if err != nil || c < 0 || c > utf8.MaxRune {
		return 0, false
	}
	m, err := strconv.Atoi(mods)
	if err != nil || m < 1 {
		return 0, false
	}
	const (
		shift = 1
		ctrl  = 4
		locks = 64 | 128
	)
	switch m = (m - 1) &^ locks; {
	case m == ctrl && c >= 'a' && c <= 'z':
		return rune(c - 'a' + 1), true
	case m == ctrl && c >= '@' && c <= '_':
		return rune(c - '@'), true
	case m == ctrl && c == ' ':
		return 0, true
	case m == shift && c >= 'a' && c <= 'z':
		return rune(c - 'a' + 'A'), true
	case m == 0 || m == shift:
		return rune(c), true
	}
	return 0, false
}
