package session

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"hubfs/client"
	"hubfs/cmd/hub/internal/ansi"
	"hubfs/cmd/hub/internal/server"
	"hubfs/pipes"
	"hubfs/shellctl"
)

// A view is one shell as it is attached to. The loop owns it; its goroutines
// end with close.
type view struct {
	// Set by open, then immutable.
	s    *session
	name string
	pty  bool
	dead bool          // the shell had ended when we came
	raw  bool          // its output goes to a terminal in raw mode; set by start
	ctl  *client.File  // our attachment; its reads are notices
	in   *client.File  // NAME0; nil if we only watch
	out  *client.File  // NAME1@
	errs *client.File  // NAME2@; nil for a shell on a terminal
	hubs [3]server.Hub // as NAME0, NAME1 and NAME2 were when we came

	ctx    context.Context // of the goroutines
	cancel context.CancelFunc
	wg     sync.WaitGroup

	typed *outbox // to in

	past []byte // of out, as it was when we came; copyOut shows and drops it

	// The loop's.
	lost    bool        // the machine that runs it is not connected
	notices chan string // lines from ctl; closed at its end
	shown   chan error  // one value: the output has ended, or broken
	drained bool        // it has ended and is shown
	exit    *shellctl.Status
	rows    int // as the server was told
	cols    int

	delays [3]*pipes.Delay // in front of what is typed, Out and Err; set by open
}

// open attaches to a shell. All requests but those that need another's answer
// are under way at once.
func (s *session) open(ctx context.Context, name string) (*view, error) {
	v := &view{s: s, name: name, notices: make(chan string, 16), shown: make(chan error, 1)}
	v.ctx, v.cancel = context.WithCancel(context.WithoutCancel(ctx))
	v.rows, v.cols = s.cfg.Terminal.size()
	show := func(w io.Writer) sink {
		return func(ctx context.Context, p []byte) error { return s.screen.show(ctx, w, p) }
	}
	for i, to := range []sink{v.put, show(s.cfg.Terminal.Out), show(s.cfg.Terminal.Err)} {
		v.delays[i] = pipes.NewDelay(to)
	}
	srv := s.cfg.Server
	if !s.cfg.Terminal.IsTerminal() {
		// Without a size of our own we vote for what is.
		if sh, err := srv.Shell(ctx, name); err == nil && sh.Rows > 0 {
			v.rows, v.cols = sh.Rows, sh.Cols
		}
	}

	var shell server.Shell
	err := together(
		func() error {
			err := together(
				func() (err error) {
					shell, v.hubs, err = srv.ShellAndHubs(ctx, name)
					return err
				},
				func() (err error) {
					v.out, err = srv.Open(ctx, "/"+name+"1@", client.OREAD)
					return err
				},
			)
			if err == nil {
				v.past, err = server.LastLines(ctx, v.out, v.hubs[1], s.cfg.History)
			}
			return err
		},
		func() (err error) {
			v.ctl, err = srv.OpenWrite(ctx, "/shell/"+name+"/ctl", client.ORDWR, []byte(v.attachLine()))
			return err
		},
		func() (err error) {
			if !s.cfg.ReadOnly {
				v.in, err = srv.Open(ctx, "/"+name+"0", client.OWRITE)
			}
			return err
		},
	)
	if err != nil {
		v.close()
		return nil, srv.ShellError(ctx, name, err)
	}
	v.pty, v.dead, v.lost = shell.Rows > 0, !shell.Running(), shell.State == "lost"
	if !v.pty {
		if v.errs, err = srv.Open(ctx, "/"+name+"2@", client.OREAD); err != nil {
			v.close()
			return nil, fmt.Errorf("open %s2: %w", name, err)
		}
	}
	if v.in != nil {
		v.typed = newOutbox(v.ctx, v.in)
	}
	return v, nil
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

// attachLine is what makes our attachment.
func (v *view) attachLine() string {
	mode := "rw"
	if v.s.cfg.ReadOnly {
		mode = "ro"
	}
	term := v.s.cfg.Terminal.Name
	if term == "" {
		term = "dumb"
	}
	return server.Line("attach", mode, strconv.Itoa(v.rows), strconv.Itoa(v.cols), term)
}

// ctlWords writes a line to the fid of our attachment.
func (v *view) ctlWords(ctx context.Context, words ...string) error {
	_, err := v.ctl.WriteContext(ctx, []byte(server.Line(words...)))
	return err
}

// start begins to show the shell.
func (v *view) start() {
	s := v.s
	v.raw = s.raw
	v.wg.Add(2)
	// Both end with the view's context.
	s.guard(func() {
		defer v.wg.Done()
		v.readNotices()
	})
	s.guard(func() {
		defer v.wg.Done()
		t := s.cfg.Terminal
		fns := []func() error{func() error { return v.copyOut(v.out, 1, t.Out) }}
		if v.errs != nil {
			fns = append(fns, func() error { return v.copyOut(v.errs, 2, t.Err) })
		}
		v.shown <- together(fns...)
	})
}

// close detaches, and waits for the view's goroutines. What was typed is
// delivered first, if the shell takes it.
func (v *view) close() {
	if v.typed != nil {
		v.typed.flush(time.Second)
	}
	v.cancel()
	closed := make(chan struct{})
	go func() { // ends with the server's answers, or with the connection
		v.wg.Wait()
		var closes []func() error
		for _, f := range []*client.File{v.ctl, v.in, v.out, v.errs} {
			if f != nil {
				closes = append(closes, f.Close)
			}
		}
		together(closes...)
		close(closed)
	}()
	select {
	case <-closed:
	case <-time.After(time.Second): // the terminal or the server takes nothing
	}
}

// readNotices reads what the server tells about our attachment.
func (v *view) readNotices() {
	defer close(v.notices)
	r := bufio.NewReader(reader{v.ctx, v.ctl})
	for {
		line, err := r.ReadString('\n')
		if line = strings.TrimSuffix(line, "\n"); line != "" {
			select {
			case v.notices <- line:
			case <-v.ctx.Done():
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// reader is a file for packages that know no context.
type reader struct {
	ctx context.Context
	f   *client.File
}

func (r reader) Read(p []byte) (int, error) { return r.f.ReadContext(r.ctx, p) }

// copyOut shows NAMEi, one of the shell's output hubs: its history and then what
// comes, until the hub has ended.
func (v *view) copyOut(f *client.File, i int, w io.Writer) error {
	hub := v.hubs[i]
	var past []byte
	var err error
	if f == v.out {
		past, v.past = v.past, nil
	} else {
		past, err = server.LastLines(v.ctx, f, hub, v.s.cfg.History)
	}
	if err == nil {
		err = v.showPast(v.ctx, past, w)
	}
	if err != nil {
		return ignoreCancel(v.ctx, err)
	}
	off := hub.Next
	buf := make([]byte, 64<<10)
	for {
		n, err := f.ReadAtContext(v.ctx, buf, off)
		first, gone := server.Discarded(err)
		switch {
		case n > 0:
			if _, err := v.delays[i].WriteContext(v.ctx, buf[:n]); err != nil {
				return ignoreCancel(v.ctx, err)
			}
			off += int64(n)
		case errors.Is(err, io.EOF):
			if ended, err := v.atEnd(hub.Name, off); ended || err != nil {
				return ignoreCancel(v.ctx, err)
			}
		case gone:
			v.s.screen.say(fmt.Sprintf("hub: skipped %d bytes\n", first-off))
			off = first
		default:
			return ignoreCancel(v.ctx, err)
		}
	}
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
func (v *view) atEnd(name string, off int64) (ended bool, err error) {
	h, ok, err := v.s.cfg.Server.Hub(v.ctx, name)
	switch {
	case err != nil:
		return false, err
	case !ok || h.Is("ended"):
		// Removed or replaced, it has ended too.
		return !ok || h.Next <= off, nil
	case h.Is("frozen") && h.Next <= off:
		return false, v.s.cfg.Server.Melted(v.ctx, name)
	}
	return false, nil
}

// resize tells the server the terminal's size, if it has changed.
func (v *view) resize(ctx context.Context) error {
	rows, cols := v.s.cfg.Terminal.size()
	if !v.pty || !v.s.cfg.Terminal.IsTerminal() || rows == v.rows && cols == v.cols {
		return nil
	}
	v.rows, v.cols = rows, cols
	return v.vote(ctx, rows, cols)
}

// vote tells the server a size. One who watches has no vote.
func (v *view) vote(ctx context.Context, rows, cols int) error {
	if v.s.cfg.ReadOnly || v.exit != nil {
		return nil
	}
	return ignoreEnded(v.ctlWords(ctx, "size", strconv.Itoa(rows), strconv.Itoa(cols)))
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
	if !v.raw {
		return nil
	}
	if !v.s.screen.inAlternate() {
		if err := v.showAgain(ctx); err != nil {
			return err
		}
	}
	return v.nudge(ctx)
}

// showAgain clears the screen and shows the last lines of the output.
func (v *view) showAgain(ctx context.Context) error {
	h, ok, err := v.s.cfg.Server.Hub(ctx, v.name+"1")
	if err != nil || !ok {
		return err
	}
	// A file of its own: behind the read that waits for output on v.out, this
	// one would wait as well.
	f, err := v.s.cfg.Server.Open(ctx, "/"+v.name+"1@", client.OREAD)
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
func (v *view) nudge(ctx context.Context) error {
	if v.rows < 2 {
		return nil
	}
	if err := v.vote(ctx, v.rows-1, v.cols); err != nil {
		return err
	}
	return v.vote(ctx, v.rows, v.cols)
}

// interrupt signals what runs in the foreground of the shell.
func (v *view) interrupt(ctx context.Context) error {
	if v.s.cfg.ReadOnly {
		return nil
	}
	return ignoreEnded(v.s.cfg.Server.WriteFile(ctx, "/"+v.name+"0.note", []byte("interrupt")))
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
