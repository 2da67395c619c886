package gather

import (
	"context"
	"errors"

	"hubfs/hub"
	"hubfs/taskfs/ranks"
)

// maxWrite is about how much is made of many tasks' output at a time.
const maxWrite = 64 << 10

// A write is bytes for a hub: times times, or labelled for each of a set.
type write struct {
	to     *hub.Writer
	data   []byte
	times  int
	labels ranks.Set
}

// writesLocked appends the writes that follow from what tasks have said: raw as
// it came, and lines, which it has made complete.
func (s *Store) writesLocked(out []write, set ranks.Set, st Stream, raw, lines []byte) []write {
	add := func(to *hub.Writer, alone bool, times int) {
		data := lines
		if alone {
			data = raw
		}
		if to != nil && len(data) > 0 && times > 0 {
			out = append(out, write{to: to, data: data, times: times})
		}
	}
	add(s.merged[st-1], s.o.Tasks == 1, set.Len())
	if s.labelled != nil && len(lines) > 0 {
		out = append(out, write{to: s.labelled, data: lines, labels: set})
	}
	for v := range s.views.of(set, st) {
		if v.alone {
			add(v.w, true, 1)
		} else {
			add(v.w, false, set.Intersect(v.set).Len())
		}
	}
	return out
}

// write does a write, and returns how many bytes the hub refused.
func (s *Store) write(w write) (refused int64) {
	buf := s.buf[:0]
	flush := func() {
		refused += s.put(w.to, buf)
		buf = buf[:0]
	}
	switch {
	case !w.labels.Empty():
		for r := range w.labels.All() {
			buf = label(buf, s.label(r), w.data)
			if len(buf) >= maxWrite {
				flush()
			}
		}
	case w.times == 1 || len(w.data) >= maxWrite:
		for range w.times {
			refused += s.put(w.to, w.data)
		}
	default:
		for range w.times {
			buf = append(buf, w.data...)
			if len(buf) >= maxWrite {
				flush()
			}
		}
	}
	flush()
	if cap(buf) <= 4*maxWrite {
		s.buf = buf
	}
	return refused
}

func (s *Store) label(rank int) string {
	if s.o.Label == nil {
		return ""
	}
	return s.o.Label(rank)
}

// put appends p to a hub, and returns how many bytes it did not take: all, if it
// is ended, closed or without room, or if the Store was closed and it would wait.
func (s *Store) put(to *hub.Writer, p []byte) (refused int64) {
	n, err := to.WriteContext(s.ctx, p)
	if errors.Is(err, context.Canceled) {
		n, _, _ = to.TryWrite(hub.Piece{Data: p}, 0, nil)
	}
	return int64(len(p) - n)
}
