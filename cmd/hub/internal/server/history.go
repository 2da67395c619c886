package server

import (
	"context"
	"errors"
	"io"

	"hubfs/client"
	"hubfs/cmd/hub/internal/ansi"
)

// LastLines returns the last lines of what a hub retained when it was looked
// at, all of them if lines is negative. f is an addressed open of it.
func LastLines(ctx context.Context, f *client.File, hub Hub, lines int) ([]byte, error) {
	var kept []byte
	from := hub.Next
	for size := int64(64 << 10); lines != 0 && from > hub.First; size *= 4 {
		start := max(hub.First, from-size)
		part, first, err := readRange(ctx, f, start, from)
		if err != nil {
			return nil, err
		}
		kept = append(part, kept...)
		from = start
		if first > start { // overtaken meanwhile: there is no more
			break
		}
		if _, enough := ansi.LastLines(kept, lines); enough {
			break
		}
	}
	tail, _ := ansi.LastLines(kept, lines)
	return tail, nil
}

// readRange reads the bytes of a hub from offset from up to to. Where the
// first are not retained any more it begins at first.
func readRange(ctx context.Context, f *client.File, from, to int64) (p []byte, first int64, err error) {
	p = make([]byte, to-from)
	for n := 0; n < len(p); {
		m, err := f.ReadAtContext(ctx, p[n:], from+int64(n))
		now, gone := Discarded(err)
		switch {
		case m > 0:
			n += m
		case gone && now >= to:
			return nil, to, nil
		case gone:
			p, from, n = p[:to-now], now, 0
		case errors.Is(err, io.EOF): // a mark, or frozen since
			return p[:n], from, nil
		default:
			return nil, 0, err
		}
	}
	return p, from, nil
}
