// Package frame is what one node of the tree says to another: frames, and the
// links that carry them.
package frame

import "context"

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
	Leave                  // I am going, and nothing of mine runs here any more

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
)

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
// it lives. One goroutine may send and another receive, and any may close.
//
// Send takes f.Body. It waits while much is on its way, but a frame of the link
// itself (Beat, Answer) goes before those of sessions that wait.
type Link interface {
	Send(ctx context.Context, f Frame) error
	Recv(ctx context.Context) (Frame, error)
	Close() error
	Addr() string // where the other end is, for people
}
