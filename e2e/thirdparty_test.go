package e2e

import (
	"bytes"
	"fmt"
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
	w.write(fs, "work0", `sh -c 'trap "echo note-$((1+1)); exit" INT; echo armed-$((1+1)); while :; do sleep 1000; done'`+"\n")
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
	conn, err := net.Dial("unix", w.socket("default"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	call := func(tx *plan9.Fcall) *plan9.Fcall {
		t.Helper()
		if err := plan9.WriteFcall(conn, tx); err != nil {
			t.Fatal(err)
		}
		rx, err := plan9.ReadFcall(conn)
		if err != nil {
			t.Fatal(err)
		}
		if rx.Tag != tx.Tag || rx.Type != tx.Type+1 {
			t.Fatalf("%v was answered %v", tx, rx)
		}
		return rx
	}
	call(&plan9.Fcall{Type: plan9.Tversion, Tag: plan9.NOTAG, Msize: 8192, Version: "9P2000"})
	call(&plan9.Fcall{Type: plan9.Tattach, Fid: 0, Afid: plan9.NOFID, Uname: "tester"})
	call(&plan9.Fcall{Type: plan9.Twalk, Fid: 0, Newfid: 1})
	call(&plan9.Fcall{Type: plan9.Tcreate, Fid: 1, Name: "quiet", Perm: 0o666, Mode: plan9.OWRITE})
	for i := range uint32(reads) {
		call(&plan9.Fcall{Type: plan9.Twalk, Fid: 0, Newfid: 2 + i, Wname: []string{"quiet"}})
		call(&plan9.Fcall{Type: plan9.Topen, Fid: 2 + i, Mode: plan9.OREAD})
	}

	// All the reads go out before the write: the server has them when it
	// comes to the write.
	for i := range uint32(reads) {
		if err := plan9.WriteFcall(conn, &plan9.Fcall{Type: plan9.Tread, Tag: uint16(2 + i), Fid: 2 + i, Count: 100}); err != nil {
			t.Fatal(err)
		}
	}
	data := []byte("at last")
	if err := plan9.WriteFcall(conn, &plan9.Fcall{Type: plan9.Twrite, Tag: 1, Fid: 1, Data: data, Count: uint32(len(data))}); err != nil {
		t.Fatal(err)
	}
	answered := map[uint16]bool{}
	for len(answered) < reads+1 {
		rx, err := plan9.ReadFcall(conn)
		if err != nil {
			t.Fatalf("after %d answers: %v", len(answered), err)
		}
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

func TestLateReaderSeesHistory(t *testing.T) {
	w := newWorld(t)
	w.hubInput("one\ntwo\n", "write", "build")
	early := w.reader("build")
	early.line("one")
	early.line("two")
	w.hubInput("three\n", "write", "build")
	early.line("three")
	late := w.reader("build")
	for _, line := range []string{"one", "two", "three"} {
		late.line(line)
	}
	tail := w.reader("build@-6")
	tail.line("three")
	w.want("ctl", "end", "build")
	for _, r := range []*follower{early, late, tail} {
		if rest := r.exits(0); rest != "" {
			t.Errorf("%q after the end", rest)
		}
	}
}

// TestOvertakenReaderIsTold: what a reader gets and what it is told that it
// missed are all that was written.
func TestOvertakenReaderIsTold(t *testing.T) {
	const total = 8 << 20
	w := newWorld(t)
	w.hubInput("begin\n", "write", "busy")
	w.want("ctl", "size", "busy", "65536")
	r := w.reader("busy")
	r.line("begin")
	// The reader's pipe is full before long, for nobody reads it.
	w.hubInput(strings.Repeat("0123456789abcde\n", total/16), "write", "busy")
	w.want("ctl", "end", "busy")
	got := len(r.exits(0))
	missed := 0
	for line := range strings.Lines(r.said.String() + "\n") {
		var n int
		if _, err := fmt.Sscanf(line, "hub: skipped %d bytes", &n); err == nil {
			missed += n
		}
	}
	if missed == 0 || got+missed != total {
		t.Errorf("got %d bytes and was told of %d missed; %d were written\nstderr: %s", got, missed, total, &r.said)
	}
}
