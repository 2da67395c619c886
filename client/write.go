package client

import (
	"context"
	"errors"
	"io"

	"hubfs/internal/wire"
)

// writesAhead is how many Twrites one write may have under way.
const writesAhead = 8

// WriteContext writes all of p at the file's offset. What fits into one
// message goes in one, so that no other write comes in between; more goes in
// several, one behind the other. After an error it returns how many bytes of p
// the server took; it may have taken more only if the error is ErrLost.
func (f *File) WriteContext(ctx context.Context, p []byte) (int, error) {
	if err := take(ctx, f.writing); err != nil {
		return 0, err
	}
	defer func() { <-f.writing }()
	n, err := f.write(ctx, p, uint64(f.Offset()))
	f.advance(n)
	return n, err
}

// WriteAtContext writes all of p at off and leaves the file's offset alone.
func (f *File) WriteAtContext(ctx context.Context, p []byte, off int64) (int, error) {
	return f.write(ctx, p, uint64(off))
}

// write writes p in as many Twrites as it takes.
//
// A server may take less of a Twrite than it was offered, and then what it did
// not take must come next. So only a Twrite no larger than one that the server
// has taken whole has others before it or behind it, and that only with a
// server that keeps them in order.
func (f *File) write(ctx context.Context, p []byte, off uint64) (n int, err error) {
	if len(p) == 0 {
		return 0, ctx.Err()
	}
	var room [writesAhead]*call
	under := room[:0:f.c.depth(writesAhead)] // under way, in order
	for sent := 0; n < len(p) && err == nil; {
		for sent < len(p) && len(under) < cap(under) {
			size := min(len(p)-sent, f.unit)
			if len(under) > 0 && max(size, under[0].most) > f.proven() {
				break
			}
			cl := f.newWrite(off+uint64(sent), p[sent:sent+size])
			f.c.send(ctx, cl)
			under = append(under, cl)
			sent += size
		}
		first := under[0]
		if !first.wait(ctx) {
			err = ctx.Err()
			break
		}
		copy(under, under[1:])
		under = under[:len(under)-1]
		size, taken := first.most, int(first.m.Count)
		err = first.err
		f.c.freeCall(first)
		if err != nil {
			break
		}
		n += taken
		switch {
		case taken == size:
			f.prove(size)
		case taken == 0 || len(under) > 0:
			err = io.ErrShortWrite
		default:
			sent = n // the rest comes next
		}
	}
	if len(under) > 0 {
		more, lost := f.giveUp(under)
		n += more
		if lost != nil {
			err = lost
		}
	}
	switch {
	case n == len(p):
		return n, nil // all was taken after all
	case err == ctx.Err() || err == nil:
		return n, err
	}
	return n, f.fail("write", err)
}

// depth returns how many requests of one fid may be under way where n are
// wanted.
func (c *Conn) depth(n int) int {
	if !c.ordered {
		return 1
	}
	return max(n, 1)
}

// giveUp ends writes that are under way and returns how many bytes they wrote
// before the first that did not write all of its own. If the connection was lost
// before the server had said that, the error says so: there may be more.
func (f *File) giveUp(under []*call) (n int, lost error) {
	f.c.flush(under...)
	whole := true
	for _, cl := range under {
		cl.join()
		if whole && cl.err == nil {
			n += int(cl.m.Count)
		}
		if lost == nil && errors.Is(cl.err, ErrLost) {
			lost = cl.err
		}
		whole = whole && cl.err == nil && int(cl.m.Count) == cl.most
		f.c.freeCall(cl)
	}
	return n, lost
}

func (f *File) newWrite(off uint64, p []byte) *call {
	cl := f.newCall(wire.Twrite)
	cl.m.Offset, cl.m.Data = off, p
	cl.most = len(p)
	return cl
}

// proven returns the size of the largest Twrite that was taken whole.
func (f *File) proven() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.whole
}

func (f *File) prove(size int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.whole = max(f.whole, size)
}
