package server

import (
	"bufio"
	"io"
)

// maxLine is how long a line may be that a server says. Ours are far shorter; one
// that means ill is not to fill our memory.
const maxLine = 64 << 10

// Lines reads what a server says, line by line, until its end or until a line is
// too long.
func Lines(r io.Reader) *bufio.Scanner {
	s := bufio.NewScanner(r)
	s.Buffer(nil, maxLine)
	return s
}
