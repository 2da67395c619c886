package follow

import (
	"bytes"
	"time"
)

// MaxLine is the longest line: what is longer is taken apart.
const MaxLine = 1 << 20

// A Text is one line of a hub.
type Text struct {
	Line  []byte    // without its newline
	Off   int64     // of its first byte
	At    time.Time // when that came
	Whole bool      // it had a newline
}

// A Splitter makes lines of blocks. Its zero value is ready.
type Splitter struct {
	Times *Times // nil: no line has a time

	part []byte // of a line whose end has not come
	off  int64  // of part
	at   time.Time
	next int64 // the offset behind what was split
}

// Split gives the lines that b completes to take. A line that misses bytes in
// its middle ends before them.
func (s *Splitter) Split(b Block, take func(Text) error) error {
	if len(s.part) > 0 && b.Off != s.next {
		if err := s.End(take); err != nil {
			return err
		}
	}
	s.next = b.Off + int64(len(b.Data))
	for p, off := b.Data, b.Off; len(p) > 0; {
		n, whole := bytes.IndexByte(p, '\n'), true
		skip := 1
		if n < 0 {
			n, whole, skip = len(p), false, 0
		}
		if room := MaxLine - len(s.part); n > room {
			n, whole, skip = room, false, 0
		}
		line, begin, at := p[:n], off, time.Time{}
		if s.Times != nil {
			at = s.Times.Of(off, b.Came)
		}
		p, off = p[n+skip:], off+int64(n+skip)
		if len(s.part) > 0 {
			s.part = append(s.part, line...)
			line, begin, at = s.part, s.off, s.at
		}
		if !whole && len(line) < MaxLine {
			if len(s.part) == 0 {
				s.part = append(s.part, line...)
				s.off, s.at = begin, at
			}
			break // p is empty
		}
		if err := take(Text{line, begin, at, whole}); err != nil {
			return err
		}
		s.part = s.part[:0]
	}
	return nil
}

// End gives the last line to take, if it has no newline.
func (s *Splitter) End(take func(Text) error) error {
	if len(s.part) == 0 {
		return nil
	}
	t := Text{s.part, s.off, s.at, false}
	s.part = s.part[:0]
	return take(t)
}
