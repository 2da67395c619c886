package session

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hubfs/client"
	"hubfs/cmd/hub/internal/server"
	"hubfs/hubfs"
	"hubfs/p9"
	"hubfs/transport"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// A world is a server in this process, and people in front of it.
type world struct {
	t   *testing.T
	fs  *hubfs.FS
	srv *p9.Server
	ctx context.Context
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, fs: hubfs.New(hubfs.Config{Name: "test", Grace: time.Second})}
	w.srv = &p9.Server{Root: w.fs.Root()}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	w.ctx = ctx
	t.Cleanup(func() {
		cancel()
		end, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := w.fs.Shutdown(end); err != nil {
			t.Error(err)
		}
	})
	return w
}

// connect is one more connection to the server. hangup ends it from the
// server's side.
func (w *world) connect() (srv *server.Server, hangup func()) {
	w.t.Helper()
	here, there := net.Pipe()
	go w.srv.ServeConn(w.ctx, there, p9.Peer{User: "u", Admin: true}) // ends with the test's context
	c, err := client.New(w.ctx, here, client.Options{Uname: "u"})
	if err != nil {
		w.t.Fatal(err)
	}
	addr, err := transport.Parse("test")
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	return &server.Server{Conn: c, Addr: addr}, func() { there.Close() }
}

// shell starts a shell that runs script.
func (w *world) shell(name, script string, pipe bool) {
	w.t.Helper()
	srv, _ := w.connect()
	if err := srv.Start(w.ctx, name, server.Spec{Pipe: pipe, Argv: []string{"sh", "-c", script}}); err != nil {
		w.t.Fatal(err)
	}
}

// A person sits in front of a terminal that is attached.
type person struct {
	t       *testing.T
	keys    *io.PipeWriter
	out     *shown
	err     *shown
	raw     atomic.Bool
	signals chan os.Signal
	hangup  func()

	mu         sync.Mutex
	rows, cols int // guarded by mu

	done chan struct{} // closed when Attach has returned
	end  End
	fail error
}

// shown is what somebody sees.
type shown struct {
	mu      sync.Mutex
	gate    chan struct{} // a write waits for it; nil: none does
	all     bytes.Buffer  // guarded by mu
	seen    int           // guarded by mu: what expect has gone past
	changed chan struct{} // guarded by mu: closed by the next write
}

func newShown() *shown { return &shown{changed: make(chan struct{})} }

func (s *shown) Write(p []byte) (int, error) {
	if s.gate != nil {
		<-s.gate
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all.Write(p)
	close(s.changed)
	s.changed = make(chan struct{})
	return len(p), nil
}

// expect waits for text behind what was expected before.
func (s *shown) expect(t *testing.T, text string) {
	t.Helper()
	limit := time.After(patience)
	for {
		s.mu.Lock()
		i := strings.Index(s.all.String()[s.seen:], text)
		if i >= 0 {
			s.seen += i + len(text)
		}
		all, changed := s.all.String(), s.changed
		s.mu.Unlock()
		if i >= 0 {
			return
		}
		select {
		case <-changed:
		case <-limit:
			t.Fatalf("%q did not come; there was %q", text, all)
		}
	}
}

func (s *shown) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all.String()
}

// attach puts a person in front of a shell. tty says whether there is a
// terminal.
func (w *world) attach(name string, tty bool, set func(*Config)) *person {
	w.t.Helper()
	srv, hangup := w.connect()
	p := sit(w.t, w.ctx, name, tty, func(cfg *Config) {
		cfg.Server = srv
		if set != nil {
			set(cfg)
		}
	})
	p.hangup = hangup
	return p
}

// sit puts a person in front of a terminal, or of none, that is attached.
func sit(t *testing.T, ctx context.Context, name string, tty bool, set func(*Config)) *person {
	in, keys := io.Pipe()
	p := &person{
		t: t, keys: keys, out: newShown(), err: newShown(),
		signals: make(chan os.Signal, 1), done: make(chan struct{}), rows: 24, cols: 80,
	}
	cfg := Config{
		Prefix: DefaultPrefix, History: DefaultHistory,
		Terminal: Terminal{In: in, Out: p.out, Err: p.err, Name: "xterm", Signals: p.signals},
	}
	if tty {
		cfg.Terminal.Raw = func() (func(), error) {
			p.raw.Store(true)
			return func() { p.raw.Store(false) }, nil
		}
		cfg.Terminal.Size = func() (int, int, bool) {
			p.mu.Lock()
			defer p.mu.Unlock()
			return p.rows, p.cols, true
		}
	}
	set(&cfg)
	go func() { // ends with the session
		defer close(p.done)
		p.end, p.fail = Attach(ctx, cfg, name)
	}()
	t.Cleanup(func() {
		keys.Close()
		<-p.done
	})
	return p
}

// resizes makes the terminal another size, and tells nobody.
func (p *person) resizes(rows, cols int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rows, p.cols = rows, cols
}

func (p *person) types(s string) {
	p.t.Helper()
	if _, err := io.WriteString(p.keys, s); err != nil {
		p.t.Fatal(err)
	}
}

// leaves waits for the end of the session, which must be without an error.
func (p *person) leaves() End {
	p.t.Helper()
	<-p.done
	if p.fail != nil {
		p.t.Fatal(p.fail)
	}
	if p.raw.Load() {
		p.t.Error("the terminal was left in raw mode")
	}
	return p.end
}

// cksum is what cksum(1) prints first.
func cksum(p []byte) string {
	var table [256]uint32
	for i := range table {
		c := uint32(i) << 24
		for range 8 {
			if c&0x80000000 != 0 {
				c = c<<1 ^ 0x04c11db7
			} else {
				c <<= 1
			}
		}
		table[i] = c
	}
	var crc uint32
	add := func(b byte) { crc = crc<<8 ^ table[byte(crc>>24)^b] }
	for _, b := range p {
		add(b)
	}
	for n := len(p); n > 0; n >>= 8 {
		add(byte(n))
	}
	return uitoa(^crc)
}

func uitoa(n uint32) string {
	var b []byte
	for {
		b = append([]byte{byte('0' + n%10)}, b...)
		if n /= 10; n == 0 {
			return string(b)
		}
	}
}
