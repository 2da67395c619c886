// Package fence makes sure that a node which is not heard of runs nothing any
// more: methods, called by name, and the order in which they are tried.
//
// A node that is silent may be dead, or cut off and at work. What it did can
// be given to another only when it is known to have ended: that is fencing.
// It is the node right above who does it, for it alone knows when the node
// was heard last.
//
// # Policies
//
// A policy is text, a line for each method of a node, in the order in which
// they are tried:
//
//	NODES METHOD [WORD] [KEY=VALUE]...
//
// NODES is a list of names as node[1-16,20],login, or a pattern in which *
// and ? stand for any letters and for one. The lines with the pattern * alone
// are for those who have no other line; who has none at all has the method
// watchdog. Words are quoted as in a shell, and what begins with # is a
// comment. An unknown method or parameter is an error, so that what is not
// there is not first missed when it is needed.
//
// # Methods
//
//	none [trust=yes]
//	    nobody makes sure: it fails, or says at once that the node is fenced,
//	    which is then only believed
//	watchdog [slack=1s]
//	    waits until the node has ended its tasks by itself, as every node does
//	    that does not hear from the one above it, and as long again as slack
//	kill [timeout=10s]
//	    asks the very program at the node over another connection
//	command PROG [timeout=1m] [verify=yes] [action=off|reboot] [KEY=VALUE]...
//	    runs a fence agent, as those of Debian's fence-agents
//	manual [timeout=D]
//	    waits for a person's word: for the context of Run, which whoever takes
//	    that word ends
//
// # Blocking
//
// Policy.Run waits for as long as its methods take, and ends with its context.
// Nothing else here waits, and no lock is held while a method runs.
package fence

import (
	"context"
	"time"
)

// A Target is a node that is to be fenced.
type Target struct {
	Name  string
	Addr  string
	Epoch uint64 // which of the node's incarnations it is
	// Heard is when it was heard last, with a reading of the monotonic clock;
	// Self is how long after that it ends its tasks by itself at the latest.
	Heard time.Time
	Self  time.Duration
	// Ask asks the very program that is to be fenced, over another
	// connection, to end its tasks, and returns nil when it has said that
	// nothing runs there any more; nil if there is no other connection.
	Ask func(ctx context.Context) error
}

// A Method is a way to fence. It may be used for several targets at a time.
type Method interface {
	// Fence returns nil when nothing runs on the target any more. It ends with
	// ctx at the latest.
	Fence(ctx context.Context, t Target) error
}

// New makes a method with the parameters of a line of a policy. The word without
// a key, if there is one, has the key "".
type New func(params map[string]string) (Method, error)
