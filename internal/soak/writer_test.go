package soak

import (
	"errors"
	"strconv"
	"strings"

	"hubfs/client"
)

// write is an actor that writes to one hub after another, for some steps each.
func (a *actor) write() {
	for !a.stopped() {
		s := a.next("writes")
		c, err := a.dial(s)
		if a.failed(err, "dial") {
			return
		}
		name := one(s.who, hubNames...)
		if isPlaced(name) {
			err = a.writePlaced(c, name)
		} else {
			err = a.writeMixed(c, name)
		}
		c.Close()
		if err != errGone && !a.excused(c, err) && a.failed(err, "write %s", name) {
			return
		}
	}
}

// writeMixed writes to a mixed hub as a new author.
func (a *actor) writeMixed(c *conn, name string) error {
	f, l, err := a.open(c, name, "", client.OWRITE)
	if err != nil {
		return err
	}
	author := l.newAuthor()
	if author == nil {
		return nil
	}
	m := &mixedWriter{a, c, f, l, author}
	for !a.stopped() {
		s := a.next("author " + strconv.FormatUint(author.id, 10) + " of " + name)
		more := true
		switch of(s.what, 16) {
		case 0, 1:
			err = m.burst(s)
		case 2:
			more, err = false, m.cut(s)
		case 3:
			more, err = false, m.leave(s)
		case 4:
			return f.Close()
		case 5:
			a.pause(s.pause())
		default:
			err = m.once(s)
		}
		switch {
		case l.ended.Load() && hasEnded(err):
		case err != nil || !more:
			return err
		}
	}
	return nil
}

func hasEnded(err error) bool { return err != nil && strings.HasSuffix(err.Error(), "has ended") }

// A mixedWriter is an author at work.
type mixedWriter struct {
	*actor
	c *conn
	f *client.File
	l *ledger
	*author
}

// words makes the author's next n words, which count as sent from now on.
func (m *mixedWriter) words(n int) []byte {
	p := make([]byte, n*wordSize)
	write(p, m.l.tag, m.id, m.sent.Load())
	m.sent.Add(uint64(n))
	return p
}

// unsent says that the last n words were not, after all.
func (m *mixedWriter) unsent(n int) { m.sent.Add(-uint64(n)) }

// once makes one write, which may be given up.
func (m *mixedWriter) once(s step) error {
	ctx, cancel := soon()
	if s.how%4 == 0 {
		ctx, cancel = within(s.pause())
	}
	defer cancel()
	p := m.words(s.words())
	n, err := m.f.WriteContext(ctx, p)
	switch {
	case n == len(p):
		m.acked.Store(m.sent.Load())
		m.count("bytes written", n)
		return nil
	case n != 0:
		return errors.Join(errors.New("a write was taken in part"), err)
	case errors.Is(err, client.ErrLost):
		return err // nobody knows
	}
	// It has not happened, and these words will come again.
	m.unsent(len(p) / wordSize)
	if gaveUp(err) && s.how%4 == 0 {
		m.count("writes given up", 1)
		return nil
	}
	return err
}

// burst makes many writes that do not wait for one another.
func (m *mixedWriter) burst(s step) error {
	ctx, cancel := soon()
	defer cancel()
	if err := m.once(step{size: 1<<16 - 1, how: 1}); err != nil { // no larger one: all go at once
		return err
	}
	w := m.f.Writer(1 + of(s.who, 16))
	for range 1 + of(s.where, 40) {
		n := 1 + of(s.size, 32)
		if _, err := w.WriteContext(ctx, m.words(n)); err != nil {
			return m.uncertain(err)
		}
	}
	if err := w.Flush(ctx); err != nil {
		return m.uncertain(err)
	}
	m.acked.Store(m.sent.Load())
	return nil
}

// uncertain is for an end of which it is not known how much was written. If
// that is because the stream has ended it is the end of the author, too.
func (m *mixedWriter) uncertain(err error) error {
	if m.l.ended.Load() && hasEnded(err) {
		return errGone
	}
	return err
}

// errGone says that an actor cannot go on with a hub, and that this is in order.
var errGone = errors.New("gone")

// cut ends the connection in the middle of a write, which then has not
// happened.
func (m *mixedWriter) cut(s step) error {
	if m.c.leash == nil {
		return m.leave(s)
	}
	ctx, cancel := soon()
	defer cancel()
	n := s.words()
	p := m.words(n)
	m.c.leash.cutAfter(1 + of(s.where, len(p)))
	k, err := m.f.WriteContext(ctx, p)
	if err == nil {
		return errors.New("a write over a connection that was cut succeeded")
	}
	if k > 0 || !errors.Is(err, client.ErrLost) {
		return err
	}
	m.unsent(n)
	m.count("writes cut", 1)
	return nil
}

// leave hangs up with writes under way.
func (m *mixedWriter) leave(s step) error {
	ctx, cancel := within(s.pause())
	defer cancel()
	w := m.f.Writer(8)
	for range 1 + of(s.where, 8) {
		if _, err := w.WriteContext(ctx, m.words(1+of(s.size, 64))); err != nil {
			break
		}
	}
	return nil // the caller hangs up
}

// writePlaced writes to a placed hub, of which others write other parts, and
// the same.
func (a *actor) writePlaced(c *conn, name string) error {
	f, l, err := a.open(c, name, "@", client.OWRITE)
	if err != nil {
		return err
	}
	pos := int64(0)
	for !a.stopped() {
		s := a.next("author at " + strconv.FormatInt(pos, 10) + " of " + name)
		switch of(s.what, 16) {
		case 0:
			if err := f.Close(); c.leash == nil || !c.leash.isCut() || !errors.Is(err, client.ErrLost) {
				return err
			}
			return nil
		case 1:
			a.pause(s.pause())
			continue
		case 2, 3: // as one who does not know how far he came
			pos = max(0, pos-int64(of(s.where, 4096)))
		case 4:
			if c.leash != nil {
				c.leash.cutAfter(1 + of(s.where, 64<<10))
			}
		}
		ctx, cancel := soon()
		if s.how%4 == 0 {
			ctx, cancel = within(s.pause())
		}
		p := make([]byte, s.words()*wordSize-of(s.who, wordSize))
		fill(p, l.tag, pos)
		n, err := f.WriteAtContext(ctx, p, pos)
		cancel()
		pos += int64(n)
		a.count("bytes written to places", n)
		switch end, gap := gapAt(err); {
		case gap && pos <= end:
			a.fail("%s: write of %d bytes at %d of %s: %v", a.name, len(p), pos, name, err)
		case gap:
			a.count("gaps", 1)
			pos = end
		case n > 0 && n < len(p):
			return errors.Join(errors.New("a write was taken in part"), err)
		case n == len(p):
			l.acked.Store(max(l.acked.Load(), pos)) // of two at once the lower may win: a bound still
		case gaveUp(err) && s.how%4 == 0:
		case c.leash != nil && c.leash.isCut() && errors.Is(err, client.ErrLost):
			return nil
		case l.ended.Load() && hasEnded(err):
		case err != nil:
			return err
		}
	}
	return nil
}

// gapAt returns where the stream ends, if err says that a write would leave a
// gap.
func gapAt(err error) (end int64, ok bool) { return offsetAfter(err, "gap: ", " ends at ") }

// offsetAfter returns the number at the end of an error that begins with what.
func offsetAfter(err error, what, before string) (int64, bool) {
	if err == nil || !strings.Contains(err.Error(), what) {
		return 0, false
	}
	_, digits, ok := strings.Cut(err.Error(), before)
	n, bad := strconv.ParseInt(digits, 10, 64)
	return n, ok && bad == nil
}
