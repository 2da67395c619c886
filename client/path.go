package client

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"hubfs/internal/wire"
)

// Open opens the file at path, which starts at the root of the attach.
func (c *Conn) Open(ctx context.Context, path string, mode uint8) (*File, error) {
	m := wire.Msg{Type: wire.Topen, Mode: mode}
	fid, err := c.walk(ctx, split(path), &m)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return c.newFile(path, fid, m.Qid, m.Iounit), nil
}

// OpenWrite opens the file at path and writes p, which fits into one message:
// with a server that keeps to the order, in one round trip. It is for files
// that take commands. If the write fails the file is not open.
func (c *Conn) OpenWrite(ctx context.Context, path string, mode uint8, p []byte) (*File, error) {
	next := c.newCall(wire.Twrite)
	next.m.Data, next.most = p, len(p)
	f, err := c.openThen(ctx, path, mode, next)
	if err != nil {
		return nil, err
	}
	n := int(next.m.Count)
	c.freeCall(next)
	f.advance(n)
	if n < len(p) {
		f.leave()
		return nil, fmt.Errorf("write %s: %w", path, io.ErrShortWrite)
	}
	return f, nil
}

// OpenRead opens the file at path and reads its first bytes into p: with a
// server that keeps to the order, in one round trip. It is for files that do
// not wait; n is 0 if they are empty.
func (c *Conn) OpenRead(ctx context.Context, path string, mode uint8, p []byte) (f *File, n int, err error) {
	next := c.newCall(wire.Tread)
	next.most = min(len(p), int(c.msize)-wire.IOHDRSZ)
	next.m.Count = uint32(next.most)
	if f, err = c.openThen(ctx, path, mode, next); err != nil {
		return nil, 0, err
	}
	n = copy(p, next.data)
	c.freeCall(next)
	f.advance(n)
	return f, n, nil
}

// openThen opens the file at path and makes the request next of it.
func (c *Conn) openThen(ctx context.Context, path string, mode uint8, next *call) (*File, error) {
	m := wire.Msg{Type: wire.Topen, Mode: mode}
	fid, err := c.walk(ctx, split(path), &m, next)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return c.newFile(path, fid, m.Qid, m.Iounit), nil
}

// Create makes the file at path and opens it. That there is one already is an
// error, which is ErrExist.
func (c *Conn) Create(ctx context.Context, path string, perm uint32, mode uint8) (*File, error) {
	names := split(path)
	if len(names) == 0 {
		return nil, fmt.Errorf("create %s: %w", path, ErrExist)
	}
	dir, name := names[:len(names)-1], names[len(names)-1]
	m := wire.Msg{Type: wire.Tcreate, Name: name, Perm: perm, Mode: mode}
	fid, err := c.walk(ctx, dir, &m)
	if err != nil {
		return nil, fmt.Errorf("create %s: %w", path, err)
	}
	return c.newFile(path, fid, m.Qid, m.Iounit), nil
}

// Mkdir makes the directory at path.
func (c *Conn) Mkdir(ctx context.Context, path string, perm uint32) error {
	f, err := c.Create(ctx, path, DMDIR|perm, OREAD)
	if err == nil {
		f.leave()
	}
	return err
}

// Stat describes the file at path.
func (c *Conn) Stat(ctx context.Context, path string) (Info, error) {
	m := wire.Msg{Type: wire.Tstat}
	fid, err := c.walk(ctx, split(path), &m)
	if err != nil {
		return Info{}, fmt.Errorf("stat %s: %w", path, err)
	}
	c.clunk(fid)
	return infoOf(&m.Stat), nil
}

// Wstat changes what ch names of the file at path: all of it or nothing.
func (c *Conn) Wstat(ctx context.Context, path string, ch Change) error {
	m := wire.Msg{Type: wire.Twstat, Stat: ch.stat()}
	fid, err := c.walk(ctx, split(path), &m)
	if err != nil {
		return fmt.Errorf("change %s: %w", path, err)
	}
	c.clunk(fid)
	return nil
}

// Remove removes the file at path.
func (c *Conn) Remove(ctx context.Context, path string) error {
	fid, err := c.walk(ctx, split(path), &wire.Msg{Type: wire.Tremove})
	if err != nil {
		return fmt.Errorf("remove %s: %w", path, err)
	}
	c.freeFid(fid)
	return nil
}

// ReadDir describes the files in the directory at path, in the server's order.
func (c *Conn) ReadDir(ctx context.Context, path string) ([]Info, error) {
	b, err := c.ReadFile(ctx, path)
	if err != nil {
		return nil, err
	}
	var all []Info
	for len(b) > 0 {
		var s wire.Stat
		if s, b, err = wire.ParseStat(b); err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		all = append(all, infoOf(&s))
	}
	return all, nil
}

// MaxFile is how much of a file ReadFile and ReadDir take: a server that gives
// bytes without end is not to fill our memory.
const MaxFile = 64 << 20

// ReadFile reads the file at path until the first end of file. One that is longer
// than MaxFile is an error.
func (c *Conn) ReadFile(ctx context.Context, path string) ([]byte, error) {
	const room = 16 << 10 // a directory's server wants room for an entry at least
	b := make([]byte, room)
	f, n, err := c.OpenRead(ctx, path, OREAD, b)
	if f == nil {
		return nil, err
	}
	defer f.leave()
	b = b[:n]
	for err == nil {
		b = slices.Grow(b, room)
		n, err = f.ReadContext(ctx, b[len(b):cap(b)])
		b = b[:len(b)+n]
		if len(b) > MaxFile {
			return nil, fmt.Errorf("read %s: more than %d bytes", path, MaxFile)
		}
	}
	if err != io.EOF {
		return nil, err
	}
	return b, nil
}

// WriteFile writes data to the file at path, which must exist and is not
// emptied before. When it returns without an error the server has closed the
// file too.
func (c *Conn) WriteFile(ctx context.Context, path string, data []byte) error {
	f, err := c.Open(ctx, path, OWRITE)
	if err != nil {
		return err
	}
	if _, err := f.WriteContext(ctx, data); err != nil {
		f.leave()
		return err
	}
	return f.close(ctx)
}

// split returns the elements of a path.
func split(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
}
