package uplink

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"hubfs/client"
	"hubfs/p9"
	"hubfs/taskfs/frame"
	"hubfs/tree"
)

// patience is how long the node that was dialed may take to open the file.
const patience = 20 * time.Second

// errSilent is what became of a connection on which nobody opens the file.
var errSilent = errors.New("it takes no nodes below it: it is an older hubfs, or we may not join (who owns it says: hub invite remote)")

// A Joiner puts this node below others, which it dials.
type Joiner struct {
	User string // who owns this node
	Addr string // of the other one, for people
	Log  *slog.Logger

	// Dial connects to it; Options say how to attach there, but for Serve.
	Dial    func(ctx context.Context) (io.ReadWriteCloser, error)
	Options client.Options

	// Open makes the end of a link of an open of the file, as cluster.NewUplink
	// does, and Above serves it, as cluster.Node does.
	Open  func(c *tree.Caller) (tree.Handle, frame.Link)
	Above func(ctx context.Context, l frame.Link) error
}

// Join dials and serves the link, until it ends or ctx is done. It calls up when
// the node above has welcomed this one. Its error is never nil.
func (j *Joiner) Join(ctx context.Context, up func()) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	rwc, err := j.Dial(ctx)
	if err != nil {
		return err
	}
	o := &opens{ctx: ctx, j: j, up: sync.OnceFunc(up), opened: make(chan struct{}), ended: make(chan error, 1)}
	defer o.wait()
	options := j.Options
	options.Ordered = false // so that New waits for the attach
	options.Serve = func(ctx context.Context, rwc io.ReadWriteCloser) {
		s := p9.Server{Root: newRoot(j.User, o.open), Log: j.Log}
		// Who we have dialed is above us because we want it to be.
		if err := s.ServeConn(ctx, rwc, p9.Peer{User: j.User, Addr: j.Addr}); err != nil && j.Log != nil {
			j.Log.Info("serving a node above ended", "addr", j.Addr, "err", err)
		}
	}
	c, err := client.New(ctx, rwc, options)
	if err != nil {
		return j.refused(err)
	}
	defer c.Close()
	if !c.Both() {
		return Final(fmt.Errorf("%s: %w", j.Addr, errSilent))
	}
	return o.follow(c)
}

// refused makes an error final that means that we are not let in.
func (j *Joiner) refused(err error) error {
	err = fmt.Errorf("%s: %w", j.Addr, err)
	if errors.Is(err, client.ErrPermission) {
		return Final(err)
	}
	return err
}

// opens are those of the file on one connection: one at a time, and one in all,
// for a node that has opened it twice has lost its mind.
type opens struct {
	ctx context.Context
	j   *Joiner
	up  func()

	opened chan struct{} // closed when the file was opened
	ended  chan error    // has what became of the link

	mu   sync.Mutex
	used bool           // guarded by mu
	work sync.WaitGroup // one if it was opened
}

func (o *opens) open(c *tree.Caller) (tree.Handle, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.used || o.ctx.Err() != nil {
		return nil, fmt.Errorf("the link of this connection was opened: %w", tree.ErrBusy)
	}
	o.used = true
	h, l := o.j.Open(c)
	close(o.opened)
	o.work.Go(func() { // until the link ends, as it does with the open, or ctx
		defer l.Close()
		o.ended <- o.j.Above(o.ctx, &greeted{l, o.up})
	})
	return h, nil
}

// wait waits for what serves the link. The context is done.
func (o *opens) wait() {
	o.mu.Lock()
	o.used = true
	o.mu.Unlock()
	o.work.Wait()
}

// follow returns what becomes of the link.
func (o *opens) follow(c *client.Conn) error {
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-o.opened:
	case <-c.Done():
		return o.j.refused(c.Err())
	case <-late.C:
		return fmt.Errorf("%s: %w", o.j.Addr, errSilent)
	case <-o.ctx.Done():
		return o.ctx.Err()
	}
	// The link ends when the connection does.
	err := <-o.ended
	if err == nil {
		err = errors.New("the link has ended")
	}
	return fmt.Errorf("%s: %w", o.j.Addr, err)
}
