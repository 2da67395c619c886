package client_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"hubfs/client"
	"hubfs/internal/wire"
)

// FuzzServer lets the fuzzer be the server. Each byte of the input says what
// becomes of one request: a true answer, none, an error, a lie, an answer to
// something else, a request, bytes of the input, the end. Whatever it does the client
// neither panics nor hangs, returns no more than was asked for, and leaves no
// goroutine behind, of which synctest makes sure.
func FuzzServer(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{1})
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0}) // reads wait and are flushed
	f.Add([]byte{0, 0, 0, 0, 2, 2, 2, 2})
	f.Add([]byte{0, 0, 0, 0, 0, 0, 3, 3, 3})
	f.Add([]byte("\x00\x00\x00\x00\x04\x07\x75\xff\xff\xff\xff"))
	f.Add([]byte("\x00\x00\x00\x00\x05\x07"))
	f.Add([]byte("\x00\x00\x00\x00\x06\x07\x00\x00\x00\x00\x00\x00\x00"))
	f.Add([]byte("\x00\x00\x08\x09\xff\x08\x00\x00\x08\x02\x01")) // asks, too
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) > 200 {
			return
		}
		synctest.Test(t, func(t *testing.T) {
			ours, theirs := net.Pipe()
			go (&liar{conn: theirs, in: in}).serve() // until the connection ends
			use(t, ours, len(in)%4 > 0, len(in)%3 > 0)
		})
	})
}

// use does with a server what there is to do, for a time.
func use(t *testing.T, conn net.Conn, ordered, serves bool) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	o := client.Options{Msize: 8192, Ordered: ordered}
	if serves {
		o.Serve = serveNothing
	}
	c, err := client.New(ctx, conn, o)
	if err != nil {
		return
	}
	check := func(what string, n, most int, err error) {
		if n < 0 || n > most || what == "read" && (n > 0) == (err != nil) {
			t.Errorf("%s of %d returned %d, %v", what, most, n, err)
		}
	}
	var all sync.WaitGroup
	all.Go(func() {
		file, err := c.Open(ctx, "a/b", client.ORDWR)
		if err != nil {
			return
		}
		var both sync.WaitGroup
		both.Go(func() {
			p := make([]byte, 10000)
			for range 3 {
				short, cancel := context.WithTimeout(ctx, time.Second)
				n, err := file.ReadContext(short, p)
				check("read", n, len(p), err)
				cancel()
			}
			r := file.Reader(3)
			for range 3 {
				n, err := r.ReadContext(ctx, p)
				check("read", n, len(p), err)
			}
			short, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			r.Close(short)
		})
		both.Go(func() {
			p := make([]byte, 10000)
			n, err := file.WriteContext(ctx, p)
			check("write", n, len(p), err)
			w := file.Writer(2)
			for range 3 {
				n, err = w.WriteContext(ctx, p[:10])
				check("write", n, 10, err)
			}
			w.Flush(ctx)
		})
		both.Wait()
		file.Close()
	})
	all.Go(func() {
		c.Stat(ctx, "a")
		c.ReadDir(ctx, "/")
		c.Create(ctx, "x", 0o666, client.OREAD)
		c.Remove(ctx, "x")
		c.WriteFile(ctx, "ctl", []byte("quit"))
	})
	finished := async(func() bool { all.Wait(); return true })
	select {
	case <-finished:
	case <-ctx.Done():
	}
	c.Close() // ends what only the server could have ended
	all.Wait()
	if c.Err() == nil {
		t.Error("closed, but Err is nil")
	}
}

// serveNothing answers what the server asks with an error, if it is a message.
func serveNothing(ctx context.Context, rwc io.ReadWriteCloser) {
	s := script{conn: wayConn{rwc: rwc}}
	for {
		b := s.frame()
		var m wire.Msg
		if b == nil || s.d.Decode(b, &m) != nil {
			return
		}
		r, err := wire.Append(nil, &wire.Msg{Type: wire.Rerror, Tag: m.Tag, Ename: "no"})
		if err != nil {
			return
		}
		if _, err := rwc.Write(r); err != nil {
			return
		}
	}
}

// A liar serves as its input says.
type liar struct {
	conn net.Conn
	in   []byte
	data string // what every read gets, if not ""
	d    wire.Decoder
	last wire.Msg
}

func (l *liar) serve() {
	defer l.conn.Close()
	s := script{conn: l.conn}
	for {
		b := s.frame()
		if b == nil {
			return
		}
		var m wire.Msg
		if l.d.Decode(b, &m) != nil {
			panic("the client has sent what is no message")
		}
		if m.Type.IsR() {
			continue // of Serve
		}
		if !l.answer(&m) {
			return
		}
		l.last = m
	}
}

func (l *liar) byte() byte {
	if len(l.in) == 0 {
		return 0
	}
	b := l.in[0]
	l.in = l.in[1:]
	return b
}

// answer does with a request what the next byte says.
func (l *liar) answer(m *wire.Msg) bool {
	switch l.byte() % 10 {
	case 0: // the truth
		r := truth(m)
		if m.Type == wire.Tread && l.data != "" {
			r.Data = []byte(l.data)
		}
		return l.send(r)
	case 1: // nothing
		return true
	case 2:
		return l.send(wire.Msg{Type: wire.Rerror, Tag: m.Tag, Ename: "unknown fid"})
	case 3: // some other reply
		r := truth(m)
		r.Type = wire.Rversion + wire.Type(l.byte()%14)*2
		return l.send(r)
	case 4: // a true frame, some bytes of it changed
		b, _ := wire.Append(nil, new(truth(m)))
		for range l.byte()%3 + 1 {
			b[int(l.byte())%len(b)] ^= l.byte()
		}
		return l.raw(b)
	case 5: // another's tag
		r := truth(m)
		r.Tag += uint16(l.byte())
		return l.send(r)
	case 6: // a frame of the input's making
		n := min(int(l.byte()), len(l.in))
		b := binary.LittleEndian.AppendUint32(nil, uint32(n+4))
		b = append(b, l.in[:n]...)
		l.in = l.in[n:]
		return l.raw(b)
	case 7: // the answer before, again, and then the truth
		return l.send(truth(&l.last)) && l.send(truth(m))
	case 8: // a request of its own, and then the truth
		if m.Type != wire.Tversion && !l.send(wire.Msg{Type: wire.Tversion + 2*wire.Type(l.byte()%14), Tag: m.Tag, Data: make([]byte, 20*int(l.byte()))}) {
			return false
		}
		return l.send(truth(m))
	default:
		return false
	}
}

func (l *liar) send(m wire.Msg) bool {
	b, err := wire.Append(nil, &m)
	return err != nil || l.raw(b)
}

func (l *liar) raw(b []byte) bool {
	_, err := l.conn.Write(b)
	return err == nil || err == io.ErrShortWrite
}

// truth is what a good server says.
func truth(m *wire.Msg) wire.Msg {
	r := wire.Msg{Type: m.Type + 1, Tag: m.Tag}
	switch m.Type {
	case wire.Tversion:
		r.Msize, r.Version = m.Msize, m.Version
	case wire.Twalk:
		r.Wqid = make([]wire.Qid, len(m.Wname))
	case wire.Tread:
		// Short, long or nothing.
		r.Data = make([]byte, min(m.Count, []uint32{10, 6000, 0}[m.Offset%3]))
		if m.Offset > 20000 {
			r.Data = nil
		}
	case wire.Twrite:
		r.Count = uint32(len(m.Data))
	case 0:
		r.Type = wire.Rflush
	}
	return r
}
