// Package ansi looks at what programs send to terminals: which modes they
// switch on and leave behind, and what of it makes a terminal answer. It draws
// nothing and knows no screen.
package ansi

import "bytes"

// A sequence is an escape sequence that a program sends to a terminal.
type sequence struct {
	kind  byte   // '[': CSI; ']' 'P' '_' '^' 'X': a string (OSC, DCS, APC, PM, SOS); 0: ESC and little else
	body  []byte // what lies between the introducer and the end
	final byte   // the last byte of a CSI or of a short sequence
}

// maxString is how long a string sequence may be to be looked at; a longer one
// is taken for plain bytes, which do no harm.
const maxString = 4096

// nextSequence finds the first escape sequence in p. It begins at at, or there
// is none if at < 0, and is n bytes long. n is 0 if p ends before it does.
func nextSequence(p []byte) (at, n int, q sequence) {
	at = bytes.IndexByte(p, 0x1b)
	if at < 0 {
		return -1, 0, q
	}
	s := p[at:]
	if len(s) < 2 {
		return at, 0, q
	}
	switch c := s[1]; {
	case c == '[':
		for i := 2; i < len(s); i++ {
			switch b := s[i]; {
			case b >= 0x40 && b <= 0x7e:
				return at, i + 1, sequence{'[', s[2:i], b}
			case b < 0x20 || b > 0x7e || i > maxString:
				return at, i, q // broken off
			}
		}
		return at, 0, q
	case c == ']' || c == 'P' || c == '_' || c == '^' || c == 'X':
		for i := 2; i < len(s) && i < maxString; i++ {
			switch {
			case s[i] == 0x07 && c == ']':
				return at, i + 1, sequence{kind: c, body: s[2:i]}
			case s[i] == 0x1b && i+1 < len(s):
				if s[i+1] == '\\' {
					return at, i + 2, sequence{kind: c, body: s[2:i]}
				}
				return at, i, q // broken off by another sequence
			}
		}
		if len(s) < maxString {
			return at, 0, q
		}
		return at, 2, q
	default:
		i := 1
		for i < len(s) && s[i] >= 0x20 && s[i] <= 0x2f { // intermediates, as in ESC ( B
			i++
		}
		if i == len(s) {
			return at, 0, q
		}
		if s[i] < 0x30 || s[i] > 0x7e {
			return at, i, q
		}
		return at, i + 1, sequence{0, s[1:i], s[i]}
	}
}
