// Package frame is what one node of the tree says to another: frames, and the
// links that carry them.
//
// A Link carries frames both ways. Pipe makes one in memory, NewStream makes one
// over anything that carries bytes both ways, and NewPassive one whose bytes
// somebody else carries, as a file that is served. All are the same but for what
// is below them.
//
// # Form
//
// Over bytes a frame is four bytes of length (of all that follows, least
// significant first), one byte of kind, the session as an unsigned varint of the
// shortest form, and the body. Whatever breaks these rules, or a limit, ends
// the link: there is no way to find the next frame.
//
// # Ordering
//
// The frames of one session arrive in the order in which they were sent.
// Those of different sessions may overtake one another: sessions that have frames
// waiting take turns. Frames of the link itself (Session 0) overtake all of
// sessions, and among themselves keep their order; but Leave, the last word, goes
// out when all before it has, and nothing can be sent after it.
//
// # Blocking
//
// Send waits while much is on its way: until the frame is within the bytes that a
// link keeps, or has been taken up. However many goroutines send for one
// session, another session has its turn. Recv waits for a frame. What waits ends
// with its context, or with the link; a Send that was given up has sent nothing.
//
// Close does not wait. At the other end of a Pipe or a Passive what was sent
// before it can still be received; of a Stream, what had been written.
//
// # Ownership
//
// Send takes the body: the caller must not change it afterwards. The body that
// Recv returns may be shared with who sent it (Pipe), and must not be changed
// either.
package frame

import (
	"context"
	"errors"
	"strconv"
)

// ErrClosed says that a link has been closed, at this end or at the other.
var ErrClosed = errors.New("link closed")

// A Kind says what a frame is about.
type Kind uint8

// Kinds of frames. What is in the bodies is said by who makes them: package
// cluster for those of a link, package gang for those of a session.
const (
	// Of a link: Session is 0.
	Hello  Kind = iota + 1 // the first, each way
	Beat                   // I am here
	Ask                    // a question, down
	Answer                 // its answer, up
	Leave                  // the last: I am going, or you have to

	// Of a session, down.
	Offer      // how many tasks could you take?
	Reserve    // take these
	Exec       // run this
	Input      // bytes for the stdin of some
	CloseInput // no more for some
	Signal     // to some
	Push       // a piece of a file for the tasks' folder
	Release    // end, and forget

	// Of a session, up.
	Offered
	Reserved
	Started
	Output // bytes of some
	Exited
	Ready // these ask for a record
	Pushed
	Released // nothing of the session runs here any more
	Failed   // what was asked could not be done

	// Of a session, both ways: so many bytes more may come.
	Credit

	kinds // how many there are, and one more
)

var kindNames = [kinds]string{
	Hello: "Hello", Beat: "Beat", Ask: "Ask", Answer: "Answer", Leave: "Leave",
	Offer: "Offer", Reserve: "Reserve", Exec: "Exec", Input: "Input", CloseInput: "CloseInput",
	Signal: "Signal", Push: "Push", Release: "Release",
	Offered: "Offered", Reserved: "Reserved", Started: "Started", Output: "Output", Exited: "Exited",
	Ready: "Ready", Pushed: "Pushed", Released: "Released", Failed: "Failed",
	Credit: "Credit",
}

// String returns the kind's name, or its number if it has none.
func (k Kind) String() string {
	if k < kinds && kindNames[k] != "" {
		return kindNames[k]
	}
	return "Kind(" + strconv.Itoa(int(k)) + ")"
}

// OfLink reports whether frames of this kind are about the link and not about a
// session.
func (k Kind) OfLink() bool { return k >= Hello && k <= Leave }

// MaxBody is the longest body of a frame.
const MaxBody = 1 << 20

// A Frame is one message. Session is the number that the upper node has given
// the session on this link; 0 is the link itself.
type Frame struct {
	Kind    Kind
	Session uint64
	Body    []byte
}

// A Link carries frames between two nodes, in order and without loss as long as
// it lives. Any goroutine may send and close; one at a time receives.
type Link interface {
	Send(ctx context.Context, f Frame) error
	Recv(ctx context.Context) (Frame, error)
	Close() error
	Addr() string // where the other end is, for people
}
