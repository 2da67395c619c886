package soak

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"hubfs/client"
)

// control is the actor that changes the ways of hubs, freezes and removes them,
// and restarts the server. There is one, so that it knows what is so.
func (a *actor) control() {
	var c *conn
	defer func() {
		if c != nil {
			c.Close()
		}
	}()
	for !a.stopped() {
		if c == nil {
			var err error
			// A plain Unix socket: it may remove what is not its own.
			if c, err = a.dial(step{}); a.failed(err, "dial") {
				return
			}
		}
		s := a.next("controls")
		a.pause(s.pause())
		if of(s.what, 80) == 0 {
			c.Close()
			c = nil
			if a.failed(a.restart(), "restart") {
				return
			}
			continue
		}
		name := one(s.who, hubNames...)
		if err := a.controlOne(c, name, s); !errors.Is(err, client.ErrNotExist) && a.failed(err, "control %s", name) {
			return
		}
	}
}

func (a *actor) controlOne(c *conn, name string, s step) error {
	switch of(s.what<<8, 20) {
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
	case 16:
		return a.drop(c, s)
	case 17, 18:
		return a.spool(c, name, s)
	case 19:
		if l := a.live(name); l != nil {
			l.mayDrop.Store(true)
			return a.ctl(c, one(s.size, "patience "+name+" 1", "nopatience "+name))
		}
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
	if info.Length > 8<<20 {
		return nil // on disk, and it would take its time
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
	if l == nil || isStrict(name) && !l.strict.Load() {
		return nil // its maker is about to set its ways, by its name
	}
	l.removed.Store(true)
	return a.ctl(c, "rm "+name)
}

// drop drops a reader.
func (a *actor) drop(c *conn, s step) error {
	ctx, cancel := soon()
	defer cancel()
	st, err := c.status(ctx)
	if err != nil {
		return err
	}
	readers := st.lines("reader")
	if len(readers) == 0 {
		return nil
	}
	f := readers[of(s.size, len(readers))]
	if len(f) < 7 {
		return fmt.Errorf("/status: %q", f)
	}
	l := a.live(f[1])
	if l == nil {
		return nil // of a shell, or the events
	}
	l.mayDrop.Store(true)
	return a.ctl(c, "drop "+f[6])
}

// spool has the history of a hub on disk, or not any more: then its folder
// stays as it is, and nobody owns it.
func (a *actor) spool(c *conn, name string, s step) error {
	l := a.live(name)
	if l == nil || isStrict(name) {
		return nil
	}
	if !l.onDisk.Load() {
		l.mayDisk.Store(true)
		err := a.ctl(c, "spool "+name+" -f "+one(s.size, "never", "second", "always"))
		l.onDisk.Store(err == nil)
		return err
	}
	ctx, cancel := soon()
	defer cancel()
	st, err := c.status(ctx)
	if err != nil {
		return err
	}
	for _, f := range st.lines("spool") {
		if f[1] == name {
			a.mu.Lock()
			a.left[f[2]] = true
			a.mu.Unlock()
		}
	}
	l.onDisk.Store(false)
	if err := a.ctl(c, "nospool "+name); err != nil {
		return err
	}
	l.mayDisk.Store(false)
	return nil
}

// restart ends the server and starts it again. What was on disk must be there
// again, and nothing else.
func (a *actor) restart() error {
	w := a.world
	w.count("restarts", 1)
	w.mu.Lock()
	w.run++
	run := w.run
	w.up = make(chan struct{})
	w.mu.Unlock()
	if err := w.end(); err != nil {
		return err
	}
	if err := w.start(); err != nil {
		return err
	}
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		close(w.up)
	}()
	c, err := a.dialRun(run, step{})
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, cancel := soon()
	defer cancel()
	st, err := c.status(ctx)
	if err != nil {
		return err
	}
	for _, f := range st.lines("hub") {
		info, err := c.Stat(ctx, f[1])
		if err != nil {
			return err
		}
		l := w.live(f[1])
		if l == nil || !l.mayDisk.Load() {
			return fmt.Errorf("there is a hub that was not on disk: %q", f)
		}
		l.onDisk.Store(true)
		w.mu.Lock()
		w.ledgers[hubID{run, info.Path / pathStep}] = l
		w.mu.Unlock()
		if err := w.checkHub(c, f); err != nil {
			return err
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, l := range w.ledgers {
		if id.run == run {
			continue
		}
		delete(w.ledgers, id)
		if here := slices.Contains(slices.Collect(maps.Values(w.ledgers)), l); !here && !l.removed.Load() && l.onDisk.Load() {
			return fmt.Errorf("hub %s was on disk and is not there", l.name)
		}
	}
	return nil
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
	for !a.stopped() {
		c, err := a.dial(step{})
		if a.failed(err, "dial") {
			return
		}
		err = a.readEvents(c)
		c.Close()
		if !a.excused(c, err) && !wasDropped(err) && a.failed(err, "/events") {
			return
		}
	}
}

func (a *actor) readEvents(c *conn) error {
	ctx, cancel := soon()
	defer cancel()
	f, err := c.Open(ctx, "/events", client.OREAD)
	if err != nil {
		return err
	}
	in := f.Reader(2)
	for !a.stopped() {
		s := a.next("listens")
		ctx, cancel := within(s.pause())
		p, err := in.Next(ctx)
		cancel()
		if err != nil && !gaveUp(err) {
			return err
		}
		if !utf8.Valid(p) || bytes.IndexByte(p, 0) >= 0 {
			return fmt.Errorf("%q", p)
		}
	}
	return nil
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
		st = append(st, fields(line))
	}
	return st, nil
}

// fields takes a line of /status apart. What holds a blank is quoted.
func fields(line string) []string {
	var all []string
	for i, part := range strings.Split(strings.TrimSuffix(line, "\n"), "'") {
		if i%2 == 1 {
			all = append(all, part)
		} else {
			all = append(all, strings.Fields(part)...)
		}
	}
	return all
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
