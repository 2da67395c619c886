package session

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
)

// readKeys reads what is typed until there is no more.
func (s *session) readKeys(ctx context.Context) {
	buf := make([]byte, 32<<10)
	for first := true; ; first = false {
		n, err := s.cfg.Terminal.In.Read(buf)
		if first && s.cfg.Terminal.polled {
			// Nothing of the session blocks a thread, and one processor is
			// enough for it. With more, each key wakes a thread that looks
			// for work, on a processor that the server could use.
			runtime.GOMAXPROCS(1)
		}
		for rest := buf[:n]; len(rest) > 0 && ctx.Err() == nil; {
			if s.raw {
				rest = s.typedRaw(ctx, rest)
			} else {
				rest = s.typedLine(ctx, rest)
			}
		}
		if err != nil {
			stay := false
			s.ask(ctx, func(ctx context.Context) error {
				stay = s.endOfInput(ctx, err)
				return nil
			})
			if !stay {
				return
			}
		}
	}
}

// endOfInput does what the end of what is typed asks for, and reports whether
// more may come. From a person in line mode it is Ctrl-D, meant for the shell's
// program; the session stays. Else there is nothing more to send: we detach.
func (s *session) endOfInput(ctx context.Context, err error) (stay bool) {
	if p := s.lines.flush(); len(p) > 0 {
		s.send(p)
	}
	if errors.Is(err, io.EOF) && s.cfg.Terminal.IsTerminal() && !s.raw {
		if s.away != nil {
			s.trouble(s.errAway())
		} else {
			s.trouble(s.srv.Ctl(ctx, "eof", s.view.name+"0"))
		}
		return true
	}
	if s.away != nil && !s.cfg.Terminal.IsTerminal() {
		s.away.leave = true
		return false
	}
	s.end = &End{Shell: s.view.name, Closed: true}
	return false
}

// send sends typed bytes to the shell. The loop does not touch the view
// meanwhile but to end it.
func (s *session) send(p []byte) {
	v := s.view
	if v.typed == nil || len(p) == 0 {
		return // one who watches types to nobody
	}
	v.delays[0].WriteContext(v.ctx, p) // fails only when the view is closed
}

// typedRaw takes bytes of a terminal in raw mode and returns those that are
// still to be looked at.
func (s *session) typedRaw(ctx context.Context, p []byte) (rest []byte) {
	if s.prompt != nil {
		ended, ok, rest := s.prompt.feed(p, s.cfg.Prefix)
		if !ended {
			s.drawPrompt()
			return nil
		}
		// From a page the prefix key goes where it always goes: the key behind
		// it is ours, and must not be typed into the shell.
		s.keys.armed = s.prompt.anyKey && s.cfg.Prefix != NoPrefix && s.prompt.key == rune(s.cfg.Prefix)
		s.ask(ctx, func(ctx context.Context) error { return s.closePrompt(ctx, ok) })
		return rest
	}
	data, key, rest := s.keys.scan(p)
	s.send(data)
	if key != 0 {
		s.ask(ctx, func(ctx context.Context) error { return s.key(ctx, key) })
	}
	return rest
}

// typedLine takes bytes in line mode: lines for the shell, and lines for us
// that begin with %.
func (s *session) typedLine(ctx context.Context, p []byte) (rest []byte) {
	data, line, rest := s.lines.scan(p)
	s.send(data)
	if line != nil {
		c, err := parsePercent(string(line))
		switch {
		case err == nil:
			s.ask(ctx, func(ctx context.Context) error { return s.percent(ctx, c) })
		case errors.As(err, new(unknownWord)):
			// It may be the shell's: rc and fish have lines that begin so.
			s.screen.say(fmt.Sprintf("hub: passed on to the shell; ours are %s\n", percentWords()))
			s.send(append(append([]byte{'%'}, line...), '\n'))
		default:
			s.screen.say("hub: " + err.Error() + "\n")
		}
	}
	return rest
}

// A lineScanner finds the lines that begin with %.
type lineScanner struct {
	start bool   // the next byte begins a line
	held  []byte // a line that began with %, as far as it goes; with its %
}

// maxPercent is how long a line of ours may be; a longer one is the shell's.
const maxPercent = 4096

// scan splits p: data goes to the shell. If line is not nil, it is a line of
// ours without its % and its end, and rest is what was typed behind it. Else
// rest is empty.
func (l *lineScanner) scan(p []byte) (data, line, rest []byte) {
	if len(l.held) == 0 {
		at := 0
		for at < len(p) && !(l.start && p[at] == '%') {
			l.start = p[at] == '\n'
			at++
		}
		if at == len(p) {
			return p, nil, nil
		}
		data, p = p[:at], p[at:]
	}
	end := bytes.IndexByte(p, '\n')
	if end < 0 {
		l.held = append(l.held, p...)
		if len(l.held) > maxPercent {
			data = append(bytes.Clone(data), l.flush()...)
			l.start = false
		}
		return data, nil, nil
	}
	line = append(l.held, p[:end]...)[1:]
	l.held, l.start = nil, true
	return data, bytes.TrimSuffix(line, []byte("\r")), p[end+1:]
}

// flush gives up what is held, at the end of the input.
func (l *lineScanner) flush() []byte {
	p := l.held
	l.held = nil
	return p
}
