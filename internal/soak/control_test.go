package soak

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"hubfs/client"
)

// control is the actor that changes the ways of hubs, freezes and removes them.
// There is one, so that it knows what is frozen.
func (a *actor) control() {
	c, err := a.dial(step{}) // a plain Unix socket: it may remove what is not its own
	if a.failed(err, "dial") {
		return
	}
	defer c.Close()
	for !a.stopped() {
		s := a.next("controls")
		a.pause(s.pause())
		name := one(s.who, hubNames...)
		if err := a.controlOne(c, name, s); !errors.Is(err, client.ErrNotExist) && a.failed(err, "control %s", name) {
			return
		}
	}
}

func (a *actor) controlOne(c *conn, name string, s step) error {
	switch of(s.what, 16) {
	case 0, 1, 2:
		return a.ctl(c, fmt.Sprintf("size %s %d", name, (1+of(s.size, one(s.where, 512, 16<<10, 512<<10)))*wordSize))
	case 3, 4:
		if staysInFear(name) {
			return nil
		}
		return a.ctl(c, one(s.where, "calm ", "fear ")+name)
	case 5, 6:
		return a.ctl(c, "eof "+name)
	case 7:
		return a.ctl(c, one(s.where, "trunc ", "notrunc ")+name)
	case 8:
		if err := a.ctl(c, fmt.Sprintf("limit %s %d", name, 1<<20+s.size>>8)); err != nil {
			return err
		}
		a.pause(2 * s.pause())
		return a.ctl(c, "nolimit "+name)
	case 9, 10:
		return a.freeze(c, name, s)
	case 12:
		return a.endAndReopen(c, name, s)
	case 11:
		if of(s.size, 4) == 0 {
			return a.remove(c, name)
		}
	case 13, 14:
		return a.look(c, s)
	case 15:
		return a.churn(s)
	}
	return nil
}

// freeze freezes a hub, reads it as the plain file that it is then, and melts
// it.
func (a *actor) freeze(c *conn, name string, s step) (err error) {
	l := a.live(name)
	if l == nil {
		return nil
	}
	l.freezes.Add(1)
	defer l.freezes.Add(1)
	if err := a.ctl(c, "freeze "+name); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.ctl(c, "melt "+name)) }()
	ctx, cancel := soon()
	defer cancel()
	info, err := c.Stat(ctx, name)
	if err != nil {
		return err
	}
	b, err := c.ReadFile(ctx, name)
	if err != nil {
		return err
	}
	if info.Length != int64(len(b)) {
		return fmt.Errorf("frozen, it is %d bytes long and gave %d", info.Length, len(b))
	}
	a.pause(s.pause())
	again, err := c.ReadFile(ctx, name)
	if err != nil {
		return err
	}
	if !bytes.Equal(b, again) {
		return fmt.Errorf("frozen, it gave %d bytes and then %d others", len(b), len(again))
	}
	return l.checker(-1).take(b, false)
}

// endAndReopen ends a stream; a reader who has all is at its end then.
func (a *actor) endAndReopen(c *conn, name string, s step) error {
	l := a.live(name)
	if l == nil {
		return nil
	}
	l.ended.Store(true)
	if err := a.ctl(c, "end "+name+" over"); err != nil {
		return err
	}
	ctx, cancel := soon()
	defer cancel()
	f, err := c.Open(ctx, name+"@end", client.OREAD)
	if err != nil {
		return err
	}
	defer f.Close()
	if n, err := f.ReadContext(ctx, make([]byte, 1)); err != io.EOF {
		return fmt.Errorf("at the end of an ended stream: %d bytes, %v", n, err)
	}
	a.pause(s.pause())
	return a.ctl(c, "reopen "+name)
}

// remove takes a hub's name away; those who have it open go on. The next who
// wants it makes another one.
func (a *actor) remove(c *conn, name string) error {
	l := a.live(name)
	if l == nil || staysInFear(name) && !l.fear.Load() {
		return nil // its maker is about to set its ways, by its name
	}
	l.removed.Store(true)
	return a.ctl(c, "rm "+name)
}

// look reads what describes the server, which must be well formed.
func (a *actor) look(c *conn, s step) error {
	ctx, cancel := soon()
	defer cancel()
	switch of(s.size, 3) {
	case 0:
		_, err := c.ReadDir(ctx, "/")
		return err
	case 1:
		_, err := c.ReadDir(ctx, "/shell")
		return err
	}
	st, err := c.status(ctx)
	if err != nil {
		return err
	}
	for _, f := range st.lines("hub") {
		if len(f) < 9 {
			return fmt.Errorf("/status: %q", f)
		}
		for _, n := range append(f[2:7:7], f[8]) {
			if _, err := strconv.ParseInt(n, 10, 64); err != nil {
				return fmt.Errorf("/status: %q: %w", f, err)
			}
		}
	}
	return nil
}

// churn connects and hangs up, in the middle of a message or before the first.
func (a *actor) churn(s step) error {
	for range 1 + of(s.size, 8) {
		c, err := a.dial(step{how: (s.how | 2) &^ 4})
		if err != nil {
			return err
		}
		if c.leash != nil {
			c.leash.cutAfter(of(s.where, 40))
		}
		ctx, cancel := within(s.pause())
		c.Stat(ctx, one(s.who, hubNames...)) // whatever comes of it
		cancel()
		c.Close()
	}
	return nil
}

// listen is the actor that reads the events.
func (a *actor) listen() {
	c, err := a.dial(step{})
	if a.failed(err, "dial") {
		return
	}
	defer c.Close()
	ctx, cancel := soon()
	defer cancel()
	f, err := c.Open(ctx, "/events", client.OREAD)
	if a.failed(err, "open /events") {
		return
	}
	in := f.Reader(2)
	buf := make([]byte, 4096)
	for !a.stopped() {
		s := a.next("listens")
		ctx, cancel := within(s.pause())
		n, err := in.ReadContext(ctx, buf)
		cancel()
		if !gaveUp(err) && a.failed(err, "read /events") {
			return
		}
		if bytes.ContainsRune(buf[:n], 0) {
			a.fail("%s: %q", a.name, buf[:n])
		}
	}
}

// A status is the lines of /status, in fields.
type status [][]string

func (c *conn) status(ctx context.Context) (status, error) {
	b, err := c.ReadFile(ctx, "/status")
	if err != nil {
		return nil, err
	}
	var st status
	for line := range strings.Lines(string(b)) {
		st = append(st, strings.Fields(line))
	}
	return st, nil
}

// lines returns those that begin with what.
func (st status) lines(what string) status {
	var some status
	for _, f := range st {
		if f[0] == what {
			some = append(some, f)
		}
	}
	return some
}
