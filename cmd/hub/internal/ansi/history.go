package ansi

import (
	"bytes"
	"slices"
	"strings"
)

// LastLines returns the end of p that holds its last n lines, a line without
// its newline counting as one, and whether p has as many. n < 0 is all of p.
func LastLines(p []byte, n int) (tail []byte, enough bool) {
	if n < 0 {
		return p, false
	}
	i := len(p)
	if i > 0 && p[i-1] != '\n' {
		n-- // the line that is being written
	}
	for {
		i = bytes.LastIndexByte(p[:i], '\n')
		if i < 0 {
			return p, false
		}
		if n--; n < 0 {
			return p[i+1:], true
		}
	}
}

// Quiet returns history as it may be shown again: without what would make the
// terminal answer, ring, notify or touch the clipboard. An answer to a
// question that was asked yesterday would be typed into the shell of today.
func Quiet(p []byte) []byte {
	out := make([]byte, 0, len(p))
	for {
		at, n, q := nextSequence(p)
		if at < 0 {
			return appendSilent(out, p)
		}
		out = appendSilent(out, p[:at])
		if n == 0 { // the live stream goes on in the middle of it
			return append(out, p[at:]...)
		}
		if !q.speaks() {
			out = append(out, p[at:at+n]...)
		}
		p = p[at+n:]
	}
}

// appendSilent appends p without its BEL and ENQ.
func appendSilent(out, p []byte) []byte {
	for _, c := range p {
		if c != 0x07 && c != 0x05 {
			out = append(out, c)
		}
	}
	return out
}

// speaks reports whether a terminal does more than draw when it sees q.
func (q sequence) speaks() bool {
	body := string(q.body)
	switch q.kind {
	case '[':
		switch q.final {
		case 'c', 'n', 'x': // device attributes, status reports, parameters
			return true
		case 'p':
			return strings.HasSuffix(body, "$") // is mode N set?
		case 'q':
			return strings.HasPrefix(body, ">") // name and version
		case 'u':
			return strings.HasPrefix(body, "?") // keyboard protocol
		case 'S':
			return strings.HasPrefix(body, "?") // graphics attributes
		case 'y':
			return strings.HasSuffix(body, "*") // checksum of an area
		case 't': // the window's size, title, position
			op, _, _ := strings.Cut(body, ";")
			return slices.Contains([]string{"11", "13", "14", "15", "16", "18", "19", "20", "21"}, op)
		}
	case ']':
		op, rest, _ := strings.Cut(body, ";")
		if slices.Contains([]string{"9", "52", "99", "777"}, op) { // notifications, clipboard
			return true
		}
		return rest == "?" || strings.HasSuffix(rest, ";?") || strings.HasPrefix(rest, "?;") // what colour is it?
	case 'P':
		return strings.HasPrefix(body, "$q") || strings.HasPrefix(body, "+q") // settings, capabilities
	case '_':
		return strings.HasPrefix(body, "G") // graphics may be answered
	case 0:
		return body == "" && q.final == 'Z' // identify
	}
	return false
}
