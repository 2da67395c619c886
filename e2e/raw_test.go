package e2e

import (
	"bufio"
	"bytes"
	"net"
	"testing"
	"time"

	"9fans.net/go/plan9"
)

// A raw is a connection on which a test says itself which requests go out
// when. Its messages are made and read by a codec that is not ours.
type raw struct {
	tb   testing.TB
	conn net.Conn
	in   *bufio.Reader
}

// raw connects to the server called name, and attaches fid 0 to its tree.
func (w *world) raw(name string) *raw {
	w.tb.Helper()
	return newRaw(w.tb, w.socket(name))
}

// newRaw connects to the server whose socket is at path.
func newRaw(tb testing.TB, path string) *raw {
	tb.Helper()
	conn, err := net.Dial("unix", path)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { conn.Close() })
	return rawOver(tb, conn, 8192)
}

// rawOver attaches fid 0 over a connection.
func rawOver(tb testing.TB, conn net.Conn, msize uint32) *raw {
	tb.Helper()
	c := &raw{tb: tb, conn: conn, in: bufio.NewReaderSize(conn, 512)}
	c.call(&plan9.Fcall{Type: plan9.Tversion, Tag: plan9.NOTAG, Msize: msize, Version: "9P2000"})
	c.call(&plan9.Fcall{Type: plan9.Tattach, Fid: 0, Afid: plan9.NOFID, Uname: "tester"})
	return c
}

// send sends requests in one write.
func (c *raw) send(txs ...*plan9.Fcall) {
	c.tb.Helper()
	var all bytes.Buffer
	for _, tx := range txs {
		frame, err := tx.Bytes()
		if err != nil {
			c.tb.Fatalf("%v: %v", tx, err)
		}
		all.Write(frame)
	}
	c.conn.SetWriteDeadline(time.Now().Add(patience))
	if _, err := c.conn.Write(all.Bytes()); err != nil {
		c.tb.Fatal(err)
	}
}

// receive reads the next reply.
func (c *raw) receive() *plan9.Fcall {
	c.tb.Helper()
	c.conn.SetReadDeadline(time.Now().Add(patience))
	rx, err := plan9.ReadFcall(c.in)
	if err != nil {
		c.tb.Fatal(err)
	}
	return rx
}

// call sends one request and reads its reply, which must not be an error.
func (c *raw) call(tx *plan9.Fcall) *plan9.Fcall {
	c.tb.Helper()
	c.send(tx)
	rx := c.receive()
	if rx.Tag != tx.Tag || rx.Type != tx.Type+1 {
		c.tb.Fatalf("%v was answered %v", tx, rx)
	}
	return rx
}

// open walks fid to name and opens it.
func (c *raw) open(fid uint32, name string, mode uint8) {
	c.tb.Helper()
	c.call(&plan9.Fcall{Type: plan9.Twalk, Fid: 0, Newfid: fid, Wname: []string{name}})
	c.call(&plan9.Fcall{Type: plan9.Topen, Fid: fid, Mode: mode})
}

// create makes a hub and opens it on fid for writing.
func (c *raw) create(fid uint32, name string) {
	c.tb.Helper()
	c.call(&plan9.Fcall{Type: plan9.Twalk, Fid: 0, Newfid: fid})
	c.call(&plan9.Fcall{Type: plan9.Tcreate, Fid: fid, Name: name, Perm: 0o666, Mode: plan9.OWRITE})
}

// twrite is a request to write data.
func twrite(tag uint16, fid uint32, data []byte) *plan9.Fcall {
	return &plan9.Fcall{Type: plan9.Twrite, Tag: tag, Fid: fid, Data: data, Count: uint32(len(data))}
}

// tread is a request to read.
func tread(tag uint16, fid uint32, count uint32) *plan9.Fcall {
	return &plan9.Fcall{Type: plan9.Tread, Tag: tag, Fid: fid, Count: count}
}
