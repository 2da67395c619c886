package soak

import (
	"context"
	"fmt"
	"io"
	"strings"

	"hubfs/client"
)

// shell is an actor that has shells of its own run, one after another, and
// proves that what it types comes back.
func (a *actor) shell() {
	for !a.stopped() {
		s := a.next("starts a shell")
		c, err := a.dial(step{how: s.how &^ 1}) // a Unix socket: what it starts it may remove
		if a.failed(err, "dial") {
			return
		}
		err = a.oneShell(c, s)
		c.Close()
		if !a.excused(c, err) && a.failed(err, "shell") {
			return
		}
	}
}

// A cat is a shell that gives back what it gets.
type cat struct {
	*actor
	c        *conn
	tag      byte
	in, out  *client.File
	typed    int64        // bytes that are in its stdin
	seen     int64        // of its stdout
	greets   int64        // bytes that came before those typed
	attached *client.File // its ctl; nil: not attached
	buf      []byte
}

func (a *actor) oneShell(c *conn, s step) error {
	ctx, cancel := soon()
	defer cancel()
	k := &cat{actor: a, c: c, tag: byte(a.lives) &^ high, buf: make([]byte, 64<<10)}
	command := "shell " + a.name + " -d / -p -- cat"
	if s.what&1 == 1 { // on a terminal, which says when it is one that changes nothing
		command, k.greets = "shell "+a.name+` -d / -- sh -c "stty raw -echo; echo; exec cat"`, 1
	}
	err := a.ctl(c, command)
	if err != nil {
		return err
	}
	if k.in, err = c.Open(ctx, a.name+"0", client.OWRITE); err != nil {
		return err
	}
	if k.out, err = c.Open(ctx, a.name+"1@", client.OREAD); err != nil {
		return err
	}
	if k.greets > 0 {
		if _, err := k.out.ReadAtContext(ctx, k.buf[:1], 0); err != nil {
			return err
		}
		k.seen = 1
	}
	for range 3 + of(s.size, 60) {
		if a.stopped() {
			break
		}
		s := a.next("types")
		if err := k.step(s); err != nil {
			return fmt.Errorf("%s, %d bytes typed, %d seen: %w", command, k.typed, k.seen, err)
		}
	}
	if err := k.end(s); err != nil {
		return fmt.Errorf("%s, %d bytes typed, %d seen: %w", command, k.typed, k.seen, err)
	}
	return nil
}

func (k *cat) step(s step) error {
	switch of(s.what, 12) {
	case 0:
		return k.attach(s)
	case 1, 2:
		return k.resize(s)
	case 3:
		return k.detach()
	case 4:
		k.pause(s.pause())
		return nil
	case 5, 6, 7:
		return k.see(s, k.greets+k.typed)
	default:
		return k.typeIn(s)
	}
}

// typeIn writes to the shell, and may give up.
func (k *cat) typeIn(s step) error {
	ctx, cancel := within(s.pause())
	defer cancel()
	p := k.buf[:min(s.words()*wordSize, len(k.buf))-of(s.who, wordSize)]
	fill(p, k.tag, k.typed)
	n, err := k.in.WriteContext(ctx, p)
	k.typed += int64(n)
	k.count("bytes typed", n)
	if gaveUp(err) {
		return nil
	}
	return err
}

// see reads what comes back, up to an offset, and may give up.
func (k *cat) see(s step, upTo int64) error {
	for k.seen < upTo {
		ctx, cancel := within(s.pause())
		n, err := k.out.ReadAtContext(ctx, k.buf, k.seen)
		cancel()
		if gaveUp(err) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := k.check(k.buf[:n]); err != nil {
			return err
		}
	}
	return nil
}

// check checks the next bytes that came back.
func (k *cat) check(p []byte) error {
	at := k.seen - k.greets
	k.count("bytes that came back", len(p))
	check := placed{tag: k.tag, pos: at, sure: true}
	if k.seen += int64(len(p)); k.seen > k.greets+k.typed {
		return fmt.Errorf("%d bytes came back", k.seen)
	}
	return check.take(p, false)
}

func (k *cat) attach(s step) error {
	ctx, cancel := soon()
	defer cancel()
	if k.attached != nil {
		return k.resize(s)
	}
	var err error
	k.attached, err = k.c.OpenWrite(ctx, "shell/"+k.name+"/ctl", client.ORDWR,
		fmt.Appendf(nil, "attach %s %d %d\n", one(s.how, "rw", "rw", "ro"), 1+of(s.size, 100), 1+of(s.where, 200)))
	return err
}

func (k *cat) resize(s step) error {
	if k.attached == nil {
		return nil
	}
	ctx, cancel := soon()
	defer cancel()
	_, err := k.attached.WriteContext(ctx, fmt.Appendf(nil, "size %d %d\n", 1+of(s.size, 100), 1+of(s.where, 200)))
	if err != nil {
		return err
	}
	notices, stop := within(s.pause())
	defer stop()
	n, err := k.attached.ReadContext(notices, k.buf)
	if err == nil && !strings.HasSuffix(string(k.buf[:n]), "\n") {
		return fmt.Errorf("notices: %q", k.buf[:n])
	}
	if gaveUp(err) {
		return nil
	}
	return err
}

func (k *cat) detach() error {
	if k.attached == nil {
		return nil
	}
	err := k.attached.Close()
	k.attached = nil
	return err
}

// end ends the shell and removes it. One whose input ends in order has given
// all back before it is said to have ended.
func (k *cat) end(s step) error {
	gently := k.greets == 0 && s.how&16 == 0 // the end of a terminal's input is for who types there to say
	if gently {
		if err := k.actor.ctl(k.c, "end "+k.name+"0"); err != nil {
			return err
		}
	} else if err := k.actor.ctl(k.c, "kill "+k.name); err != nil {
		return err
	}
	ctx, cancel := soon()
	defer cancel()
	status, err := k.c.ReadFile(ctx, "shell/"+k.name+"/wait")
	if err != nil {
		return err
	}
	if got := strings.TrimSpace(string(status)); gently && got != "exit 0" || !gently && got != "signal HUP" && got != "exit 0" {
		return fmt.Errorf("it ended with %q", got)
	}
	if err := k.rest(ctx); err != nil {
		return err
	}
	if gently && k.seen != k.typed {
		return fmt.Errorf("it ended in order, and not all came back")
	}
	return k.actor.ctl(k.c, "rm "+k.name)
}

// rest reads what is left of a stream that has ended.
func (k *cat) rest(ctx context.Context) error {
	for {
		n, err := k.out.ReadAtContext(ctx, k.buf, k.seen)
		if first, gone := discarded(err); gone && first > k.seen {
			k.seen = first
			continue
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := k.check(k.buf[:n]); err != nil {
			return err
		}
	}
}
