package soak

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"hubfs/client"
)

// plumb is an actor that has hubs carried into others, as they are or through a
// program, and proves that what comes out is what went in.
func (a *actor) plumb() {
	for !a.stopped() {
		s := a.next("plumbs")
		c, err := a.dial(step{how: s.how &^ 1}) // a Unix socket: what it makes it may remove
		if a.failed(err, "dial") {
			return
		}
		err = a.onePipe(c, s)
		c.Close()
		if !a.excused(c, err) && a.failed(err, "pipe") {
			return
		}
	}
}

func (a *actor) onePipe(c *conn, s step) error {
	from := one(s.who, "pf", "ps") // of others bytes may be missing anywhere
	at := one(s.where, "", "@end", "@-1000")
	to := fmt.Sprintf("%s.%d", a.name, a.lives)
	f, l, err := a.open(c, from, "", client.OREAD)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil || !l.strict.Load() {
		return err
	}
	ctx, cancel := soon()
	defer cancel()
	made, err := c.Create(ctx, to, 0o666, client.ORDWR)
	if err != nil {
		return err
	}
	defer made.Close()
	if err := a.ctl(c, "fear "+to); err != nil {
		return err
	}
	command := "pipe " + from + at + one(s.size, " ", " -- cat -- ") + to
	a.count("pipes", 1)
	id, err := pipe(ctx, c, command)
	if err == nil {
		err = a.readPipe(made, l)
		err = errors.Join(err, a.unpipe(c, id))
	} else if errors.Is(err, client.ErrNotExist) { // the source was removed just now
		err = nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	return a.ctl(c, "rm "+to)
}

// pipe makes a pipe and returns its number.
func pipe(ctx context.Context, c *conn, command string) (id string, err error) {
	f, err := c.OpenWrite(ctx, "/ctl", client.ORDWR, []byte(command+"\n"))
	if err != nil {
		return "", err
	}
	defer f.Close()
	buf := make([]byte, 64)
	n, err := f.ReadContext(ctx, buf)
	if err != nil {
		return "", err
	}
	id, ok := strings.CutPrefix(strings.TrimSpace(string(buf[:n])), "pipe ")
	if !ok {
		return "", fmt.Errorf("/ctl says %q", buf[:n])
	}
	return id, nil
}

func (a *actor) unpipe(c *conn, id string) error {
	err := a.ctl(c, "unpipe "+id)
	if errors.Is(err, client.ErrNotExist) || err != nil && strings.Contains(err.Error(), "no pipe") {
		return nil // it ended with its source, long ago
	}
	return err
}

// readPipe reads what comes out of a pipe.
func (a *actor) readPipe(f *client.File, l *ledger) error {
	check := l.checker(-1)
	buf := make([]byte, 64<<10)
	for range 64 {
		if a.stopped() {
			break
		}
		s := a.next("reads a pipe of " + l.name)
		if of(s.what, 16) == 0 {
			a.pause(s.pause())
		}
		ctx, cancel := within(s.pause())
		n, err := f.ReadContext(ctx, buf[:1+of(s.size, len(buf))])
		cancel()
		switch {
		case err == io.EOF || gaveUp(err):
		case err != nil:
			return err
		default:
			a.count("bytes out of pipes", n)
			if err := check.take(buf[:n], false); err != nil {
				return err
			}
		}
	}
	return nil
}
