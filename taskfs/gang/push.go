package gang

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"sync/atomic"
)

// Kinds of pieces.
const (
	pieceDir  = 'd' // a folder
	pieceFile = 'f' // a file begins, empty
	pieceData = 'a' // the next bytes of it
	pieceEnd  = 'e' // it is whole
)

// A piece is a piece of the files of a session. All who have it share its bytes.
type piece struct {
	kind byte
	mode fs.FileMode // of pieceDir and pieceFile: permissions
	path string      // below the folder; valid as fs.ValidPath says
	data []byte

	left atomic.Int32 // who has not taken it yet
	done func(error)  // called by the last who takes it, with the first error, with no lock held

	mu  sync.Mutex
	err error // guarded by mu: the first
}

// took says that one more has taken it, or why he could not.
func (c *piece) took(err error) {
	c.mu.Lock()
	if c.err == nil {
		c.err = err
	}
	err = c.err
	c.mu.Unlock()
	if c.left.Add(-1) == 0 {
		c.done(err)
	}
}

func (c *piece) takenBy(err error) { c.took(err) }

// pushed is the answer to a piece.
type pushed struct {
	Num uint64
	Err string `json:",omitempty"`
}

// Push sends what is in files to the folder of the session on each node, once
// for each link: folders and regular files. It returns when all nodes have
// them. Tasks start in that folder from then on. New nodes that Replace finds
// are given them, too: files is to stay as it is until Release.
func (g *Gang) Push(ctx context.Context, files fs.FS) error {
	g.mu.Lock()
	if g.released {
		g.mu.Unlock()
		return ErrReleased
	}
	g.pushed = append(g.pushed, files)
	g.mu.Unlock()
	return g.pushTo(ctx, files, nil)
}

// pushTo sends files to one part, or to all.
func (g *Gang) pushTo(ctx context.Context, files fs.FS, to *part) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	p := &pusher{g: g, to: to, ctx: ctx, fail: cancel}
	err := fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("push: %w", err)
		}
		return p.entry(files, path, d)
	})
	if e := p.wait(); err == nil {
		err = e
	}
	return err
}

// A pusher sends files, and has no more on their way than the window is.
type pusher struct {
	g    *Gang
	to   *part // nil: all
	ctx  context.Context
	fail context.CancelCauseFunc // ends ctx with the first error

	mu   sync.Mutex
	out  int           // guarded by mu: bytes that are on their way
	wake chan struct{} // guarded by mu: closed when out has become less; nil if nobody waits
}

func (p *pusher) entry(files fs.FS, path string, d fs.DirEntry) error {
	// What a link leads to is sent.
	info, err := fs.Stat(files, path)
	if err != nil {
		return fmt.Errorf("push: %w", err)
	}
	switch {
	case path == ".":
		return p.send(&piece{kind: pieceDir, mode: 0o700, path: path})
	case info.IsDir() && d.IsDir():
		return p.send(&piece{kind: pieceDir, mode: info.Mode().Perm(), path: path})
	case !info.Mode().IsRegular():
		return fmt.Errorf("push: %s is neither a folder nor a regular file", path)
	}
	f, err := files.Open(path)
	if err != nil {
		return fmt.Errorf("push: %w", err)
	}
	defer f.Close()
	if err := p.send(&piece{kind: pieceFile, mode: info.Mode().Perm(), path: path}); err != nil {
		return err
	}
	for {
		b := make([]byte, pieceSize)
		n, err := io.ReadFull(f, b)
		if n > 0 {
			if err := p.send(&piece{kind: pieceData, path: path, data: b[:n]}); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
			return p.send(&piece{kind: pieceEnd, path: path})
		case err != nil:
			return fmt.Errorf("push: read %s: %w", path, err)
		}
	}
}

// send sends a piece when there is room.
func (p *pusher) send(c *piece) error {
	cost := len(c.data) + len(c.path) + overhead
	c.done = func(err error) {
		if err != nil {
			p.fail(fmt.Errorf("push %s: %w", c.path, err))
		}
		p.took(cost)
	}
	if err := p.until(func() bool { return p.out == 0 || p.out+cost <= window }); err != nil {
		return err
	}
	p.mu.Lock()
	p.out += cost
	p.mu.Unlock()
	p.g.pass(c, p.to)
	return nil
}

func (p *pusher) took(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out -= n
	if p.wake != nil {
		close(p.wake)
		p.wake = nil
	}
}

// wait waits until all has been taken.
func (p *pusher) wait() error {
	if err := p.until(func() bool { return p.out == 0 }); err != nil {
		return err
	}
	return context.Cause(p.ctx)
}

// until waits for a condition on what mu guards.
func (p *pusher) until(ok func() bool) error {
	for {
		if p.ctx.Err() != nil {
			return context.Cause(p.ctx)
		}
		p.mu.Lock()
		if ok() {
			p.mu.Unlock()
			return nil
		}
		if p.wake == nil {
			p.wake = make(chan struct{})
		}
		wake := p.wake
		p.mu.Unlock()
		select {
		case <-wake:
		case <-p.ctx.Done():
		}
	}
}

// pass gives a piece to one part, or to all that have tasks. It counts as one of
// them until it has.
func (g *Gang) pass(c *piece, to *part) {
	c.left.Store(1)
	g.mu.Lock()
	var err error
	if g.released {
		err = ErrReleased
	}
	for _, p := range g.parts {
		if err == nil && (to == nil || p == to) && !p.gone && !p.lost && !p.live.Empty() {
			p.push(c)
		}
	}
	g.mu.Unlock()
	c.took(err)
}

// appendPiece returns the body of a Push frame: a number by which the child says
// that it was taken, kind, mode, path and bytes.
func appendPiece(num uint64, c *piece) []byte {
	b := make([]byte, 0, len(c.data)+len(c.path)+32)
	b = binary.AppendUvarint(b, num)
	b = append(b, c.kind)
	b = binary.AppendUvarint(b, uint64(c.mode))
	b = binary.AppendUvarint(b, uint64(len(c.path)))
	b = append(b, c.path...)
	return append(b, c.data...)
}

// parsePiece reads what appendPiece has made. The piece's bytes are part of b.
func parsePiece(b []byte) (num uint64, c *piece, err error) {
	num, n := binary.Uvarint(b)
	if n <= 0 || n >= len(b) {
		return 0, nil, errShort
	}
	c = &piece{kind: b[n]}
	b = b[n+1:]
	mode, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, nil, errShort
	}
	c.mode = fs.FileMode(mode & 0o777)
	path, data, err := field(b[n:])
	if err != nil {
		return 0, nil, err
	}
	c.path, c.data = string(path), data
	if !fs.ValidPath(c.path) {
		return 0, nil, fmt.Errorf("%q is no path of a file", c.path)
	}
	return num, c, nil
}
