// Package daemon is what hubfs(8) and hub serve both are: a server of hubs and
// shells on its addresses, from the first connection to an orderly end. It
// also starts such a server in the background, for a client that finds none.
//
// # Ordering
//
// At the end the server first stops listening, so that a new server may take
// the name; then it ends what runs for sessions, and says so to the nodes above;
// then it ends the connections, so that clients see that they have
// lost a server and not that their shells have died; then it hangs up the
// shells, and kills those that have not ended after a grace; then it waits for
// what it has to write to disk. The new server begins by waiting for that.
//
// # Blocking
//
// Run returns when the server has ended. Dial and Background wait for another
// process to come up, until their context is done.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"os/user"
	"strconv"
	"sync"
	"syscall"
	"time"

	"hubfs/access"
	"hubfs/hub"
	"hubfs/hubfs"
	"hubfs/internal/lobby"
	"hubfs/internal/metrics"
	"hubfs/p9"
	"hubfs/taskfs"
	"hubfs/taskfs/gang"
	"hubfs/transport"
)

// shutdownGrace is how long the shells together may take to end. hubfs kills
// each of them long before.
const shutdownGrace = 10 * time.Second

// takeover is how long a server waits at its start for the one before it, which
// has stopped listening and writes what it has still to write.
const takeover = shutdownGrace + 5*time.Second

// A Config is what the programs' flags say.
type Config struct {
	Addr     transport.Addr // the server's own; its name is the server's
	Also     Addrs          // where it listens besides
	Insecure bool           // plain TCP may leave the machine
	Idle     time.Duration  // how long to stay with nothing to do; 0: for ever

	Size     Bytes // what a hub retains
	MaxWrite Bytes // what one write may bring
	Rate     Bytes // bytes a second that a hub may be written
	Interval Count // nanoseconds between two writes of a hub
	Reset    Count // seconds after which the count for Rate starts again
	Trunc    bool  // readers start at the end
	Zap      bool  // opening with truncation empties a hub

	Metrics string // HOST:PORT of the loopback for Prometheus; "": none
	State   string // folder of spooled hubs; "": that of the NAME; NoState: none

	// Access is the file of who may do what; "": that of the NAME; NoAccess: none,
	// in memory alone.
	Access string

	Node NodeConfig // as a node of a tree

	Log   *slog.Logger
	Trace bool        // log every message
	Ready func(error) // called once: when we serve, or cannot; may be nil
}

// tree is the configuration of the tree that is served.
func (c Config) tree() (hubfs.Config, error) {
	state, err := stateDir(c.Addr, c.State)
	if err != nil {
		return hubfs.Config{}, err
	}
	t := hubfs.Config{
		Name:     c.Addr.String(),
		Owner:    ownUser(),
		Log:      c.Log,
		Size:     int64(c.Size),
		MaxWrite: int(c.MaxWrite),
		Trunc:    c.Trunc,
		Zap:      c.Zap,
		Env:      []string{"HUB_SERVER=" + c.Addr.String()},
		Metrics:  metrics.Text,
		State:    state,
	}
	if c.Rate > 0 || c.Interval > 0 || c.Reset > 0 {
		t.Limit = hub.Limit{
			BytesPerSecond: int64(c.Rate),
			Interval:       time.Duration(c.Interval),
			Reset:          time.Duration(c.Reset) * time.Second,
		}
		if c.Reset == 0 {
			t.Limit.Reset = 60 * time.Second
		}
	}
	return t, nil
}

// ownUser is the name of the user whose process this is.
func ownUser() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return strconv.Itoa(os.Geteuid())
}

// A server is one run of Run.
type server struct {
	cfg Config
	log *slog.Logger
	p9  *p9.Server

	lobby lobby.Lobby // connections in the middle of a handshake
	spare sparing     // of log, for what strangers can bring about

	access *access.Store // set by begin, as are the next three
	fs     *hubfs.FS
	node   *gang.Node
	tasks  *taskfs.FS

	sockets *transport.Sockets // from systemd; nil: none. Set by begin.
	ctx     context.Context    // done when the connections are to end
	hangup  context.CancelFunc // of ctx
	serving sync.WaitGroup     // one for each connection
	joining sync.WaitGroup     // one for each node above and below that we dial

	mu sync.Mutex
	// guarded by mu
	listeners []*listener
	accepts   bool           // what listens is accepted from
	ended     bool           // nothing listens any more, and nothing is dialed
	key       *transport.Key // of the server; nil: not needed yet
	conns     int            // connections being served
	changed   chan struct{}  // closed when conns has changed; nil: nobody asked
}

// Run serves until ctx is done, a signal asks for the end, somebody writes
// quit to /ctl, or there has been nothing to do for long enough. All of these
// are an orderly end, and no error.
func Run(ctx context.Context, c Config) error {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	ready := c.Ready
	if ready == nil {
		ready = func(error) {}
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	defer signal.Stop(signals)
	// A terminal that goes away is not the end of a server.
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)

	s, stopMetrics, err := begin(ctx, c)
	if err != nil {
		ready(err)
		return err
	}
	s.log.Info("serving", "addr", c.Addr.String(), "pid", os.Getpid())
	defer s.hangup()
	s.accept()
	s.join()
	ready(nil)

	why := s.wait(ctx, signals)
	s.log.Info("ending", "why", why)
	s.endListening()
	stopMetrics()
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
	defer cancel()
	go func() { // ends with grace
		for n := 0; n < 2; n++ { // once more is impatience, twice is meant
			select {
			case <-signals:
			case <-grace.Done():
			}
		}
		cancel()
	}()
	return s.end(grace)
}

// end ends all that a server does which takes no more connections.
func (s *server) end(ctx context.Context) error {
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	ended := s.endTasks(ctx)
	s.hangup()
	s.serving.Wait()
	s.joining.Wait()
	if err := s.access.Close(); err != nil {
		s.log.Warn("close the grants", "err", err)
	}
	return errors.Join(ended, s.fs.Shutdown(ctx))
}

// begin makes a server that listens and has its tree, or nothing. Who comes
// from now on waits to be accepted.
func begin(ctx context.Context, c Config) (s *server, stopMetrics func(), err error) {
	s = newServer(c)
	if s.sockets, err = transport.Inherited(); err != nil {
		return nil, nil, err
	}
	if err := s.listen(ctx, append(Addrs{c.Addr}, c.Also...)); err != nil {
		return nil, nil, err
	}
	// The name is ours alone now, but the server that had it before may be
	// writing still.
	before, cancel := context.WithTimeout(ctx, takeover)
	defer cancel()
	if err := s.makeTree(); err != nil {
		s.endListening()
		return nil, nil, err
	}
	err = s.fs.Restore(before)
	if err == nil {
		stopMetrics, err = s.serveMetrics(ctx)
	}
	if err != nil {
		s.endListening()
		return nil, nil, errors.Join(err, s.fs.Shutdown(ctx), s.access.Close())
	}
	return s, stopMetrics, nil
}

func newServer(c Config) *server {
	s := &server{cfg: c, log: c.Log, spare: sparing{log: c.Log}, p9: &p9.Server{Log: c.Log}}
	s.ctx, s.hangup = context.WithCancel(context.Background())
	if c.Trace {
		s.p9.Trace = c.Log
	}
	return s
}

// makeTree makes what is served, for those who may see it.
func (s *server) makeTree() error {
	t, err := s.cfg.tree()
	if err != nil {
		return err
	}
	if err := s.makeNode(); err != nil {
		return err
	}
	if err := s.openAccess(); err != nil {
		return err
	}
	t.Access = s.access
	t.Remote = s.remote
	t.Conns = s.connInfo
	t.Listen, t.Unlisten, t.Listeners = s.listenAt, s.unlisten, s.listening
	s.fs = hubfs.New(t)
	s.p9.Root = s.fs.Root()
	s.p9.Back = s.back
	s.p9.Changed = func(c p9.ConnInfo, served bool) { s.fs.Conn(hubfs.ConnInfo(c), served) }
	return nil
}

// connInfo describes the connections for /status.
func (s *server) connInfo() []hubfs.ConnInfo {
	conns := s.p9.Conns()
	out := make([]hubfs.ConnInfo, len(conns))
	for i, c := range conns {
		out[i] = hubfs.ConnInfo(c)
	}
	return out
}

// serve serves one connection.
func (s *server) serve(ctx context.Context, c net.Conn) {
	p, err := s.peer(ctx, c)
	if err != nil {
		c.Close()
		s.spare.write(slog.LevelWarn, "connection refused", "addr", c.RemoteAddr().String(), "err", err)
		return
	}
	if err := s.servePeer(ctx, c, p); err != nil {
		s.spare.write(slog.LevelInfo, "connection ended", "user", p.User, "addr", p.Addr, "err", err)
	}
}

// peer says who made connection c.
func (s *server) peer(ctx context.Context, c net.Conn) (transport.Peer, error) {
	if err := s.handshake(ctx, c); err != nil {
		return transport.Peer{}, err
	}
	return transport.PeerOf(c)
}

// wait waits for a reason to end, and returns it.
func (s *server) wait(ctx context.Context, signals <-chan os.Signal) (why string) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for {
		idle := s.idle(ctx)
		select {
		case sig := <-signals:
			return sig.String()
		case <-ctx.Done():
			return ctx.Err().Error()
		case <-s.fs.Quit():
			return "quit"
		case <-idle:
		}
		// Somebody may come just now: only when no more can come is it sure.
		closed := s.closeListeners()
		if !s.busy() {
			return "idle"
		}
		if err := s.listen(ctx, closed); err != nil {
			return fmt.Sprintf("idle, and the name is taken: %v", err)
		}
		s.accept()
	}
}

// count notes a connection that came or went.
func (s *server) count(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns += n
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// connsChanged returns a channel that is closed when a connection comes or
// goes.
func (s *server) connsChanged() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	return s.changed
}

// busy reports whether there is a reason to stay.
func (s *server) busy() bool {
	s.mu.Lock()
	conns := s.conns
	s.mu.Unlock()
	return conns > 0 || s.fs.InUse() || s.tasks.InUse()
}

// idle returns a channel that is closed when nothing has given a reason to
// stay for the idle time. It does so once.
func (s *server) idle(ctx context.Context) <-chan struct{} {
	over := make(chan struct{})
	if s.cfg.Idle <= 0 {
		return over
	}
	go func() { // ends with ctx or when over is closed
		for {
			conns, tree, tasks := s.connsChanged(), s.fs.Changed(), s.tasks.Changed()
			var alarm <-chan time.Time
			if !s.busy() {
				alarm = time.After(s.cfg.Idle)
			}
			select {
			case <-conns:
			case <-tree:
			case <-tasks:
			case <-alarm:
				close(over)
				return
			case <-ctx.Done():
				return
			}
		}
	}()
	return over
}
