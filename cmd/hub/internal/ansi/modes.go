package ansi

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Modes follow what the programs of a shell switch on in the terminal, so
// that it can be switched off when somebody leaves in the middle of one: a
// terminal that is left in the alternate screen, with the mouse reported and
// the cursor hidden, is not put back as it was.
type Modes struct {
	on       []int  // private modes that are set and were not
	off      []int  // private modes that are reset and were set
	keypad   bool   // ESC =
	insert   bool   // CSI 4 h
	graphics bool   // ESC ( 0
	region   bool   // margins are set
	style    bool   // the cursor's shape was changed
	sgr      bool   // colours are on
	kitty    int    // keyboard modes pushed
	other    bool   // modifyOtherKeys
	column   bool   // the last byte was no newline
	part     []byte // of a sequence that has not ended
	char     []byte // of a character that has not ended
}

// Private modes that are off, or on, in a terminal that nobody has touched.
var (
	usuallyOff = []int{1, 5, 47, 1047, 1049, 9, 1000, 1001, 1002, 1003, 1004, 1005, 1006, 1015, 1016, 2004, 2026, 2031, 2048}
	usuallyOn  = []int{7, 25}

	alternateScreens = []int{47, 1047, 1049}
)

// See takes a piece of output that went to the terminal.
func (m *Modes) See(p []byte) {
	if len(p) == 0 {
		return
	}
	m.column = p[len(p)-1] != '\n'
	m.char = beginning(append(m.char, p[max(0, len(p)-utf8.UTFMax):]...))
	if len(m.part) > 0 {
		m.part = append(m.part, p...)
		p, m.part = m.part, nil
	}
	for {
		at, n, q := nextSequence(p)
		if at < 0 {
			return
		}
		if n == 0 {
			m.part = bytes.Clone(p[at:])
			return
		}
		m.apply(q)
		p = p[at+n:]
	}
}

// beginning returns the beginning of a character at the end of p.
func beginning(p []byte) []byte {
	for n := 1; n < utf8.UTFMax && n <= len(p); n++ {
		if end := p[len(p)-n:]; utf8.RuneStart(end[0]) {
			if utf8.FullRune(end) {
				break
			}
			return bytes.Clone(end)
		}
	}
	return nil
}

// TakePart returns the bytes of a sequence or a character at whose middle the
// output stands, and forgets them. What is written between them and the rest
// breaks them apart: they have to be written again, and shown to See.
func (m *Modes) TakePart() []byte {
	part := m.part
	if len(part) == 0 {
		part = m.char
	}
	m.part, m.char = nil, nil
	return part
}

func (m *Modes) apply(q sequence) {
	body := string(q.body)
	switch q.kind {
	case 0:
		switch {
		case body == "" && q.final == '=':
			m.keypad = true
		case body == "" && q.final == '>':
			m.keypad = false
		case body == "" && q.final == 'c':
			*m = Modes{column: m.column}
		case body == "(":
			m.graphics = q.final == '0'
		}
	case '[':
		private, isPrivate := strings.CutPrefix(body, "?")
		switch {
		case (q.final == 'h' || q.final == 'l') && isPrivate:
			for f := range strings.SplitSeq(private, ";") {
				if n, err := strconv.Atoi(f); err == nil {
					m.setPrivate(n, q.final == 'h')
				}
			}
		case (q.final == 'h' || q.final == 'l') && body == "4":
			m.insert = q.final == 'h'
		case q.final == 'r' && !isPrivate:
			m.region = body != "" && body != ";"
		case q.final == 'q' && strings.HasSuffix(body, " "):
			m.style = body != "0 " && body != " "
		case q.final == 'm' && strings.HasPrefix(body, ">4"):
			m.other = !strings.HasSuffix(body, ";0") && body != ">4"
		case q.final == 'm' && (body == "" || body[0] >= '0' && body[0] <= ';'):
			m.sgr = body != "" && body != "0"
		case q.final == 'u' && strings.HasPrefix(body, ">"):
			m.kitty++
		case q.final == 'u' && strings.HasPrefix(body, "<"):
			n, err := strconv.Atoi(body[1:])
			if err != nil {
				n = 1
			}
			m.kitty = max(0, m.kitty-n)
		case q.final == 'p' && body == "!":
			m.soft()
		}
	}
}

func (m *Modes) setPrivate(n int, set bool) {
	var l *[]int
	switch {
	case slices.Contains(usuallyOff, n):
		l = &m.on
	case slices.Contains(usuallyOn, n):
		l, set = &m.off, !set
	default:
		return
	}
	if i := slices.Index(*l, n); set && i < 0 {
		*l = append(*l, n)
	} else if !set && i >= 0 {
		*l = slices.Delete(*l, i, i+1)
	}
}

// soft is what CSI ! p, a soft reset, switches off.
func (m *Modes) soft() {
	m.keypad, m.insert, m.graphics, m.region, m.sgr = false, false, false, false, false
	m.off = nil
}

// InLine reports whether the output has stopped in the middle of a line.
func (m *Modes) InLine() bool { return m.column }

// Newline notes a newline that was not the program's.
func (m *Modes) Newline() { m.column = false }

// place orders private modes as they are to be switched off.
func place(n int) int {
	if slices.Contains(alternateScreens, n) {
		return 1
	}
	return 0
}

// Undo returns what brings the terminal back to where it was, ready for a
// line of text, and forgets it.
func (m *Modes) Undo() string {
	var b strings.Builder
	if m.kitty > 0 {
		fmt.Fprintf(&b, "\x1b[<%du", m.kitty)
	}
	if m.other {
		b.WriteString("\x1b[>4;0m")
	}
	if m.sgr {
		b.WriteString("\x1b[m")
	}
	if m.graphics {
		b.WriteString("\x1b(B")
	}
	if m.insert {
		b.WriteString("\x1b[4l")
	}
	if m.keypad {
		b.WriteString("\x1b>")
	}
	if m.style {
		b.WriteString("\x1b[0 q")
	}
	if m.region {
		b.WriteString("\x1b7\x1b[r\x1b8") // CSI r moves the cursor
	}
	for _, n := range m.off {
		fmt.Fprintf(&b, "\x1b[?%dh", n)
	}
	// The alternate screen goes last: leaving it brings back the cursor.
	alternate := m.Alternate()
	slices.SortStableFunc(m.on, func(a, b int) int {
		return place(a) - place(b)
	})
	for _, n := range m.on {
		fmt.Fprintf(&b, "\x1b[?%dl", n)
	}
	if m.column || alternate {
		b.WriteString("\r\n")
	}
	*m = Modes{}
	return b.String()
}

// Alternate reports whether a program uses the alternate screen.
func (m *Modes) Alternate() bool {
	return slices.ContainsFunc(m.on, func(n int) bool { return slices.Contains(alternateScreens, n) })
}
