package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"hubfs/transport"
)

// A listener is an address at which the server is to be found.
type listener struct {
	net.Listener
	asked transport.Addr // as the flag or the word has it
	bound transport.Addr // as clients need it
	done  chan struct{}  // closed when no more is accepted; nil: nothing is yet. Guarded by server.mu
}

// again is the address at which to listen again: the same port, if any would
// have done.
func (l *listener) again() transport.Addr {
	if l.asked.Network == "tcp" || l.asked.Network == "tls" {
		return l.bound
	}
	return l.asked
}

// errEnding is the error for who wants a server that ends to listen.
var errEnding = errors.New("the server is ending")

// listen takes all addresses, or none. Who connects waits for accept.
func (s *server) listen(ctx context.Context, addrs Addrs) error {
	for _, a := range addrs {
		if _, err := s.listenOne(ctx, a); err != nil {
			s.closeListeners()
			return err
		}
	}
	return nil
}

func (s *server) listenOne(ctx context.Context, a transport.Addr) (*listener, error) {
	l, err := transport.Listen(ctx, a, s.listenOptions(nil))
	if errors.Is(err, transport.ErrNoKey) {
		// Made and read when it is needed: most servers are for one user alone.
		var key *transport.Key
		if key, err = s.ownKey(); err == nil {
			l, err = transport.Listen(ctx, a, s.listenOptions(key))
		}
	}
	if err != nil {
		return nil, err
	}
	li := &listener{Listener: l, asked: a, bound: transport.Bound(l, a)}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		l.Close()
		return nil, errEnding
	}
	s.listeners = append(s.listeners, li)
	if s.accepts {
		s.acceptLocked(li)
	}
	return li, nil
}

func (s *server) listenOptions(key *transport.Key) transport.ListenOptions {
	return transport.ListenOptions{Insecure: s.cfg.Insecure, Key: key, Sockets: s.sockets}
}

// ServerKey is the key by which clients know the servers of this user.
func ServerKey() (*transport.Key, error) {
	dir, err := transport.KeyDir()
	if err != nil {
		return nil, err
	}
	return transport.LoadKey(filepath.Join(dir, "server.pem"))
}

// ownKey is the key of the server, for as long as it lives.
func (s *server) ownKey() (*transport.Key, error) {
	s.mu.Lock()
	key := s.key
	s.mu.Unlock()
	if key != nil {
		return key, nil
	}
	key, err := ServerKey()
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.key = key
	return key, nil
}

// accept begins to serve who connects, until ctx of the server is done.
func (s *server) accept() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accepts = true
	for _, l := range s.listeners {
		if l.done == nil {
			s.acceptLocked(l)
		}
	}
}

func (s *server) acceptLocked(l *listener) {
	done := make(chan struct{})
	l.done = done
	go func() { // ends with the listener; who closes it waits
		defer close(done)
		if err := s.acceptFrom(l); err != nil {
			s.log.Error("accept", "addr", l.bound.String(), "err", err)
		}
	}()
}

// acceptFrom serves each connection that comes, and counts them.
func (s *server) acceptFrom(l net.Listener) error {
	for {
		c, err := l.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return nil
		case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
			// Descriptors come free when some connection ends.
			s.log.Warn("accept", "err", err)
			select {
			case <-time.After(100 * time.Millisecond):
			case <-s.ctx.Done():
			}
			continue
		case errors.Is(err, syscall.ECONNABORTED):
			continue
		case err != nil:
			return err
		}
		s.count(1)
		s.serving.Go(func() { // ends with the connection, or with ctx
			defer s.count(-1)
			s.serve(s.ctx, c)
		})
	}
}

// closeListeners stops listening, and returns where to listen again. The
// addresses are free then, and every connection that was accepted is counted.
func (s *server) closeListeners() Addrs {
	s.mu.Lock()
	closed := s.listeners
	s.listeners = nil
	s.mu.Unlock()
	var again Addrs
	for _, l := range closed {
		s.closeOne(l)
		again = append(again, l.again())
	}
	return again
}

// endListening is closeListeners for good.
func (s *server) endListening() {
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	s.closeListeners()
}

// ending reports whether the server is about to end.
func (s *server) ending() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended
}

// closeOne closes a listener that was taken out of the list.
func (s *server) closeOne(l *listener) {
	if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		s.log.Warn("stop listening", "addr", l.bound.String(), "err", err)
	}
	s.mu.Lock()
	done := l.done
	s.mu.Unlock()
	if done != nil {
		<-done
	}
}

// listenAt is the word listen of /ctl.
func (s *server) listenAt(addr string) error {
	a, err := transport.Parse(addr)
	if err != nil {
		return err
	}
	l, err := s.listenOne(s.ctx, a)
	if err == nil {
		s.log.Info("listening", "addr", l.bound.String())
	}
	return err
}

// unlisten is the word unlisten of /ctl. Who is connected stays.
func (s *server) unlisten(addr string) error {
	a, err := transport.Parse(addr)
	if err != nil {
		return err
	}
	if a == s.cfg.Addr {
		return fmt.Errorf("%s is the server's own address", a)
	}
	a.Pin = "" // which /status adds
	s.mu.Lock()
	i := slices.IndexFunc(s.listeners, func(l *listener) bool { return l.asked == a || l.bound == a })
	if i < 0 {
		s.mu.Unlock()
		return fmt.Errorf("nothing listens at %s", a)
	}
	l := s.listeners[i]
	s.listeners = slices.Delete(s.listeners, i, i+1)
	s.mu.Unlock()
	s.closeOne(l)
	s.log.Info("listening no more", "addr", l.bound.String())
	return nil
}

// listening is where the server is to be found, as clients need it.
func (s *server) listening() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	addrs := make([]string, len(s.listeners))
	for i, l := range s.listeners {
		a := l.bound
		if a.Network == "tls" && s.key != nil {
			a.Pin = s.key.Fingerprint() // what clients must know of it
		}
		addrs[i] = a.String()
	}
	return addrs
}
