// Package uplink joins two nodes of a tree over a connection of 9P. The upper node
// opens one file of the lower one, Path, and what goes over that open, both ways,
// is their link. It does not matter which of the two has dialed: a server opens the
// file of a client that dialed out (9P2000.both), a client that of a server.
//
// # Ordering
//
// A node is below another once at a time over one Joiner: it dials anew when the
// link has ended, and all of it is gone.
//
// # Blocking
//
// Below and Joiner.Join wait for as long as the link lives, Keep until its context
// is done or nothing is to be tried any more.
//
// # Ownership
//
// What dials gives its connection away, and a link is closed by who was handed it.
// When a function returns, none of its goroutines is left.
package uplink

// Path is where a node has the file that is the end of a link. Who opens it is
// above the node: runs commands on it.
const Path = "/remote/uplink"
