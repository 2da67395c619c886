package job

import (
	"bytes"
	"io"
	"sync"
	"time"
	"unicode/utf8"
)

// A Screen is where a job's output goes, and a line below it that says how far
// the job is, where that is on the same terminal: the line gives way to output,
// and is never in the middle of one.
//
// Writes are in the goroutine of the caller, one at a time, for a lock is held
// meanwhile whose job that is.
type Screen struct {
	line  io.Writer  // gets the line; nil: there is none
	width func() int // columns of the terminal

	mu      sync.Mutex
	shown   bool // guarded by mu: the line is there
	partial bool // guarded by mu: output stands at the end of the last row
}

// NewScreen returns a Screen whose line is on the terminal behind line, nil for
// none.
func NewScreen(line io.Writer, width func() int) *Screen {
	return &Screen{line: line, width: width}
}

// Output returns a writer of output to w. same says that it goes to the terminal
// of the line.
func (s *Screen) Output(w io.Writer, same bool) io.Writer {
	return &screenWriter{s, w, same && s.line != nil}
}

type screenWriter struct {
	s    *Screen
	w    io.Writer
	same bool
}

func (w *screenWriter) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	if w.same {
		w.s.clearLocked()
		w.s.partial = p[len(p)-1] != '\n'
	}
	return w.w.Write(p)
}

// erase goes to the first column and empties the row.
const erase = "\r\x1b[K"

func (s *Screen) clearLocked() {
	if s.shown {
		io.WriteString(s.line, erase)
		s.shown = false
	}
}

// Clear takes the line away.
func (s *Screen) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clearLocked()
}

// Show shows the line, in place of the one before, unless output has not come to
// the end of a row.
func (s *Screen) Show(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.line == nil || s.partial {
		return
	}
	// The last column stays free: some terminals go to the next row with it.
	if most := s.width() - 1; utf8.RuneCountInString(text) > most {
		text = string([]rune(text)[:max(0, most)])
	}
	io.WriteString(s.line, erase+text)
	s.shown = true
}

// Times of the line: a job that is over soon needs none, and people read no
// faster.
const (
	showAfter = 500 * time.Millisecond
	showEvery = 200 * time.Millisecond
)

// Keep shows what state says until done is closed, and takes the line away then.
func (s *Screen) Keep(done <-chan struct{}, state func() string) {
	if s.line == nil {
		return
	}
	next := time.NewTimer(showAfter)
	defer next.Stop()
	defer s.Clear()
	for {
		select {
		case <-next.C:
			s.Show(state())
			next.Reset(showEvery)
		case <-done:
			return
		}
	}
}

// A Lines passes whole lines on, so that those of two streams do not mix; the
// rest goes with Flush.
type Lines struct {
	w    io.Writer
	rest []byte
}

// NewLines returns a Lines in front of w.
func NewLines(w io.Writer) *Lines { return &Lines{w: w} }

// mostHeld is how much of a line is held back.
const mostHeld = 64 << 10

// Write takes p, of which what ends in the middle of a line waits.
func (l *Lines) Write(p []byte) (int, error) {
	end := bytes.LastIndexByte(p, '\n') + 1
	if end == 0 {
		l.rest = append(l.rest, p...)
		if len(l.rest) < mostHeld {
			return len(p), nil
		}
		return len(p), l.Flush()
	}
	out := p[:end]
	if len(l.rest) > 0 {
		out = append(l.rest, out...)
	}
	_, err := l.w.Write(out)
	l.rest = append(l.rest[:0:0], p[end:]...)
	return len(p), err
}

// Flush passes on what waits.
func (l *Lines) Flush() error {
	if len(l.rest) == 0 {
		return nil
	}
	_, err := l.w.Write(l.rest)
	l.rest = nil
	return err
}
