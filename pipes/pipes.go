// Package pipes moves bytes from a Source to a Sink: whole streams, with a
// context that can stop the wait but never loses what was already taken.
//
// Source and Sink are the two interfaces on which shells meet streams. A
// hub's Reader and Writer and a 9P client's File satisfy them without knowing
// of this package, which is why the same shell runs inside the server or
// inside a client that lends one.
//
// # Blocking
//
// ReadContext and WriteContext block until they can do their work or until
// the context is done; nothing else in this package blocks.
//
// # Ownership
//
// A buffer handed to ReadContext or WriteContext belongs to the callee until
// it returns, and to the caller afterwards. Neither may keep it.
package pipes

import (
	"context"
	"errors"
)

// A Source is where bytes come from.
//
// ReadContext fills p with at least one byte and returns how many. It returns
// n > 0 or an error, never both: bytes taken are bytes returned.
//
//   - io.EOF says that the stream has an end-of-file mark here. The stream may
//     go on: the next ReadContext returns what follows the mark, or waits.
//   - an error for which both errors.Is(err, io.EOF) and IsEnded(err) hold
//     says that the stream is complete and nothing follows.
//   - any other error says that the source is lost; ctx.Err() if ctx was done
//     before a byte was taken.
type Source interface {
	ReadContext(ctx context.Context, p []byte) (int, error)
}

// A Poller is a Source that can also be asked without waiting. Who has little
// to do with each piece can do it in the goroutine of whoever wrote it, and
// saves a keystroke the way through the scheduler.
//
// Poll takes what is there, as ReadContext does. If there is nothing, ready is
// false, and wake will be called once when asking again may have another
// result: from any goroutine, perhaps before Poll has returned. It must not
// block. CancelRead withdraws that; a wake that is on its way may still come.
// ReadContext and Poll are not used at the same time.
type Poller interface {
	Source
	Poll(p []byte, wake func()) (n int, ready bool, err error)
	CancelRead()
}

// A Sink is where bytes go.
//
// WriteContext takes all of p, in order and not interleaved with another
// write, or returns an error and how many bytes of p it took.
type Sink interface {
	WriteContext(ctx context.Context, p []byte) (int, error)
}

// IsEnded reports whether err says that a source is complete: that no more
// will ever follow. An error says so by having a method Ended() bool that
// returns true.
func IsEnded(err error) bool {
	var e interface{ Ended() bool }
	return errors.As(err, &e) && e.Ended()
}
