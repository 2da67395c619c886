package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"9fans.net/go/plan9"
	"9fans.net/go/plan9/client"
)

// mount attaches to the world's default server with a client that is not ours.
func (w *world) mount() *client.Fsys {
	w.tb.Helper()
	conn, err := client.Dial("unix", w.socket("default"))
	if err != nil {
		w.tb.Fatal(err)
	}
	w.tb.Cleanup(func() { conn.Close() })
	fs, err := conn.Attach(nil, "tester", "")
	if err != nil {
		w.tb.Fatal(err)
	}
	return fs
}

// A stream is an open file that is read until something has come. This
// client's reads know no deadline: a goroutine reads, and the test waits.
type stream struct {
	tb   testing.TB
	name string
	fid  *client.Fid
	got  chan []byte
	seen []byte
}

func (w *world) open(fs *client.Fsys, name string) *stream {
	w.tb.Helper()
	fid, err := fs.Open(name, plan9.OREAD)
	if err != nil {
		w.tb.Fatalf("open %s: %v", name, err)
	}
	s := &stream{tb: w.tb, name: name, fid: fid, got: make(chan []byte)}
	done := make(chan struct{})
	w.tb.Cleanup(func() { close(done) })
	go func() { // ends with the stream or with the test's connection
		defer close(s.got)
		for {
			buf := make([]byte, 8192)
			n, err := fid.Read(buf)
			if n == 0 || err != nil {
				return
			}
			select {
			case s.got <- buf[:n]:
			case <-done:
				return
			}
		}
	}()
	return s
}

// expect waits until text has come.
func (s *stream) expect(text string) {
	s.tb.Helper()
	timeout := time.After(patience)
	for !bytes.Contains(s.seen, []byte(text)) {
		select {
		case p, ok := <-s.got:
			if !ok {
				s.tb.Fatalf("%s ended without %q; it was %q", s.name, text, s.seen)
			}
			s.seen = append(s.seen, p...)
		case <-timeout:
			s.tb.Fatalf("%s: no %q; it is %q", s.name, text, s.seen)
		}
	}
}

// all waits for the end of the stream and returns everything.
func (s *stream) all() string {
	s.tb.Helper()
	timeout := time.After(patience)
	for {
		select {
		case p, ok := <-s.got:
			if !ok {
				return string(s.seen)
			}
			s.seen = append(s.seen, p...)
		case <-timeout:
			s.tb.Fatalf("%s does not end; it is %q", s.name, s.seen)
		}
	}
}

// events are what happens on the server from now on.
func (w *world) events() *stream {
	w.tb.Helper()
	return w.open(w.mount(), "events")
}

// write writes to a file as a script does with this client.
func (w *world) write(fs *client.Fsys, name, text string) {
	w.tb.Helper()
	fid, err := fs.Open(name, plan9.OWRITE)
	if err != nil {
		w.tb.Fatalf("open %s: %v", name, err)
	}
	defer fid.Close()
	if n, err := fid.Write([]byte(text)); n != len(text) || err != nil {
		w.tb.Fatalf("write %q to %s: %d, %v", text, name, n, err)
	}
}

func TestThirdPartyClientSharesAHub(t *testing.T) {
	w := newWorld(t)
	w.serve("-s", "default")
	fs := w.mount()
	fid, err := fs.Create("talk", plan9.OWRITE, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	readers := []*stream{w.open(fs, "talk"), w.open(w.mount(), "talk"), w.open(w.mount(), "talk@end")}
	for i := range 100 {
		if _, err := fmt.Fprintf(fid, "line %d\n", i); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range readers {
		r.expect("line 99\n")
	}
	late := w.open(w.mount(), "talk")
	w.write(fs, "ctl", "end talk\n")
	var want strings.Builder
	for i := range 100 {
		fmt.Fprintf(&want, "line %d\n", i)
	}
	for i, r := range append(readers, late) {
		if got := r.all(); got != want.String() {
			t.Errorf("reader %d got %q", i, got)
		}
	}
	if _, err := fid.Write([]byte("more")); err == nil {
		t.Error("an ended hub took a write")
	}
	d, err := fs.Stat("talk")
	if err != nil || d.Length != uint64(want.Len()) {
		t.Errorf("an ended hub is a plain file: stat %+v, %v; want length %d", d, err, want.Len())
	}
	if err := fs.Remove("talk"); err != nil {
		t.Error(err)
	}
	if _, err := fs.Stat("talk"); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("stat of a removed hub: %v", err)
	}
}

func TestThirdPartyClientSharesAShell(t *testing.T) {
	w := newWorld(t)
	w.serve("-s", "default")
	fs := w.mount()
	w.write(fs, "ctl", "shell work -e PS1= -- sh -i\n")
	term := w.terminal("attach", "work")
	answers(term, "person", 1001)

	out := w.open(fs, "work1")
	out.expect("person-1001") // the history
	w.write(fs, "work0", "echo script-$((1001+1))\n")
	out.expect("script-1002")
	term.Expect("script-1002")

	wait := w.open(w.mount(), "shell/work/wait")
	w.write(fs, "work0", `sh -c 'sleep 1000 & trap "kill $!; echo note-$((1+1)); exit" INT; echo armed-$((1+1)); wait'`+"\n")
	out.expect("armed-2")
	w.write(fs, "work0.note", "interrupt")
	out.expect("note-2")
	w.write(fs, "shell/work/ctl", "size 30 90\n")
	w.write(fs, "shell/work/stdin", "stty size; exit 4\n")
	term.Expect("30 90")
	term.Exits(4)
	if got := wait.all(); got != "exit 4\n" {
		t.Errorf("wait: %q", got)
	}
	if got := out.all(); !strings.Contains(got, "30 90") {
		t.Errorf("the stream ended before its last output: %q", got)
	}
}

func TestWriteWhileReadsWait(t *testing.T) {
	const reads = 200
	w := newWorld(t)
	w.serve("-s", "default")
	c := w.raw("default")
	c.create(1, "quiet")
	for i := range uint32(reads) {
		c.open(2+i, "quiet", plan9.OREAD)
	}
	// The reads go out before the write: the server has them all when it
	// comes to the write.
	var ask []*plan9.Fcall
	for i := range uint32(reads) {
		ask = append(ask, tread(uint16(2+i), 2+i, 100))
	}
	data := []byte("at last")
	c.send(append(ask, twrite(1, 1, data))...)
	answered := map[uint16]bool{}
	for len(answered) < reads+1 {
		rx := c.receive()
		switch {
		case answered[rx.Tag]:
			t.Fatalf("answered twice: %v", rx)
		case rx.Tag == 1 && rx.Type == plan9.Rwrite && int(rx.Count) == len(data):
		case rx.Tag >= 2 && rx.Type == plan9.Rread && bytes.Equal(rx.Data, data):
		default:
			t.Fatalf("answer %v", rx)
		}
		answered[rx.Tag] = true
	}
}

// pipes are the standard input and output of a program, as a connection.
type pipes struct {
	io.ReadCloser
	in io.WriteCloser
}

func (p pipes) Write(b []byte) (int, error) { return p.in.Write(b) }
func (p pipes) Close() error                { return p.in.Close() }

// TestStdioJoinsTheServer: 9P on standard input and output reaches the server
// of that name, and starts it first.
func TestStdioJoinsTheServer(t *testing.T) {
	w := newWorld(t)
	cmd := w.command("hubfs", "-stdio", "-s", "default")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	conn, err := client.NewConn(pipes{out, in})
	if err != nil {
		t.Fatal(err)
	}
	fs, err := conn.Attach(nil, "tester", "")
	if err != nil {
		t.Fatal(err)
	}
	fid, err := fs.Create("talk", plan9.OWRITE, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fid.Write([]byte("over stdio\n")); err != nil {
		t.Fatal(err)
	}
	w.reader("talk").line("over stdio")
	conn.Close()
	if err := cmd.Wait(); err != nil {
		t.Errorf("hubfs -stdio: %v", err)
	}
	// What it had started runs on.
	w.reader("talk").line("over stdio")
}

// TestLoopbackTCP: the same tree on a port.
func TestLoopbackTCP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	w := newWorld(t)
	w.serve("-s", "default", "-a", "tcp://"+addr)
	w.hubInput("by socket\n", "write", "talk")
	host, port, _ := strings.Cut(addr, ":")
	for _, server := range []string{"tcp://" + addr, "tcp!" + host + "!" + port} {
		f := w.reader("-s", server, "talk")
		f.line("by socket")
	}
	conn, err := client.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fs, err := conn.Attach(nil, "tester", "")
	if err != nil {
		t.Fatal(err)
	}
	talk := w.open(fs, "talk")
	talk.expect("by socket\n")
}
