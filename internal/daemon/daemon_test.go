package daemon

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hubfs/client"
	"hubfs/transport"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// A running is a server of Run in this process.
type running struct {
	t      *testing.T
	addr   transport.Addr
	cancel context.CancelFunc
	done   chan error // what Run returned
}

// inPrivate makes sockets go to a folder of the test.
func inPrivate(t *testing.T) {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "hubd") // short, for a socket's path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	t.Setenv("XDG_RUNTIME_DIR", dir)
	t.Setenv("XDG_CONFIG_HOME", dir)
}

func address(t *testing.T, s string) transport.Addr {
	t.Helper()
	a, err := transport.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// start runs a server until the test is over, and returns when it serves.
func start(t *testing.T, c Config) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{t: t, addr: c.Addr, cancel: cancel, done: make(chan error, 1)}
	ready := make(chan error, 1)
	c.Ready = func(err error) { ready <- err }
	go func() { r.done <- Run(ctx, c) }() // ends with ctx
	if err := <-ready; err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(cancel)
	return r
}

// ends waits for the end of the server.
func (r *running) ends() {
	r.t.Helper()
	select {
	case err := <-r.done:
		if err != nil {
			r.t.Error(err)
		}
	case <-time.After(patience):
		r.t.Fatal("the server runs on")
	}
}

func (r *running) connect() *client.Conn {
	r.t.Helper()
	nc, err := transport.Dial(r.t.Context(), r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	c, err := client.New(r.t.Context(), nc, client.Options{Uname: "u"})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	return c
}

func write(t *testing.T, c *client.Conn, line string) {
	t.Helper()
	if err := c.WriteFile(t.Context(), "/ctl", []byte(line+"\n")); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
}

func TestQuitIsAnsweredAndEndsTheServer(t *testing.T) {
	inPrivate(t)
	r := start(t, Config{Addr: address(t, "q")})
	ctl, err := r.connect().Open(t.Context(), "/ctl", client.OWRITE)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ctl.WriteContext(t.Context(), []byte("quit")); err != nil {
		t.Error(err)
	}
	r.ends()
	if _, err := os.Lstat(r.addr.Address); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket: %v", err)
	}
	start(t, Config{Addr: r.addr}) // the name is free
}

func TestEveryAddressIsServed(t *testing.T) {
	inPrivate(t)
	also := address(t, "unix!"+filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "other"))
	r := start(t, Config{Addr: address(t, "a"), Also: Addrs{also}})
	write(t, r.connect(), "fear")
	other := &running{t: t, addr: also}
	text, err := other.connect().ReadFile(t.Context(), "/ctl")
	if err != nil || !strings.Contains(string(text), "Hubfs a status") || !strings.Contains(string(text), "Paranoia == 1") {
		t.Errorf("%q, %v", text, err)
	}
	status, err := other.connect().ReadFile(t.Context(), "/status")
	if err != nil || strings.Count(string(status), "\nconn ")+strings.Count(string(status[:5]), "conn ") != 3 {
		t.Errorf("%q, %v", status, err)
	}
}

func TestSecondServerOfANameSaysSo(t *testing.T) {
	inPrivate(t)
	first := start(t, Config{Addr: address(t, "two")})
	var told error
	err := Run(t.Context(), Config{Addr: first.addr, Ready: func(err error) { told = err }})
	if !errors.Is(err, transport.ErrInUse) || !errors.Is(told, transport.ErrInUse) {
		t.Errorf("%v, told %v", err, told)
	}
	first.connect()
}

func TestClientsLoseTheServerBeforeTheirShells(t *testing.T) {
	inPrivate(t)
	r := start(t, Config{Addr: address(t, "order")})
	c := r.connect()
	write(t, c, "shell s -- sleep 1000")
	ctl, err := c.Open(t.Context(), "/shell/s/ctl", client.ORDWR)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ctl.WriteContext(t.Context(), []byte("attach rw 24 80\n")); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	r.cancel()
	for {
		p := make([]byte, 512)
		n, err := ctl.ReadContext(t.Context(), p)
		said.Write(p[:n])
		if err != nil {
			if !errors.Is(err, client.ErrLost) {
				t.Errorf("notices ended with %v", err)
			}
			break
		}
	}
	if strings.Contains(said.String(), "signal") || strings.Contains(said.String(), "exit") {
		t.Errorf("notices: %q", said.String())
	}
	r.ends()
}

func TestIdleServerEnds(t *testing.T) {
	inPrivate(t)
	const idle = 20 * time.Millisecond
	r := start(t, Config{Addr: address(t, "idle"), Idle: idle})
	c := r.connect()
	f, err := c.Create(t.Context(), "/hub", 0o666, client.ORDWR)
	if err != nil {
		t.Fatal(err)
	}
	// A client is a reason to stay, and then the hub is.
	stays := func(why string) {
		t.Helper()
		select {
		case err := <-r.done:
			t.Fatalf("%s: the server has ended: %v", why, err)
		case <-time.After(5 * idle):
		}
	}
	stays("a client and a hub")
	f.Close()
	c.Close()
	stays("a hub")
	c = r.connect()
	write(t, c, "rm hub")
	write(t, c, "shell s -- true")
	if _, err := c.ReadFile(t.Context(), "/shell/s/wait"); err != nil {
		t.Fatal(err)
	}
	stays("a client")
	c.Close()
	r.ends()
}

// twoPipes are standard input and output as a connection.
type twoPipes struct {
	io.ReadCloser
	w io.WriteCloser
}

func (p twoPipes) Write(b []byte) (int, error) { return p.w.Write(b) }
func (p twoPipes) Close() error                { return errors.Join(p.w.Close(), p.ReadCloser.Close()) }

func TestRelayGivesBothWaysAndEndsWithEither(t *testing.T) {
	inPrivate(t)
	r := start(t, Config{Addr: address(t, "relay")})
	for _, hangup := range []string{"client", "server"} {
		nc, err := transport.Dial(t.Context(), r.addr)
		if err != nil {
			t.Fatal(err)
		}
		toRelay, fromUs := io.Pipe()
		toUs, fromRelay := io.Pipe()
		ended := make(chan error, 1)
		go func() { // ends with either side
			ended <- Relay(toRelay, fromRelay, nc, 0)
			fromRelay.Close()
		}()
		c, err := client.New(t.Context(), twoPipes{toUs, fromUs}, client.Options{Uname: "u"})
		if err != nil {
			t.Fatal(err)
		}
		write(t, c, "calm")
		if hangup == "client" {
			c.Close()
		} else {
			r.cancel()
		}
		if err := <-ended; err != nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("%s hangs up: %v", hangup, err)
		}
		c.Close()
	}
	r.ends()
}
