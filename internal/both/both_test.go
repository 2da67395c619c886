package both

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"

	"hubfs/internal/wire"
)

// A line is what a Way sends to, and what it ends.
type line struct {
	sent  []string // each in one piece
	fail  error    // of sending
	ended error
}

func (l *line) send(p []byte) error {
	if l.fail == nil {
		l.sent = append(l.sent, string(p))
	}
	return l.fail
}

func (l *line) end(err error) { l.ended = err }

func newWay(asks bool) (*Way, *line) {
	l := new(line)
	return New(asks, 8192, l.send, l.end), l
}

func frame(t testing.TB, m wire.Msg) []byte {
	t.Helper()
	b, err := wire.Append(nil, &m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func clunk(t testing.TB, tag uint16) []byte {
	return frame(t, wire.Msg{Type: wire.Tclunk, Tag: tag})
}

func TestReadGivesWhatWasPut(t *testing.T) {
	w, _ := newWay(false)
	var want []byte
	put := func(b []byte, err error) {
		t.Helper()
		want = append(want, b...)
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := range 2000 { // more than a piece
		b := clunk(t, uint16(i))
		put(b, w.Put(b))
	}
	big := w.Buffer(100_000)
	for i := range big {
		big[i] = byte(i)
	}
	put(big, w.Fill(big))
	put(clunk(t, 1), w.Put(clunk(t, 1)))
	var got []byte
	for p := make([]byte, 777); len(got) < len(want); {
		n, err := w.Read(p)
		if got = append(got, p[:n]...); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%d bytes, want %d", len(got), len(want))
	}
	if w.unread != 0 || len(w.queue) != 0 {
		t.Errorf("%d bytes in %d pieces are left", w.unread, len(w.queue))
	}
	if b := w.Buffer(90_000); cap(b) != 100_000 {
		t.Error("the buffer is not used again")
	}
}

// TestWriteSendsWholeMessages, however they are cut, and some of them at once.
func TestWriteSendsWholeMessages(t *testing.T) {
	var all []byte
	for i := range 9 {
		all = append(all, frame(t, wire.Msg{Type: wire.Twrite, Tag: uint16(i), Data: make([]byte, 1000*i)})...)
	}
	for _, step := range []int{1, 6, 7, 1000, 40_000} {
		w, l := newWay(true)
		for p := all; len(p) > 0; {
			n := min(step, len(p))
			if m, err := w.Write(p[:n]); m != n || err != nil {
				t.Fatalf("%d, %v", m, err)
			}
			p = p[n:]
		}
		if got := strings.Join(l.sent, ""); got != string(all) {
			t.Fatalf("steps of %d: sent %d bytes of %d", step, len(got), len(all))
		}
		for _, s := range l.sent {
			for s != "" {
				size, err := wire.FrameSize([]byte(s), 8192)
				if err != nil || size > len(s) {
					t.Fatalf("steps of %d: torn apart: %v", step, err)
				}
				s = s[size:]
			}
		}
		if step == 40_000 && len(l.sent) != 1 {
			t.Errorf("one write became %d", len(l.sent))
		}
	}
}

// TestBurstsLeaveTurns: a long write is sent in pieces.
func TestBurstsLeaveTurns(t *testing.T) {
	w, l := newWay(true)
	one := frame(t, wire.Msg{Type: wire.Twrite, Data: make([]byte, 8000)})
	w.Write(bytes.Repeat(one, 100))
	for _, s := range l.sent {
		if len(s) > burst {
			t.Errorf("%d bytes at once", len(s))
		}
	}
	if n := len(strings.Join(l.sent, "")); n != 100*len(one) {
		t.Errorf("sent %d bytes", n)
	}
}

// TestVersionFitsTheConnection: else the answer could allow messages that the
// connection does not.
func TestVersionFitsTheConnection(t *testing.T) {
	w, l := newWay(true)
	v := frame(t, wire.Msg{Type: wire.Tversion, Tag: wire.NoTag, Msize: wire.MaxMsize, Version: wire.Version})
	w.Write(append(bytes.Clone(v), clunk(t, 1)...))
	small := frame(t, wire.Msg{Type: wire.Tversion, Tag: wire.NoTag, Msize: 8192, Version: wire.Version})
	if len(l.sent) != 1 || l.sent[0] != string(small)+string(clunk(t, 1)) {
		t.Errorf("sent %q", l.sent)
	}
	if v[wire.HeaderSize+1] != 0 {
		t.Error("the caller's bytes were changed")
	}
}

func TestWrongDirectionIsRefused(t *testing.T) {
	request, reply := clunk(t, 1), frame(t, wire.Msg{Type: wire.Rclunk})
	long := frame(t, wire.Msg{Type: wire.Twrite, Data: make([]byte, 9000)})
	for _, c := range []struct {
		asks bool
		b    []byte
		ok   bool
	}{{true, request, true}, {false, request, false}, {true, reply, false}, {false, reply, true}, {true, long, false}, {true, []byte("\x01\x00\x00\x00xyz"), false}} {
		w, l := newWay(c.asks)
		if _, err := w.Write(c.b); (err == nil) != c.ok || (len(l.sent) == 1) != c.ok {
			t.Errorf("asks %v, %x: %v, sent %q", c.asks, c.b[:7], err, l.sent)
		}
	}
}

// TestUnreadIsBounded: what nobody reads ends the connection, and not before the
// limit.
func TestUnreadIsBounded(t *testing.T) {
	for _, asks := range []bool{false, true} {
		w, _ := newWay(asks)
		n := 0
		var err error
		for one := make([]byte, 8192); err == nil && n < 2*unreadReplies; n += len(one) {
			err = w.Put(one)
		}
		if n -= 8192; !errors.Is(err, errUnread) || n != w.most {
			t.Errorf("asks %v: %v after %d bytes", asks, err, n)
		}
	}
}

func TestEndOfTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, l := newWay(false)
		w.Put(clunk(t, 1))
		w.End()
		if got, err := io.ReadAll(w); err != nil || !bytes.Equal(got, clunk(t, 1)) {
			t.Errorf("%x, %v", got, err)
		}
		if _, err := w.Write(clunk(t, 1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("write: %v", err)
		}
		if w.Close(); l.ended != nil {
			t.Error("ended a second time")
		}

		w, _ = newWay(false)
		done := make(chan error)
		go func() { // until the end
			_, err := w.Read(make([]byte, 1))
			done <- err
		}()
		synctest.Wait()
		w.End()
		if err := <-done; err != io.EOF {
			t.Errorf("a read that waits: %v", err)
		}
	})
}

// TestClose: who closes its direction disturbs the other one only if somebody
// would wait for ever.
func TestClose(t *testing.T) {
	reply := frame(t, wire.Msg{Type: wire.Rclunk})
	for _, c := range []struct {
		name        string
		asks, begun bool
		ends        bool  // the connection
		late        error // of a message that comes later
	}{
		{"the side that answers, asked nothing", false, false, false, io.EOF},
		{"the side that answers, asked something", false, true, true, io.EOF},
		{"the side that asks", true, true, false, nil},
	} {
		w, l := newWay(c.asks)
		b := clunk(t, 1)
		if c.asks {
			b = reply
		}
		if c.begun {
			w.Put(b)
		}
		w.Close()
		w.Close()
		if (l.ended != nil) != c.ends {
			t.Errorf("%s: the connection ended: %v", c.name, l.ended)
		}
		if err := w.Put(b); (err == nil) != (c.late == nil) {
			t.Errorf("%s: later: %v", c.name, err)
		}
		if _, err := w.Read(make([]byte, 9)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: read: %v", c.name, err)
		}
		if _, err := w.Write(b); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: write: %v", c.name, err)
		}
	}
}

// FuzzWrite: whatever is written in whatever steps, what is sent is whole
// messages of the right direction, the same bytes, in order.
func FuzzWrite(f *testing.F) {
	f.Add([]byte("\x07\x00\x00\x00\x78\x01\x00\x0b\x00\x00\x00\x78\x01\x00\x00\x00\x00\x00"), byte(3))
	f.Add([]byte("\x13\x00\x00\x00\x64\xff\xff\x00\xff\xff\xff\x06\x009P2000\x07"), byte(20))
	f.Fuzz(func(t *testing.T, in []byte, step byte) {
		w, l := newWay(true)
		for p := in; len(p) > 0; {
			n := min(int(step)+1, len(p))
			if _, err := w.Write(p[:n]); err != nil {
				break
			}
			p = p[n:]
		}
		var got []byte
		for _, s := range l.sent {
			got = append(got, s...)
			for s != "" {
				size, err := wire.FrameSize([]byte(s), 8192)
				if err != nil || size > len(s) || s[4]%2 != 0 {
					t.Fatalf("%x was sent", s)
				}
				s = s[size:]
			}
		}
		if !bytes.HasPrefix(in, got) && !bytes.Contains(in, []byte{byte(wire.Tversion)}) {
			t.Fatalf("%x was sent of %x", got, in)
		}
	})
}
