package session

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"sync"
	"time"

	"hubfs/client"
	"hubfs/cmd/hub/internal/ansi"
	"hubfs/cmd/hub/internal/server"
	"hubfs/pipes"
	"hubfs/shellctl"
)

// A view is one shell as it is attached to, over one connection after another.
// The loop owns it; its goroutines end with close.
type view struct {
	// Set by open, then immutable.
	s    *session
	name string
	key  string // of our input: it tells what we type from what others do
	pty  bool
	dead bool          // the shell had ended when we came
	ro   bool          // we only watch
	raw  bool          // its output goes to a terminal in raw mode; set by start
	hubs [3]server.Hub // as NAME0, NAME1 and NAME2 were when we came

	ctx    context.Context // of the goroutines
	cancel context.CancelFunc
	wg     sync.WaitGroup

	typed *outbox // to the input; nil if we only watch

	past []byte // of NAME1, as it was when we came; copyOut shows and drops it

	// The loop's.
	askers  map[string]bool // grants of those who ask to type, by ID
	lost    bool            // the machine that runs it is not connected
	notices <-chan string   // lines from ctl; nil at their end
	shown   chan error      // one value: the output has ended, or broken
	drained bool            // it has ended and is shown
	exit    *shellctl.Status
	rows    int // as the server was told
	cols    int

	ready chan struct{} // closed when what is typed goes over the link; nil: it does

	delays [3]*pipes.Delay // in front of what is typed, Out and Err; set by open

	mu      sync.Mutex
	link    *link         // guarded by mu: the newest; the loop changes it
	changed chan struct{} // guarded by mu: closed when link changes
}

// open attaches to a shell.
func (s *session) open(ctx context.Context, name string) (*view, error) {
	v := &view{s: s, name: name, key: rand.Text(), ro: s.cfg.ReadOnly, shown: make(chan error, 1), changed: make(chan struct{})}
	v.ctx, v.cancel = context.WithCancel(context.WithoutCancel(ctx))
	v.rows, v.cols = s.cfg.Terminal.size()
	show := func(w io.Writer) sink {
		return func(ctx context.Context, p []byte) error { return s.screen.show(ctx, w, p) }
	}
	for i, to := range []sink{v.put, show(s.cfg.Terminal.Out), show(s.cfg.Terminal.Err)} {
		v.delays[i] = pipes.NewDelay(to)
	}
	if !s.cfg.Terminal.IsTerminal() {
		// Without a size of our own we vote for what is.
		if sh, err := s.srv.Shell(ctx, name); err == nil && sh.Rows > 0 {
			v.rows, v.cols = sh.Rows, sh.Cols
		}
	}
	past := func(ctx context.Context, l *link) (err error) {
		v.past, err = l.last(ctx, l.out, 1, l.st.Hubs[1].Next, s.cfg.History)
		return err
	}
	l, err := v.openLink(ctx, s.srv, v.rows, v.cols, past)
	if errors.Is(err, client.ErrPermission) && !v.ro {
		v.ro = true // which may be what we may
		if l, err = v.openLink(ctx, s.srv, v.rows, v.cols, past); err == nil {
			s.screen.say(fmt.Sprintf("hub: you may only watch shell %s\n", name))
		}
	}
	if err != nil {
		v.cancel()
		return nil, err
	}
	v.link, v.hubs = l, l.st.Hubs
	v.pty, v.dead, v.lost = l.pty(), !l.st.Shell.Running(), l.st.Shell.State == "lost"
	if !v.ro {
		v.typed = &outbox{ctx: v.ctx, drops: s.cfg.Terminal.IsTerminal(), refuse: v.refused}
		if l.in != nil {
			v.typed.connect(l.in)
		}
	}
	return v, nil
}

// refused says why nothing that is typed is taken any more. Of a shell that has
// ended its end says more.
func (v *view) refused(err error) {
	if server.Conflict(err) || errors.Is(err, client.ErrPermission) {
		v.s.screen.say(fmt.Sprintf("hub: what is typed does not go to shell %s any more: %v\n", v.name, err))
	}
}

// A sink is a function as a pipes.Sink: it takes all or fails.
type sink func(ctx context.Context, p []byte) error

func (f sink) WriteContext(ctx context.Context, p []byte) (int, error) {
	if err := f(ctx, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// put sends what was typed.
func (v *view) put(_ context.Context, p []byte) error {
	v.typed.put(p)
	return nil
}

// together runs fns at once and returns the first error of the list.
func together(fns ...func() error) error {
	errs := make([]error, len(fns))
	var wg sync.WaitGroup
	for i, fn := range fns {
		wg.Go(func() { errs[i] = fn() })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// start begins to show the shell.
func (v *view) start() {
	s := v.s
	v.raw = s.raw
	v.hear(v.link)
	v.wg.Add(1)
	s.guard(func() { // ends with the view's context
		defer v.wg.Done()
		t := s.cfg.Terminal
		fns := []func() error{func() error { return v.copyOut(1, t.Out) }}
		if !v.pty {
			fns = append(fns, func() error { return v.copyOut(2, t.Err) })
		}
		v.shown <- together(fns...)
	})
}

// hear begins to read the notices of a link.
func (v *view) hear(l *link) {
	v.notices = l.told
	v.wg.Add(1)
	v.s.guard(func() { // ends with the connection, or with the view's context
		defer v.wg.Done()
		l.listen(v.ctx)
	})
}

// relink goes on over another connection. If nudge is set the shell's programs
// are made to draw their screen again.
func (v *view) relink(l *link, nudge bool) {
	v.mu.Lock()
	v.link = l
	close(v.changed)
	v.changed = make(chan struct{})
	v.mu.Unlock()
	v.rows, v.cols = l.rows, l.cols
	v.hear(l)
	if !nudge || v.ro || !v.pty || l.rows < 2 {
		v.letType(l)
		return
	}
	// First the one, then the other: less(1) forgets keys that come while it
	// sees to a new size.
	ready := make(chan struct{})
	v.ready = ready
	v.wg.Go(func() { // ends with the server's answers, or with the connection
		defer close(ready)
		for _, rows := range []int{l.rows - 1, l.rows} {
			_, _ = l.ctl.WriteContext(v.ctx, []byte(sizeLine(rows, l.cols)))
		}
		v.letType(l)
	})
}

// letType lets what is typed go over a link, unless there is a newer one.
func (v *view) letType(l *link) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.link == l && v.typed != nil && l.in != nil {
		v.typed.connect(l.in)
	}
}

// now is the link that there is.
func (v *view) now() *link {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.link
}

// after waits for another link than l, which is lost.
func (v *view) after(ctx context.Context, l *link) (*link, error) {
	for {
		v.mu.Lock()
		now, changed := v.link, v.changed
		v.mu.Unlock()
		if now != l {
			return now, nil
		}
		select {
		case <-changed: // look again
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// close detaches, and waits for the view's goroutines. What was typed is
// delivered first, if the shell takes it.
func (v *view) close() {
	if v.typed != nil {
		if v.ready != nil {
			select {
			case <-v.ready:
			case <-time.After(time.Second):
			}
		}
		v.typed.flush(time.Second)
	}
	v.cancel()
	closed := make(chan struct{})
	go func() { // ends with the server's answers, or with the connection
		v.wg.Wait()
		v.now().close()
		close(closed)
	}()
	select {
	case <-closed:
	case <-time.After(time.Second): // the terminal or the server takes nothing
	}
}

// copyOut shows NAMEi, one of the shell's output hubs: its history and then what
// comes, until the hub has ended.
func (v *view) copyOut(i int, w io.Writer) error {
	l := v.now()
	off := v.hubs[i].Next
	var past []byte
	var err error
	if i == 1 {
		past, v.past = v.past, nil
	} else {
		past, err = l.last(v.ctx, l.file(i), i, off, v.s.cfg.History)
	}
	if err == nil {
		err = v.showPast(v.ctx, past, w)
	}
	var broken damage
	for {
		if err == nil {
			off, err = v.copyFrom(l, i, off, w)
		}
		if !lost(err) {
			return ignoreCancel(v.ctx, err)
		}
		if l, err = v.after(v.ctx, l); err != nil {
			return nil // we leave
		}
		if i == 1 {
			err = v.repair(v.ctx, l, off, &broken)
		}
	}
}

// file is that of NAMEi.
func (l *link) file(i int) *client.File {
	if i == 2 {
		return l.errs
	}
	return l.out
}

// copyFrom shows NAMEi from off on, as long as the link lives. It returns how
// far it came.
func (v *view) copyFrom(l *link, i int, off int64, w io.Writer) (int64, error) {
	r := l.file(i).Onward(off, windowFor(l.srv))
	defer r.Close()
	for {
		p, err := r.Next(v.ctx)
		first, gone := server.Discarded(err)
		switch {
		case err == nil:
			if _, err := v.delays[i].WriteContext(v.ctx, p); err != nil {
				return off, err
			}
			off = r.Offset()
		case errors.Is(err, io.EOF):
			if ended, err := l.atEnd(v.ctx, v.hubs[i].Name, off); ended || err != nil {
				return off, err
			}
		case gone:
			v.s.screen.say(fmt.Sprintf("hub: skipped %d bytes\n", first-off))
			r.Resume(first)
			off = first
		default:
			return off, err
		}
	}
}

// A damage is what a line of ours over the last row has done to the screen.
type damage struct {
	again bool   // what stood there is to be shown again
	rest  []byte // what the output stood in the middle of
}

// repair brings back what stood on the screen before the line about the lost
// connection was written over it. The output stands at off. Programs that have
// the whole screen draw it themselves.
func (v *view) repair(ctx context.Context, l *link, off int64, d *damage) error {
	out := v.s.cfg.Terminal.Out
	v.s.screen.takeRow(d)
	if d.again {
		rows, _ := v.s.cfg.Terminal.size()
		past, err := l.last(ctx, l.out, 1, off, rows-1)
		if err != nil {
			return err
		}
		v.s.screen.clear()
		if err := v.showPast(ctx, bytes.TrimSuffix(past, d.rest), out); err != nil {
			return err
		}
	}
	rest := d.rest
	*d = damage{}
	return v.s.screen.show(ctx, out, rest)
}

func ignoreCancel(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// showPast shows old output.
func (v *view) showPast(ctx context.Context, past []byte, w io.Writer) error {
	if len(past) == 0 {
		return nil
	}
	if v.raw {
		past = ansi.Quiet(past)
	}
	return v.s.screen.show(ctx, w, past)
}

// atEnd is asked when a read at off gave the end of the file: a mark that
// somebody set, a hub that stands still, or the end for good. It returns when
// reading again makes sense.
func (l *link) atEnd(ctx context.Context, name string, off int64) (ended bool, err error) {
	h, ok, err := l.srv.Hub(ctx, name)
	switch {
	case err != nil:
		return false, err
	case !ok || h.Is("ended"):
		// Removed or replaced, it has ended too.
		return !ok || h.Next <= off, nil
	case h.Is("frozen") && h.Next <= off:
		return false, l.srv.Melted(ctx, name)
	}
	return false, nil
}

// resize tells the server the terminal's size, if it has changed. While there
// is no connection nobody is told: the next begins with it.
func (v *view) resize() {
	rows, cols := v.s.cfg.Terminal.size()
	if v.s.away != nil || !v.pty || !v.s.cfg.Terminal.IsTerminal() || rows == v.rows && cols == v.cols {
		return
	}
	v.rows, v.cols = rows, cols
	v.vote(rows, cols)
}

// vote tells the server a size. One who watches has no vote.
func (v *view) vote(rows, cols int) {
	if !v.ro && v.exit == nil {
		v.now().say(v.ctx, sizeLine(rows, cols))
	}
}

func sizeLine(rows, cols int) string {
	return server.Line("size", strconv.Itoa(rows), strconv.Itoa(cols))
}

// ignoreEnded drops what the server has against a request. It is about a
// shell that has just ended: the notice of that is on its way.
func ignoreEnded(err error) error {
	if errors.As(err, new(*client.Error)) {
		return nil
	}
	return err
}

// redraw makes the programs of the shell draw their screen again: they do when
// its size changes. Where no program has the whole screen, the last output is
// shown again first.
func (v *view) redraw(ctx context.Context) error {
	if !v.raw || v.s.away != nil {
		return nil
	}
	if !v.s.screen.inAlternate() {
		if err := v.showAgain(ctx); err != nil {
			return err
		}
	}
	v.nudge()
	return nil
}

// showAgain clears the screen and shows the last lines of the output.
func (v *view) showAgain(ctx context.Context) error {
	h, ok, err := v.s.srv.Hub(ctx, v.name+"1")
	if err != nil || !ok {
		return err
	}
	// A file of its own: behind the read that waits for output on v.out, this
	// one would wait as well.
	f, err := v.s.srv.Open(ctx, "/"+v.name+"1@", client.OREAD)
	if err != nil {
		return err
	}
	defer f.Close()
	v.s.screen.clear()
	past, err := server.LastLines(ctx, f, h, v.rows-1)
	if err != nil {
		return err
	}
	return v.showPast(ctx, past, v.s.cfg.Terminal.Out)
}

// nudge changes the size of the shell's terminal and changes it back.
func (v *view) nudge() {
	if v.rows >= 2 {
		v.vote(v.rows-1, v.cols)
		v.vote(v.rows, v.cols)
	}
}

// interrupt signals what runs in the foreground of the shell.
func (v *view) interrupt(ctx context.Context) error {
	if v.ro || v.s.away != nil {
		return nil
	}
	return ignoreEnded(v.s.srv.WriteFile(ctx, "/"+v.name+"0.note", []byte("interrupt")))
}

// neighbour returns the shell that comes step places after this one, in the
// order of names, and starts over at the end.
func neighbour(shells []server.Shell, name string, step int) string {
	var names []string
	for _, sh := range shells {
		if sh.Running() || sh.Name == name {
			names = append(names, sh.Name)
		}
	}
	i := slices.Index(names, name)
	if i < 0 || len(names) < 2 {
		return name
	}
	return names[(i+step+len(names))%len(names)]
}
