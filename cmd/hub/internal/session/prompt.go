package session

import (
	"context"
	"unicode"
	"unicode/utf8"
)

// A prompt is a line that is typed while the shell's output waits: a %
// command, or a choice from a list.
type prompt struct {
	text   string // above it
	label  string
	line   []rune
	anyKey bool   // no line: any key ends it
	key    rune   // that key, when it was typed
	empty  string // the line that an empty one stands for; "": none
	keys   string // with anyKey: those that mean what they mean behind the prefix key
	do     func(ctx context.Context, line string) error
}

// feed takes typed bytes. If it has ended, with a line if ok, rest is what
// was typed behind it.
func (p *prompt) feed(b []byte, prefix Prefix) (ended, ok bool, rest []byte) {
	for len(b) > 0 {
		r, n := decodeKey(b)
		// Escape alone cancels; the sequence of another key says nothing.
		lone := b[0] == 0x1b && n == 1
		b = b[n:]
		switch {
		case p.anyKey:
			p.key = r
			return true, false, b
		case r == '\r' || r == '\n':
			return true, true, b
		case lone || r == 0x03 || r == 0x04 && len(p.line) == 0 || prefix != NoPrefix && prefix < ' ' && r == rune(prefix):
			return true, false, b
		case r == 0x7f || r == 0x08:
			if len(p.line) > 0 {
				p.line = p.line[:len(p.line)-1]
			}
		case r == 0x15: // ^U
			p.line = nil
		case r == 0x17: // ^W
			i := len(p.line)
			for i > 0 && unicode.IsSpace(p.line[i-1]) {
				i--
			}
			for i > 0 && !unicode.IsSpace(p.line[i-1]) {
				i--
			}
			p.line = p.line[:i]
		case r == utf8.RuneError || unicode.IsControl(r):
		case len(p.line) < 1000:
			p.line = append(p.line, r)
		}
	}
	return false, false, nil
}

// shown is the prompt as it is drawn: its end, if it is too long.
func (p *prompt) shown(cols int) string {
	line := p.line
	if most := cols - 1 - len(p.label); most > 0 && len(line) > most {
		line = line[len(line)-most:]
	}
	return p.label + string(line)
}

// printable is r, or a mark in place of what would move the cursor.
func printable(r rune) rune {
	if unicode.IsControl(r) || !unicode.IsGraphic(r) {
		return utf8.RuneError
	}
	return r
}
