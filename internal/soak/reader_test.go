package soak

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"hubfs/client"
)

// read is an actor that reads one hub after another, from any place and in any
// way, for some steps each.
func (a *actor) read() {
	for !a.stopped() {
		s := a.next("reads")
		c, err := a.dial(s)
		if a.failed(err, "dial") {
			return
		}
		name := one(s.who, hubNames...)
		var from string
		if of(s.where, 3) == 0 {
			from = "@"
			r := &placeReader{actor: a, name: name, buf: make([]byte, 256<<10)}
			err = r.read(c)
			for a.excused(c, err) && r.l != nil && r.l.onDisk.Load() && !a.stopped() {
				a.count("readers that came back", 1) // and go on at the very byte
				c.Close()
				if c, err = a.dial(s); a.failed(err, "dial") {
					return
				}
				err = r.read(c)
			}
		} else {
			from = one(s.where<<4, "", "", "@end", "@-"+strconv.Itoa(of(s.size, 1<<20)))
			err = a.readCursor(c, name, from, s)
		}
		c.Close()
		if !a.excused(c, err) && a.failed(err, "read %s%s", name, from) {
			return
		}
	}
}

// A placeReader reads a hub and says from where. It misses nothing but what it
// is told is discarded.
type placeReader struct {
	*actor
	name string
	buf  []byte

	l      *ledger // nil: it has not been open
	check  checker
	pos    int64
	jumped int64 // over so many bytes that were discarded
}

func (r *placeReader) read(c *conn) error {
	f, l, err := r.open(c, r.name, "@", client.OREAD)
	switch {
	case err != nil:
		return err
	case r.l == nil:
		r.l, r.check = l, l.checker(0)
	case r.l != l && r.l.removed.Load():
		return nil
	case r.l != l:
		return fmt.Errorf("at %d it came back to another hub", r.pos)
	}
	for !r.stopped() {
		s := r.next("reads " + r.name + " at " + strconv.FormatInt(r.pos, 10))
		p := r.buf[:1+of(s.size, len(r.buf))]
		switch of(s.what, 32) {
		case 0:
			return f.Close()
		case 1, 2:
			r.pause(s.pause())
		case 3:
			hangUp(c, func(ctx context.Context) { f.ReadAtContext(ctx, p, r.pos) })
			return nil
		}
		ctx, cancel := within(s.pause())
		n, err := f.ReadAtContext(ctx, p, r.pos)
		cancel()
		if l.mayDrop.Load() && wasDropped(err) {
			return nil
		}
		if err := r.took(p[:n], err); err != nil {
			return fmt.Errorf("at %d: %w", r.pos, err)
		}
	}
	return nil
}

// took checks what a read brought.
func (r *placeReader) took(p []byte, err error) error {
	if first, gone := discarded(err); gone && first > r.pos {
		r.count("discarded", 1)
		r.jumped += first - r.pos
		r.pos = first
		r.check.jump(first)
		return nil
	}
	if err != nil {
		if err == io.EOF || gaveUp(err) {
			return nil
		}
		return err
	}
	if err := r.check.take(p, false); err != nil {
		return err
	}
	r.pos += int64(len(p))
	r.count("bytes read from places", len(p))
	if lacks := r.check.lacks(); lacks > r.jumped {
		return fmt.Errorf("it lacks %d bytes, and was told of %d", lacks, r.jumped)
	}
	return nil
}

// wasDropped reports whether err says that the reader is to read no more.
func wasDropped(err error) bool { return err != nil && strings.Contains(err.Error(), "dropped: ") }

// discarded returns the oldest byte that is retained, if err says that what was
// asked for is not.
func discarded(err error) (first int64, ok bool) {
	return offsetAfter(err, "discarded: ", " starts at ")
}

// A cursorReader reads a hub at the server's cursor. What it missed it learns
// from /status, if the server knows it by a name of its own.
type cursorReader struct {
	*actor
	c     *conn
	f     *client.File
	l     *ledger
	check checker
	buf   []byte

	freezes uint64 // of the hub, at the opening
	strict  bool   // the hub was so then: nothing may be missing
	lazy    bool
	start   int64 // offset at which it was opened; -1: not known
	got     int64 // bytes
	sure    bool  // nothing is under way, so got is all
}

// errFrozen says that a reader may have been given bytes of a plain file.
var errFrozen = errors.New("the hub may have been frozen")

func (a *actor) readCursor(c *conn, name, at string, s step) error {
	mode := one(s.how<<4, client.OREAD, client.OREAD, client.OREAD, uint8(client.ORDWR))
	f, l, err := a.open(c, name, at, mode)
	if err != nil {
		return err
	}
	r := &cursorReader{actor: a, c: c, f: f, l: l, buf: make([]byte, 256<<10), strict: l.strict.Load(), lazy: mode == client.ORDWR, sure: true}
	if r.freezes = l.freezes.Load(); l.frozen() {
		return f.Close() // it would read a plain file
	}
	offset, lost, err := r.place()
	if err != nil {
		return err
	}
	r.start = offset - lost
	if r.lazy {
		r.start = -1 // it starts when it first reads
	}
	r.check = l.checker(r.start)
	if of(s.how<<8, 4) == 0 {
		err = r.ahead(s)
	} else {
		err = r.oneByOne()
	}
	switch {
	case err == errFrozen || err == errHungUp || r.l.mayDrop.Load() && wasDropped(err):
		return nil
	case err == nil:
		err = r.account()
	}
	if err != nil {
		return err
	}
	return f.Close()
}

// errHungUp says that there is nothing more to be checked.
var errHungUp = errors.New("hung up")

// oneByOne reads with one read under way.
func (r *cursorReader) oneByOne() error {
	for !r.stopped() {
		s := r.next("reads " + r.l.name)
		p := r.buf[:1+of(s.size, len(r.buf))]
		d := s.pause()
		switch of(s.what, 32) {
		case 0:
			return nil
		case 1:
			r.pause(s.pause())
		case 2:
			d = 0
		case 3:
			hangUp(r.c, func(ctx context.Context) { r.f.ReadContext(ctx, p) })
			return errHungUp
		case 4, 5, 6, 7:
			p = p[:min(len(p), 1+of(s.where, 64))]
		}
		ctx, cancel := within(d)
		n, err := r.f.ReadContext(ctx, p)
		cancel()
		if err := r.took(p[:n], err); err != nil {
			return err
		}
		// A read that was given up may have taken what the next ones bring.
		r.sure = err == nil && n < len(p) || err == io.EOF && r.sure
	}
	return nil
}

// ahead reads with several reads under way, and now and then does not take what
// comes for a while.
func (r *cursorReader) ahead(s step) error {
	in := r.f.Reader(1 + of(s.size, 8))
	r.sure = false
	for !r.stopped() {
		s := r.next("reads ahead " + r.l.name)
		switch of(s.what, 32) {
		case 0:
			ctx, cancel := soon()
			defer cancel()
			return in.Close(ctx)
		case 1, 2:
			r.pause(4 * s.pause())
		case 3:
			if r.c.leash != nil {
				open := r.c.leash.stall()
				r.pause(8 * s.pause())
				open()
			}
		case 4:
			hangUp(r.c, func(ctx context.Context) { in.ReadContext(ctx, r.buf) })
			return errHungUp
		}
		p := r.buf[:1+of(s.size, len(r.buf))]
		ctx, cancel := within(s.pause())
		n, err := in.ReadContext(ctx, p)
		cancel()
		if err := r.took(p[:n], err); err != nil {
			return err
		}
	}
	ctx, cancel := soon()
	defer cancel()
	return in.Close(ctx)
}

// hangUp closes the connection in the middle of a read.
func hangUp(c *conn, read func(context.Context)) {
	done := make(chan struct{})
	go func() { // ends with the connection
		defer close(done)
		read(context.Background())
	}()
	c.Close()
	<-done
}

// took checks what a read brought.
func (r *cursorReader) took(p []byte, err error) error {
	if r.l.freezes.Load() != r.freezes {
		r.count("frozen", 1)
		return errFrozen
	}
	if err == io.EOF {
		r.count("ends of file", 1)
	}
	if err != nil && err != io.EOF && !gaveUp(err) {
		return err
	}
	if len(p) == 0 {
		return nil
	}
	r.got += int64(len(p))
	r.count("bytes read", len(p))
	if err := r.check.take(p, !r.strict); err != nil {
		return fmt.Errorf("after %d bytes, from %d on: %w", r.got-int64(len(p)), r.start, err)
	}
	return nil
}

// account compares what the server says about the reader with what it got.
func (r *cursorReader) account() error {
	at, lost, err := r.place()
	switch {
	case err != nil:
		return err
	case r.l.freezes.Load() != r.freezes:
		return nil
	case at < 0 || r.start < 0:
		return nil
	case r.start+r.got+lost > at || r.sure && r.start+r.got+lost != at:
		return fmt.Errorf("from %d on it got %d bytes and lost %d; the server says it is at %d", r.start, r.got, lost, at)
	case r.check.lacks() > lost:
		return fmt.Errorf("it lacks %d bytes, the server says that it lost %d", r.check.lacks(), lost)
	case lost > 0 && r.strict:
		return fmt.Errorf("it lost %d bytes of a hub that loses none", lost)
	}
	r.count("readers accounted for", 1)
	if r.sure {
		r.count("readers accounted for to the byte", 1)
	}
	if lost > 0 {
		r.count("readers that lost bytes", 1)
	}
	return nil
}

// place asks the server where the reader stands, and how much it has lost. It
// is -1 if the server knows it by no address of its own.
func (r *cursorReader) place() (at, lost int64, err error) {
	if r.c.addr == "" {
		return -1, 0, nil
	}
	ctx, cancel := soon()
	defer cancel()
	status, err := r.c.ReadFile(ctx, "/status")
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(status)) {
		f := fields(line)
		if len(f) < 6 || f[0] != "reader" || f[3] != r.c.addr {
			continue
		}
		at, err1 := strconv.ParseInt(f[4], 10, 64)
		lost, err2 := strconv.ParseInt(f[5], 10, 64)
		if err := errors.Join(err1, err2); err != nil {
			return 0, 0, fmt.Errorf("/status: %q: %w", line, err)
		}
		return at, lost, nil
	}
	if r.l.removed.Load() || r.l.mayDrop.Load() {
		return -1, 0, nil // a hub without a name is not shown, and nobody who was dropped
	}
	return 0, 0, fmt.Errorf("/status does not show the reader at %s of %s:\n%s", r.c.addr, r.l.name, status)
}
