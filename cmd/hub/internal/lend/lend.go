// Package lend runs a shell on this machine for a server elsewhere, which shows
// it and executes nothing: what others type there comes to the process, and
// what the process writes goes there.
//
// # Ordering
//
// Input is read at its offset from NAME0@ and output is written at its offset
// to NAME1@, and what the server has not acknowledged is kept. So a connection
// may be lost anywhere, in either direction: on the next one both go on at the
// very byte, once each. The status of the process is told when the server has
// its last byte.
//
// A server that was started anew does not know the shell: there it is made
// anew, its input begins with what is typed from then on, and its output with
// what the old server had not acknowledged. A server that still runs, on which
// somebody has ended the shell meanwhile, has been told so: the process is hung
// up.
//
// # Blocking
//
// The process writes without waiting for the server until Backlog bytes are
// not acknowledged; then it waits. A server that cannot be reached is tried for
// as long as the process runs, and Linger after that.
//
// # Ownership
//
// Run owns the process, the connections, and every goroutine that it starts:
// when it returns nothing of them is left.
package lend

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"hubfs/cmd/hub/internal/feed"
	"hubfs/cmd/hub/internal/server"
	"hubfs/shellctl"
)

const (
	// Backlog is how much output may wait for the server.
	Backlog = 16 << 20

	// Linger is how long a process that has ended waits for a lost server, to
	// bring it the last output and the status.
	Linger = time.Hour

	// grace is how long a process has to end after a hangup.
	grace = 2 * time.Second

	// patience is how long one attempt to reach the server may take.
	patience = 15 * time.Second
)

// A Process is what runs: a *shellctl.Shell, or that of a test.
type Process interface {
	PID() int
	Resize(rows, cols int) error
	Signal(name string) error
	Kill(grace time.Duration)
	Done() <-chan struct{}
	Wait(ctx context.Context) (shellctl.Status, error)
}

// Start starts a process on a terminal of its own.
func Start(spec shellctl.Spec, streams shellctl.Streams, log *slog.Logger) (Process, error) {
	p, err := shellctl.Start(spec, streams, log)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// A Connect makes a connection to the server of a shell.
type Connect func(ctx context.Context) (*server.Server, error)

// A Config says what to lend.
type Config struct {
	Name    string
	Spec    shellctl.Spec
	Env     func(*server.Server) []string // of the process, on the server where it begins
	Connect Connect
	Log     *slog.Logger
	Start   func(shellctl.Spec, shellctl.Streams, *slog.Logger) (Process, error)
}

// A Host lends one shell.
type Host struct {
	cfg Config
	log *slog.Logger
	key string // proves to the server that it is us who come back; never shown

	words chan string   // of the server
	gone  chan struct{} // closed when somebody has ended the shell while we were away
	leave chan struct{} // closed when Run is over: nobody takes words any more
	work  sync.WaitGroup

	refused string // again's own: what a server had against us last

	once sync.Once // closes gone

	mu      sync.Mutex
	connect Connect       // guarded by mu: changed by Move
	seat    *seat         // guarded by mu: where we host; the last one while that is lost
	changed chan struct{} // guarded by mu: closed and replaced when seat changes
	process Process       // guarded by mu: nil until it is started
	rows    int           // guarded by mu: of its terminal, as the server said last
	cols    int           // guarded by mu
	shared  bool          // guarded by mu: the guests' rights end with the shell
}

// New makes a host. Run does the work.
func New(cfg Config) *Host {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Start == nil {
		cfg.Start = Start
	}
	return &Host{
		cfg: cfg, log: cfg.Log,
		key:     rand.Text(),
		words:   make(chan string),
		gone:    make(chan struct{}),
		leave:   make(chan struct{}),
		connect: cfg.Connect,
		rows:    cfg.Spec.Rows,
		cols:    cfg.Spec.Cols,
		changed: make(chan struct{}),
	}
}

// Run lends the shell until its process has ended. tell is called once, when
// the shell is there or cannot be. When ctx is done the process is hung up.
func (h *Host) Run(ctx context.Context, tell func(error)) error {
	// The connections live until the server has the status, whatever ctx says.
	lasting, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer h.work.Wait()
	defer cancel()
	defer close(h.leave)
	out, p, err := h.begin(ctx, lasting)
	tell(err)
	if err != nil {
		return err
	}
	for {
		select {
		case <-p.Done():
			return h.ended(ctx, out, p)
		case line := <-h.words:
			if err := h.obey(p, line); err != nil {
				h.log.Warn("word of the server", "word", clip(line), "err", err)
			}
		case <-h.gone:
			h.log.Warn("the shell was ended at the server: hanging up")
			h.hangup(out, p)
			return h.ended(ctx, out, p)
		case <-ctx.Done():
			h.hangup(out, p)
			return h.ended(ctx, out, p)
		}
	}
}

// hangup ends the process, and waits for that. What it writes while the server
// is lost may be dropped: it must not wait for that any more.
func (h *Host) hangup(out *feed.Feed, p Process) {
	p.Kill(grace)
	t := time.AfterFunc(grace, out.Hurry)
	defer t.Stop()
	<-p.Done()
}

// begin makes the shell at the server and starts its process.
func (h *Host) begin(ctx, lasting context.Context) (out *feed.Feed, p Process, err error) {
	if len(h.cfg.Spec.Argv) == 0 {
		return nil, nil, errors.New("no command to run")
	}
	connecting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	s, err := h.sit(connecting, lasting, nil)
	if err != nil {
		return nil, nil, err
	}
	out = feed.New(feed.Config{
		Dial:    func(ctx context.Context, at int64) (feed.Link, int64, error) { return h.again(ctx, lasting, out) },
		Say:     h.said,
		Wait:    true,
		Rebase:  true,
		Backlog: Backlog, Patience: patience, Retry: -1,
	}, s.next, s.unit)
	h.take(s)
	spec := h.cfg.Spec
	if h.cfg.Env != nil {
		spec.Env = h.cfg.Env(s.srv)
	}
	streams := shellctl.Streams{Stdin: &input{h: h, at: s}, Stdout: &output{in: out.Intake()}}
	if p, err = h.cfg.Start(spec, streams, h.log); err != nil {
		// The server shall not keep a shell that never was.
		err = errors.Join(err, s.say(ctx, "exit", "127"))
		s.close()
		return nil, nil, err
	}
	out.Start(h.link(s, out))
	h.mu.Lock()
	h.process = p
	h.mu.Unlock()
	if err := s.pid(ctx, p); err != nil {
		h.log.Warn("number of the process", "err", err) // lost already; the next seat says it
	}
	return out, p, nil
}

// ended brings the server the last of the output and the status.
func (h *Host) ended(ctx context.Context, out *feed.Feed, p Process) error {
	st, err := p.Wait(context.WithoutCancel(ctx))
	limit := time.AfterFunc(Linger, out.Hurry)
	defer limit.Stop()
	defer context.AfterFunc(ctx, out.Hurry)()
	select {
	case <-h.gone:
		out.Hurry() // nobody waits for it there
	default:
	}
	return errors.Join(err, out.Finish(st.String()))
}

// said is told what happens to the output.
func (h *Host) said(n feed.Note) {
	switch n.Kind {
	case feed.Lost:
		h.log.Warn("server lost; trying again")
	case feed.Back:
		h.log.Info("server is back", "at", n.At)
	case feed.Alone:
		h.log.Error("the server does not get the rest of the output", "err", n.Err)
		if !n.Over {
			h.end() // as when a terminal goes away
		}
	case feed.NotEnded:
		h.log.Warn("the server was not told of the end", "err", n.Err)
	}
}

// end has the process hung up.
func (h *Host) end() { h.once.Do(func() { close(h.gone) }) }

// Shared has the guests' rights to the shell revoked when it has ended, so that
// they do not lead to the next shell of that name.
func (h *Host) Shared() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.shared = true
}

// Move takes the shell, with its process, to another server, and returns when it
// is there. On the one where it was it has ended.
func (h *Host) Move(ctx context.Context, to Connect) error {
	h.mu.Lock()
	h.connect, h.shared = to, false
	s := h.seat
	h.mu.Unlock()
	if err := s.giveUp(ctx); err != nil {
		h.log.Warn("leave the server", "server", s.srv.Addr.String(), "err", err)
	}
	for {
		now, changed := h.current()
		if now != s {
			return nil
		}
		select {
		case <-changed:
		case <-h.leave:
			return errEnded
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// obey does a word of the server.
func (h *Host) obey(p Process, line string) error {
	f := strings.Fields(line)
	switch {
	case len(f) == 3 && f[0] == "size":
		rows, cols, err := server.ParseSize(f[1] + "x" + f[2])
		if err != nil {
			return err
		}
		h.mu.Lock()
		h.rows, h.cols = rows, cols
		h.mu.Unlock()
		return p.Resize(rows, cols)
	case len(f) == 2 && f[0] == "signal":
		return p.Signal(f[1])
	case len(f) == 1 && f[0] == "kill":
		p.Kill(grace)
		return nil
	}
	return fmt.Errorf("%q is not known", clip(line))
}

// clip shortens what a server said for the log.
func clip(s string) string {
	const most = 100
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
