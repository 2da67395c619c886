package transport

import (
	"bytes"
	"io"
	"sync"
)

// said is what ssh writes to its standard error: the end of it is kept.
type said struct {
	mu   sync.Mutex
	w    io.Writer // guarded by mu: who reads along; nil: nobody
	tail []byte    // guarded by mu
}

// Write takes what ssh says. It never fails: ssh is not to end for it.
func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.w != nil {
		s.w.Write(p)
	}
	const most = 4096
	s.tail = append(s.tail, p...)
	if over := len(s.tail) - most; over > 0 {
		s.tail = append(s.tail[:0], s.tail[over:]...)
	}
	return len(p), nil
}

// quiet ends the reading along: from here on the terminal belongs to somebody
// else.
func (s *said) quiet() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.w = nil
}

// last is the last thing that was said. missing says that it was findServer
// that found nothing.
func (s *said) last() (line string, missing bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return lastLine(s.tail)
}

// lastLine is the last line of text that says something.
func lastLine(text []byte) (line string, missing bool) {
	for l := range bytes.Lines(text) {
		if l = bytes.TrimSpace(l); len(l) > 0 {
			line = string(l)
		}
		missing = missing || string(l) == noProgram
	}
	return line, missing
}
