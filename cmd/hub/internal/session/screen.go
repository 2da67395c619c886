package session

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"sync"

	"hubfs/cmd/hub/internal/ansi"
)

// A screen is the terminal as it is written to: by the shell, and now and
// then by us. While an overlay is open the shell's output waits.
type screen struct {
	out, err io.Writer
	size     func() (rows, cols int)

	mu     sync.Mutex    // also orders writes: held while writing to the terminal
	raw    bool          // guarded by mu: lines of ours end with \r\n; overlays are possible
	modes  ansi.Modes    // guarded by mu
	open   bool          // guarded by mu: an overlay is open
	closed chan struct{} // guarded by mu: made when somebody waits for the overlay to close
	own    bool          // guarded by mu: the overlay has the alternate screen
	over   bool          // guarded by mu: the last row is ours
}

func (s *screen) setRaw(raw bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.raw = raw
}

// show writes the shell's output. It waits while an overlay is open.
func (s *screen) show(ctx context.Context, w io.Writer, p []byte) error {
	s.mu.Lock()
	for s.open {
		if s.closed == nil {
			s.closed = make(chan struct{})
		}
		wait := s.closed
		s.mu.Unlock()
		select {
		case <-wait:
		case <-ctx.Done():
			return ctx.Err()
		}
		s.mu.Lock()
	}
	defer s.mu.Unlock()
	if len(p) == 0 {
		return nil
	}
	_, err := w.Write(p)
	if s.raw {
		s.modes.See(p) // after the write: nobody waits for it
	}
	return err
}

// say writes lines of ours to standard error, between what the shell writes.
// An open overlay hides them; they are for what must be said at once.
func (s *screen) say(text string) {
	text = harmless(text) // a server may have said it
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.raw {
		text = strings.ReplaceAll(text, "\n", "\r\n")
		if s.modes.InLine() {
			text = "\r\n" + text
		}
		s.modes.Newline()
	}
	io.WriteString(s.err, text)
}

// overlay opens one, or draws another in its place: lines of text, and a last
// line for what is typed. It uses the alternate screen, so that nothing is
// disturbed; a program that uses that itself must draw again afterwards.
func (s *screen) overlay(text, prompt string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rows, cols := s.size()
	var b strings.Builder
	if !s.open {
		s.open = true
		b.WriteString("\x1b7")
		if s.own = !s.modes.Alternate(); s.own {
			b.WriteString("\x1b[?1049h")
		}
	}
	var lines []string
	for l := range strings.Lines(text) {
		lines = append(lines, wrap(strings.TrimSuffix(l, "\n"), cols)...)
	}
	if most := max(0, rows-1); len(lines) > most {
		lines = lines[len(lines)-most:]
	}
	b.WriteString("\x1b[m\x1b[H")
	for _, l := range lines {
		b.WriteString(l + "\x1b[K\r\n")
	}
	fmt.Fprintf(&b, "\x1b[%d;1H\x1b[2K%s", rows, clip(prompt, cols-1))
	io.WriteString(s.out, b.String())
}

// close closes the overlay, if one is open, and reports whether the shell
// must draw its screen again.
func (s *screen) close() (redraw bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.open {
		return false
	}
	rows, _ := s.size()
	end := fmt.Sprintf("\x1b[%d;1H\x1b[2K", rows)
	if s.own {
		end += "\x1b[?1049l"
	}
	io.WriteString(s.out, end+"\x1b8")
	s.open = false
	if s.closed != nil {
		close(s.closed)
		s.closed = nil
	}
	return !s.own
}

// row writes a line of ours over the last row of the terminal, whatever stands
// there. It is not written over an overlay.
func (s *screen) row(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.raw || s.open {
		return
	}
	s.over = true
	rows, cols := s.size()
	fmt.Fprintf(s.out, "\x1b7\x1b[%d;1H\x1b[;7m%s\x1b[m\x1b[K\x1b8", rows, clip(text, cols-1))
}

// takeRow empties the row that row has written, if it has, and notes in d what
// that has done.
func (s *screen) takeRow(d *damage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.over {
		return
	}
	s.over = false
	rows, _ := s.size()
	fmt.Fprintf(s.out, "\x1b7\x1b[%d;1H\x1b[m\x1b[2K\x1b8", rows)
	d.again = d.again || !s.modes.Alternate()
	if part := s.modes.TakePart(); len(part) > 0 {
		d.rest = part
	}
}

// clear empties the screen for what is shown again.
func (s *screen) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	io.WriteString(s.out, "\x1b[m\x1b[H\x1b[2J")
}

// undo brings the terminal back to where it was before the shell's programs
// changed it, at the beginning of a line.
func (s *screen) undo() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.raw {
		io.WriteString(s.out, s.modes.Undo())
	}
}

// inAlternate reports whether a program of the shell uses the whole screen.
func (s *screen) inAlternate() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.modes.Alternate()
}

// clip shortens a line to what fits, and makes it harmless: names and
// commands come from others.
func clip(line string, cols int) string {
	var b bytes.Buffer
	n := 0
	for _, r := range line {
		if n++; n > cols {
			break
		}
		b.WriteRune(printable(r))
	}
	return b.String()
}

// harmless is lines of text without what would move the cursor, but for their
// ends and tabs.
func harmless(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return r
		}
		return printable(r)
	}, text)
}

// wrap breaks a line into lines that fit, made harmless, if possible between
// words.
func wrap(line string, cols int) (lines []string) {
	rest := []rune(clip(line, len(line)))
	for cols > 0 && len(rest) > cols {
		at := cols
		for at > 0 && rest[at] != ' ' {
			at--
		}
		if at == 0 {
			at = cols
		}
		lines = append(lines, string(rest[:at]))
		rest = []rune(strings.TrimLeft(string(rest[at:]), " "))
	}
	return append(lines, string(rest))
}
