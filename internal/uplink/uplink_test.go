package uplink

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"hubfs/client"
	"hubfs/p9"
	"hubfs/taskfs/cluster"
	"hubfs/taskfs/frame"
	"hubfs/tree"
)

// echo is a lower node: it answers each frame, until it is told to leave.
func echo(ctx context.Context, l frame.Link) error {
	for {
		f, err := l.Recv(ctx)
		if err != nil {
			return err
		}
		if f.Kind == frame.Hello {
			continue
		}
		if f.Kind == frame.Leave {
			return Final(errors.New("told to leave"))
		}
		if err := l.Send(ctx, frame.Frame{Kind: frame.Answer, Body: f.Body}); err != nil {
			return err
		}
	}
}

// An upper is a server whose clients may be below it.
type upper struct {
	t    *testing.T
	s    *p9.Server
	wait sync.WaitGroup
}

// newUpper returns a server that serves those below it so.
func newUpper(t *testing.T, serve func(ctx context.Context, l frame.Link) error) *upper {
	u := &upper{t: t, s: &p9.Server{Root: newRoot("root", func(*tree.Caller) (tree.Handle, error) { return nil, tree.ErrPermission })}}
	if serve == nil {
		return u
	}
	u.s.Back = func(ctx context.Context, who *tree.Caller, rwc io.ReadWriteCloser) {
		c, err := client.New(ctx, rwc, client.Options{Ordered: true, Uname: "root"})
		if err != nil {
			t.Error(err)
			return
		}
		if err := Below(ctx, c, "below", func() {}, serve); err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, client.ErrLost) {
			t.Error(err)
		}
		u.s.Hangup(func(i p9.ConnInfo) bool { return i.ID == who.Conn })
	}
	return u
}

func (u *upper) dial(context.Context) (io.ReadWriteCloser, error) {
	here, there := net.Pipe()
	u.wait.Go(func() { u.s.ServeConn(context.Background(), there, p9.Peer{User: "leaf", Addr: "pipe"}) }) // until it is hung up
	return here, nil
}

func (u *upper) joiner() *Joiner {
	return &Joiner{User: "leaf", Addr: "upper", Dial: u.dial, Options: client.Options{Ordered: true}, Open: cluster.NewUplink, Above: echo}
}

// ask sends a frame and wants it back.
func ask(ctx context.Context, t *testing.T, l frame.Link, text string) error {
	if err := l.Send(ctx, frame.Frame{Kind: frame.Ask, Body: []byte(text)}); err != nil {
		return err
	}
	f, err := l.Recv(ctx)
	if err == nil && (f.Kind != frame.Answer || string(f.Body) != text) {
		t.Errorf("answered %v %q", f.Kind, f.Body)
	}
	return err
}

// TestALinkOverAConnectionThatWasDialedFromBelow, and what ends it.
func TestALinkOverAConnectionThatWasDialedFromBelow(t *testing.T) {
	long := strings.Repeat("x", 1<<19)
	for name, end := range map[string]struct {
		last func(ctx context.Context, l frame.Link) error // of the upper node
		want string
		fin  bool
	}{
		"the upper node is done": {func(context.Context, frame.Link) error { return nil }, "upper: ", false},
		"told to leave": {func(ctx context.Context, l frame.Link) error {
			if err := l.Send(ctx, frame.Frame{Kind: frame.Leave}); err != nil {
				return err
			}
			_, err := l.Recv(ctx) // until the other end hangs up
			if err == nil {
				return errors.New("it said more")
			}
			return nil
		}, "upper: told to leave", true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := newUpper(t, func(ctx context.Context, l frame.Link) error {
					if err := l.Send(ctx, frame.Frame{Kind: frame.Hello}); err != nil {
						t.Error(err)
					}
					for _, text := range []string{"", "one", long} {
						if err := ask(ctx, t, l, text); err != nil {
							t.Error(err)
						}
					}
					return end.last(ctx, l)
				})
				ups := 0
				err := u.joiner().Join(t.Context(), func() { ups++ })
				if ups != 1 || err == nil || !strings.HasPrefix(err.Error(), end.want) || IsFinal(err) != end.fin {
					t.Errorf("up %d times, then %v", ups, err)
				}
				u.wait.Wait()
			})
		})
	}
}

// TestARefusalIsNoWelcome: who is refused is not below anybody, so that its pauses
// grow.
func TestARefusalIsNoWelcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpper(t, func(ctx context.Context, l frame.Link) error {
			return l.Send(ctx, frame.Frame{Kind: frame.Leave})
		})
		if err := u.joiner().Join(t.Context(), func() { t.Error("up") }); err == nil {
			t.Error("no error")
		}
		u.wait.Wait()
	})
}

// TestWhoTakesNoNodesIsNoLink: one way only, and both ways for something else.
func TestWhoTakesNoNodesIsNoLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpper(t, nil)
		if err := u.joiner().Join(t.Context(), func() {}); !errors.Is(err, errSilent) || !IsFinal(err) {
			t.Errorf("%v", err)
		}
		u.wait.Wait()
		u = newUpper(t, nil)
		u.s.Back = func(ctx context.Context, _ *tree.Caller, _ io.ReadWriteCloser) { <-ctx.Done() }
		if err := u.joiner().Join(t.Context(), func() {}); !errors.Is(err, errSilent) || IsFinal(err) {
			t.Errorf("%v", err)
		}
		u.wait.Wait()
	})
}

// TestBelowFindsNoNode: a client that goes both ways need not be one.
func TestBelowFindsNoNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		s := p9.Server{Root: &only{tree.Info{Name: "/", Path: 1, Mode: tree.ModeDir | 0o555}, &file{info: tree.Info{Name: "x", Path: 2}}}}
		done := make(chan struct{})
		go func() { defer close(done); s.ServeConn(context.Background(), there, p9.Peer{User: "u"}) }() // until it is hung up
		c, err := client.New(t.Context(), here, client.Options{Ordered: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := Below(t.Context(), c, "x", func() { t.Error("up") }, nil); !errors.Is(err, ErrNoNode) {
			t.Errorf("%v", err)
		}
		<-done
	})
}

// TestTheFileIsOpenedOnce, by who reads and writes it.
func TestTheFileIsOpenedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpper(t, nil)
		u.s.Back = func(ctx context.Context, _ *tree.Caller, rwc io.ReadWriteCloser) {
			c, err := client.New(ctx, rwc, client.Options{Uname: "root"})
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			for _, mode := range []uint8{client.OREAD, client.OWRITE} {
				if _, err := c.Open(ctx, Path, mode); !errors.Is(err, client.ErrPermission) {
					t.Errorf("open with mode %d: %v", mode, err)
				}
			}
			if _, err := c.Open(ctx, Path, client.ORDWR); err != nil {
				t.Error(err)
			}
			if _, err := c.Open(ctx, Path, client.ORDWR); err == nil {
				t.Error("opened twice")
			}
			if infos, err := c.ReadDir(ctx, "/remote"); err != nil || len(infos) != 1 || infos[0].Name != "uplink" {
				t.Errorf("%v, %v", infos, err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- u.joiner().Join(ctx, func() {}) }() // ends with ctx
		synctest.Wait()
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		u.wait.Wait()
	})
}

// TestRefusedIsFinal: who does not let us in will not do so later either.
func TestRefusedIsFinal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpper(t, nil)
		j := u.joiner()
		j.Dial = func(context.Context) (io.ReadWriteCloser, error) {
			here, there := net.Pipe()
			u.wait.Go(func() { // until it is hung up
				u.s.ServeConn(context.Background(), there, p9.Peer{LoginNeeded: true})
			})
			return here, nil
		}
		for _, back := range []func(context.Context, *tree.Caller, io.ReadWriteCloser){nil, func(ctx context.Context, _ *tree.Caller, _ io.ReadWriteCloser) { <-ctx.Done() }} {
			u.s.Back = back
			if err := j.Join(t.Context(), func() {}); !errors.Is(err, client.ErrPermission) || !IsFinal(err) {
				t.Errorf("%v", err)
			}
		}
		u.wait.Wait()
	})
}
