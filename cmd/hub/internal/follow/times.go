package follow

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	"hubfs/cmd/hub/internal/server"
)

// Times are when the bytes of a hub came: of those that lay there when it was
// opened, as the server remembers it, to about a second.
type Times struct {
	mu      sync.Mutex
	moments []server.Moment // guarded by mu: ascending
	live    int64           // guarded by mu: bytes from here on come while we read
}

// Of says when the byte at off came, which was read at the time read.
func (t *Times) Of(off int64, read time.Time) time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	if off >= t.live {
		return read
	}
	// The bytes before a moment's offset came at or before its time.
	i, _ := slices.BinarySearchFunc(t.moments, off, func(m server.Moment, off int64) int {
		if m.Offset > off {
			return 1
		}
		return -1
	})
	if i == len(t.moments) {
		return read
	}
	return t.moments[i].Time
}

// before returns an offset before which every byte came at or before at, the
// greatest that is known.
func (t *Times) before(at time.Time) (off int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, m := range t.moments {
		if m.Time.After(at) {
			break
		}
		off = m.Offset
	}
	return off
}

// readTimes reads when the bytes of hub h came. That of its last byte is the
// time of its last change.
func (s *Stream) readTimes(ctx context.Context, srv *server.Server, h server.Hub) error {
	moments, err := srv.Moments(ctx, s.Name)
	if err != nil {
		return err
	}
	info, err := srv.Stat(ctx, "/"+s.Name)
	if err != nil {
		return err
	}
	if n := len(moments); h.Next > 0 && (n == 0 || moments[n-1].Offset < h.Next) {
		last := info.Mtime // in whole seconds
		if n > 0 && moments[n-1].Time.After(last) {
			last = moments[n-1].Time
		}
		moments = append(moments, server.Moment{Offset: h.Next, Time: last})
	}
	s.Times.mu.Lock()
	defer s.Times.mu.Unlock()
	s.Times.moments, s.Times.live = moments, h.Next
	return nil
}

// A Place is where in a hub to begin: at its oldest byte, or later.
type Place struct {
	Lines int       // with the last so many lines; < 0: no matter
	Since time.Time // with the line that came then or is the next; zero: no matter
}

// Start returns the offset of the place.
func (s *Stream) Start(ctx context.Context, at Place) (int64, error) {
	off := s.Hub.First
	if at.Lines >= 0 {
		last, err := server.LastLines(ctx, s.file, s.Hub, at.Lines)
		if err != nil {
			return 0, err
		}
		off = s.Hub.Next - int64(len(last))
	}
	if !at.Since.IsZero() {
		since, err := s.lineAt(ctx, min(s.Times.before(at.Since), s.Hub.Next))
		if err != nil {
			return 0, err
		}
		off = max(off, since)
	}
	return off, nil
}

// lineAt returns where the line begins to which the byte at off belongs, if
// that is not far.
func (s *Stream) lineAt(ctx context.Context, off int64) (int64, error) {
	const far = 64 << 10
	from := max(s.Hub.First, off-far)
	if off <= from {
		return max(off, s.Hub.First), nil
	}
	p := make([]byte, off-from)
	for n := 0; n < len(p); {
		m, err := s.file.ReadAtContext(ctx, p[n:], from+int64(n))
		if _, gone := server.Discarded(err); gone || errors.Is(err, io.EOF) {
			return off, nil // overtaken, a mark, or frozen since
		}
		if err != nil {
			return 0, err
		}
		n += m
	}
	if i := bytes.LastIndexByte(p, '\n'); i >= 0 {
		return from + int64(i) + 1, nil
	}
	if from == s.Hub.First {
		return from, nil
	}
	return off, nil
}
