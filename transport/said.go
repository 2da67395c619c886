package transport

import (
	"bytes"
	"io"
	"sync"
	"time"
)

// said is what ssh writes to its standard error: the end of it is kept, and
// somebody may read along. The last line may be why ssh ends, and then it is for
// the error to say, once: so each comes with a delay.
type said struct {
	mu      sync.Mutex
	w       io.Writer // guarded by mu: who reads along; nil: nobody
	pending []byte    // guarded by mu: what w is to get
	tail    []byte    // guarded by mu
}

// sayDelay is how long ssh takes to end when it has said why, and more.
const sayDelay = 200 * time.Millisecond

// Write takes what ssh says. It never fails: ssh is not to end for it.
func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.w != nil {
		if len(s.pending) == 0 {
			time.AfterFunc(sayDelay, s.flush)
		}
		s.pending = append(s.pending, p...)
	}
	const most = 4096
	s.tail = append(s.tail, p...)
	if over := len(s.tail) - most; over > 0 {
		s.tail = append(s.tail[:0], s.tail[over:]...)
	}
	return len(p), nil
}

// flush gives w what is pending. The lock orders what w gets.
func (s *said) flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.w != nil && len(s.pending) > 0 {
		s.w.Write(s.pending)
	}
	s.pending = nil
}

// quiet ends the reading along: from here on the terminal belongs to somebody
// else.
func (s *said) quiet() {
	s.flush()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.w = nil
}

// last ends the reading along, too, and returns the last line that was said,
// which w does not get if it is pending still.
func (s *said) last() (line string) {
	s.mu.Lock()
	line = lastLine(s.tail)
	if i := bytes.LastIndex(s.pending, []byte(line)); i >= 0 {
		s.pending = s.pending[:i]
	}
	s.mu.Unlock()
	s.quiet()
	return line
}

// lastLine is the last line of text that says something.
func lastLine(text []byte) (line string) {
	for l := range bytes.Lines(text) {
		if l = bytes.TrimSpace(l); len(l) > 0 {
			line = string(l)
		}
	}
	return line
}
