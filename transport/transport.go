// Package transport turns the address of a server into a connection, and into
// a listener. It knows how to reach a server and who is at the other end; what
// is said over the connection is not its concern.
//
// # Addresses
//
// A server is named by
//
//	NAME                              a socket of the user's own: $XDG_RUNTIME_DIR/hub/NAME.sock,
//	                                  or /tmp/hub-UID/NAME.sock without that variable
//	unix!PATH       unix:PATH         a Unix socket anywhere
//	tcp!HOST!PORT   tcp://HOST:PORT   plain TCP
//	tls!HOST!PORT   tls://HOST:PORT[#KEY]
//	                                  TLS 1.3 with a server of that key
//	ssh!HOST        ssh://[USER@]HOST[:PORT][/NAME]
//	                                  the server NAME of an account elsewhere, for clients
//	fd!N            fd:N              a socket that is open as descriptor N
//	systemd         systemd!NAME      a listening socket from systemd, for servers
//
// A Link (hub://HOST:PORT/NAME#KEY.TOKEN) is an address with a secret that
// lets somebody in.
//
// # Who may talk
//
// A Unix socket is for one user. Its directory is private to that user, the
// socket has mode 0600 from the moment it has a name, and both ends ask the
// kernel for the uid of the other: a client trusts its own user and root, a
// server learns from PeerOf whom it has.
//
// Plain TCP has no secrecy. It stays on the loopback interface, for servers and
// for clients, unless the caller insists. There, on Linux, the kernel tells
// whose the other end is.
//
// A tls server is known by the fingerprint of its key, which a client has
// before it connects: nothing is trusted on first use, and no authority is
// asked. A client may have a key too. Both prove to have theirs; older
// versions of TLS, and a peer that does not name our protocol, are refused.
// Sessions are not resumed, so that every connection has that proof.
//
// Behind ssh there is a Unix socket of the account over there. It is the user's
// own ssh program that goes there, with its configuration, keys and agent.
//
// # Who has gone
//
// A peer that has gone without a word is found in 15 seconds if nothing is under
// way to it, and on Linux by a server also if something is. One that is there
// and reads nothing is not gone. Clients of ours ask servers that are not on this
// machine now and then; that is not our concern.
//
// # Blocking
//
// Dial and Listen wait for name lookup, connection and handshake, until ctx is
// done; with ssh that may mean for somebody who types a password. Handshake
// waits for at most ten seconds. Nothing else blocks.
//
// # Ownership
//
// The process that ssh is ends with its connection: when that is closed, it
// has two seconds. Inherited sockets and descriptors stay open.
package transport

import "errors"

var (
	// ErrNotRunning is wrapped by Dial's error when nobody listens at an
	// address: there is no socket, or the connection was refused.
	ErrNotRunning = errors.New("not running")

	// ErrInUse is wrapped by Listen's error when a live server has the address.
	ErrInUse = errors.New("already running")

	// ErrRefused is wrapped by the error of Dial when the other end is not the
	// one that it should be, and by that of Dial and Listen when plain TCP would
	// leave the machine.
	ErrRefused = errors.New("refused")

	// ErrUnknownServer is wrapped by Dial's error when there is no fingerprint
	// by which to know a tls server.
	ErrUnknownServer = errors.New("unknown server")

	// ErrNoKey is wrapped by Listen's error when tls is to be served and the
	// options have no key.
	ErrNoKey = errors.New("no key of the server")

	// ErrNoProgram is wrapped by Dial's error when ssh has come to a machine
	// that has neither hubfs nor hub.
	ErrNoProgram = errors.New("no hubfs there")
)

// An opError is a sentence for people that is one of the sentinels above for
// programs.
type opError struct {
	text string
	kind error
	hint string // what to do about it; "": nothing is known
}

func (e *opError) Error() string { return e.text }
func (e *opError) Unwrap() error { return e.kind }

// Hint is what people can do about an error of this package; "" if nothing is
// known.
func Hint(err error) string {
	var e *opError
	if errors.As(err, &e) {
		return e.hint
	}
	return ""
}
