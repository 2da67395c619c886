package transport

import (
	"context"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"
)

// protocol is what both ends of a tls connection must say they speak: nobody
// is talked into sending our messages to a server of something else.
const protocol = "hub9p"

// handshakeTime is how long the other end may take to prove its key.
const handshakeTime = 10 * time.Second

// dialTLS connects to the server at a, which must have the key that a.Pin is
// the fingerprint of.
func (d Dialer) dialTLS(ctx context.Context, a Addr) (net.Conn, error) {
	if a.Pin == "" {
		return nil, &opError{
			text: fmt.Sprintf("the key of the %s is not known", a.server()),
			kind: ErrUnknownServer,
			hint: fmt.Sprintf("a link from hub invite has it, and so has tls://%s#KEY, with the key that hub fingerprint prints there", a.Address),
		}
	}
	conf := &tls.Config{
		MinVersion: tls.VersionTLS13,
		NextProtos: []string{protocol},
		// A message is of use when all of it is there: small records at its
		// beginning would only cost more of them.
		DynamicRecordSizingDisabled: true,
		// Nobody vouches for a key but who gave us its fingerprint.
		InsecureSkipVerify: true,
		VerifyConnection:   func(s tls.ConnectionState) error { return checkServer(a, s) },
	}
	if d.Key != nil {
		conf.Certificates = []tls.Certificate{d.Key.cert}
	}
	plain, err := dialTCP(ctx, a)
	if err != nil {
		return nil, err
	}
	c := tls.Client(plain, conf)
	if err := Handshake(ctx, c); err != nil {
		c.Close()
		if wrong := (*opError)(nil); errors.As(err, &wrong) {
			return nil, wrong
		}
		return nil, fmt.Errorf("dial %s: %w", a.server(), err)
	}
	return c, nil
}

// checkServer refuses a server that is not the one at a: it has another key.
func checkServer(a Addr, s tls.ConnectionState) error {
	if s.NegotiatedProtocol != protocol {
		return errNoHub
	}
	if len(s.PeerCertificates) == 0 {
		return errors.New("the server has shown no key")
	}
	got := fingerprint(s.PeerCertificates[0])
	if subtle.ConstantTimeCompare([]byte(got), []byte(a.Pin)) != 1 {
		return &opError{
			text: fmt.Sprintf("%s has another key than it should: %s, not %s: refused", a.server(), got, a.Pin),
			kind: ErrRefused,
			hint: "somebody may be in between; if the server was set up anew, ask for a new link",
		}
	}
	return nil
}

var errNoHub = fmt.Errorf("the other end does not speak %s", protocol)

// listenTLS listens at a. A client proves that it has the key it shows, and
// what that key may do is not our concern: there is no authority that signs.
func listenTLS(ctx context.Context, a Addr, key *Key) (net.Listener, error) {
	if key == nil {
		return nil, fmt.Errorf("listen at %s: %w", a, ErrNoKey)
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", a.Address)
	if err != nil {
		return nil, listenError(a, err)
	}
	return &tlsListener{tcpListener{l.(*net.TCPListener)}, serverConfig(key)}, nil
}

func serverConfig(key *Key) *tls.Config {
	return &tls.Config{
		Certificates: []tls.Certificate{key.cert},
		MinVersion:   tls.VersionTLS13,
		NextProtos:   []string{protocol},
		ClientAuth:   tls.RequestClientCert,

		DynamicRecordSizingDisabled: true, // see dialTLS

		// A session that is resumed would skip the proof of the client's key.
		SessionTicketsDisabled: true,
		VerifyConnection: func(s tls.ConnectionState) error {
			if s.NegotiatedProtocol != protocol { // it named none
				return errNoHub
			}
			return nil
		},
	}
}

// A tlsListener accepts connections whose handshake is still to come.
type tlsListener struct {
	tcpListener
	conf *tls.Config
}

// Accept returns the next connection, of which nothing has been read yet.
func (l *tlsListener) Accept() (net.Conn, error) {
	c, err := l.tcpListener.Accept()
	if err != nil {
		return nil, err
	}
	return tls.Server(c, l.conf), nil
}

// Handshake completes the handshake of a tls connection, in at most ten
// seconds. Other connections have none.
func Handshake(ctx context.Context, c net.Conn) error {
	t, ok := c.(*tls.Conn)
	if !ok {
		return nil
	}
	soon, cancel := context.WithTimeout(ctx, handshakeTime)
	defer cancel()
	if err := t.HandshakeContext(soon); err != nil {
		if soon.Err() != nil && ctx.Err() == nil {
			return fmt.Errorf("tls handshake not done after %v: %w", handshakeTime, err)
		}
		return fmt.Errorf("handshake: %w", err)
	}
	return nil
}

// keyOf is the fingerprint of the key that the other end has shown, and proved
// to have; "" if it has shown none.
func keyOf(c *tls.Conn) string {
	certs := c.ConnectionState().PeerCertificates
	if len(certs) == 0 {
		return ""
	}
	return fingerprint(certs[0])
}
