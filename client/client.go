// Package client speaks 9P2000 to a server: a Conn is one attached
// connection, a File one open of one file.
//
//	c, err := client.New(ctx, conn, client.Options{Uname: "rob"})
//	f, err := c.Open(ctx, "io1", client.OREAD)
//	n, err := f.ReadContext(ctx, buf)
//
// # Ordering
//
// Requests go out in the order in which they were made, and the server answers
// them in any. The sequential reads of one File (ReadContext) take place one
// after another, as do its sequential writes (WriteContext); a read and a
// write, or calls on different Files, never wait for one another.
//
// 9P lets a server begin requests in any order, too, and there are servers that
// do. So what depends on an earlier request is sent after its answer, unless
// Options.Ordered says that this server keeps to the order, as hubfs does. Then
// an open costs one round trip instead of two, a long write has several
// messages under way, and so have the PipeReader and the PipeWriter that
// Reader and Writer make.
//
// # Blocking
//
// The goroutine that makes a request writes it to the connection itself; one
// goroutine for each Conn reads the replies and hands each to its caller. What
// can wait takes a context, which ends the wait for one's turn to write and the
// wait for the reply. A message that is being written is always written to its
// end, for half a one would be the end of the connection: against a server
// that has stopped reading, only Close helps.
//
// Where a connection goes both ways (Options.Serve), neither direction waits for
// the other, but for the line that they share: what the server asks is kept, up
// to 16 MiB, until it is read, and more than that ends the connection.
//
// A request that is given up is flushed (flush(5)). A read returns at once, or
// with its bytes if they have begun to come; if the server had taken bytes from
// a stream for it, they are kept, and the next read of the File returns them. A write waits until the server has said how
// much of it took effect, so that its count is true. A walk or an open that
// comes too late is undone behind the caller's back.
//
// When the connection ends, for whatever reason, every caller gets an error
// that is ErrLost. A connection whose other end is gone without a word is found
// by Options.Keepalive. A server that breaks the protocol is a reason: its
// connection is closed, and the error says what it did.
//
// # Ownership
//
// A Conn owns the connection that it was given, and closes it. The connection's
// Close must end a Read and a Write that wait, as that of a net.Conn does. A
// buffer passed to a call belongs to the call until it returns, and no longer.
// All methods may be called from several goroutines at the same time.
package client

import (
	"context"
	"io"
	"time"

	"hubfs/internal/wire"
)

// Modes for Open and Create.
const (
	OREAD   = wire.OREAD   // read
	OWRITE  = wire.OWRITE  // write
	ORDWR   = wire.ORDWR   // read and write
	OEXEC   = wire.OEXEC   // read, if it may be executed
	OTRUNC  = wire.OTRUNC  // or'ed in: empty the file first
	ORCLOSE = wire.ORCLOSE // or'ed in: remove the file when it is closed
)

// Bits of Info.Mode and of the perm of Create, beside the nine permissions.
const (
	DMDIR    = wire.DMDIR    // a directory
	DMAPPEND = wire.DMAPPEND // writes append, whatever their offset
	DMEXCL   = wire.DMEXCL   // one open at a time
)

// MaxMsize is the largest message that a Conn will agree to.
const MaxMsize = wire.MaxMsize

// Options say how to attach.
type Options struct {
	Msize uint32 // largest message to ask for; 0: MaxMsize
	Uname string // who we are
	Aname string // which tree; "": the usual one

	// Token lets us in where the server wants one: it is written to an afid
	// (Tauth) before the attach. A server that knows no logins is an error.
	Token string

	// Ordered says that the server takes the requests of a connection, or at
	// least those of one fid, in the order in which they come.
	Ordered bool

	// Keepalive is after how long without a word from the server, or to it, it
	// is asked for something; if nothing at all comes for twice as long after
	// that, the connection is lost. So a connection of which the other end is
	// gone without a word is found within three times as long. 0: never.
	Keepalive time.Duration

	// Serve answers what the server asks over the same connection: a server of 9P
	// that serves rwc, which is closed when Serve returns. It is called in a
	// goroutine of its own, once, if the server knows of connections that go both
	// ways, as hubfs does (wire.VersionBoth); see Conn.Both. When ctx is done, or
	// rwc fails, it has to return: Conn.Close waits for it, so that it must not
	// call that itself. If it returns and the server had asked something, the
	// connection ends, for the server would wait for ever. nil: the connection
	// goes one way.
	Serve func(ctx context.Context, rwc io.ReadWriteCloser)
}
