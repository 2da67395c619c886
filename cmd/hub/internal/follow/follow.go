// Package follow reads hubs as they grow, over connections that may be lost.
//
// # Ordering
//
// A Stream gives the bytes of one hub in order, each once: it reads by offset,
// and a read that was not answered is asked again of the next connection, once
// that has proved to lead to the same hub. Bytes that are gone before they were
// read are skipped and counted. Streams of several hubs are in no order among
// one another.
//
// # Blocking
//
// Copy waits for bytes, for the server, and for whoever takes the bytes; its
// context ends the first two. While the taker is busy the next bytes come, as
// many as he takes in the time of the way to the server and back.
//
// # Ownership
//
// A Block belongs to the taker until it returns.
package follow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"hubfs/client"
	"hubfs/cmd/hub/internal/server"
)

// A Line is the connection that Streams share: who finds it lost has it made
// again, once for all of them.
type Line struct {
	// Connect makes a connection to the server.
	Connect func(ctx context.Context) (*server.Server, error)
	// Retry is how long a lost server is tried; 0: not at all.
	Retry time.Duration
	// Patience is how long a server may take to answer a try; 0: as long as
	// there is.
	Patience time.Duration
	// Lost is told once each time that the connection is lost and tried again.
	Lost func()
	// Name is what errors call the server where there is more than one.
	Name string

	turn chan struct{} // who put a value in may connect

	mu   sync.Mutex
	srv  *server.Server // guarded by mu: the newest
	down bool           // guarded by mu: it is lost, which has been said
}

// NewLine returns a Line that begins with srv. It owns srv and what connect
// returns.
func NewLine(srv *server.Server, connect func(ctx context.Context) (*server.Server, error), retry time.Duration, lost func()) *Line {
	return &Line{Connect: connect, Retry: retry, Lost: lost, Name: "server", turn: make(chan struct{}, 1), srv: srv}
}

// Server returns the connection, nil while it is lost.
func (l *Line) Server() *server.Server {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down {
		return nil
	}
	return l.srv
}

// Close ends the connection.
func (l *Line) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.srv.Close()
}

// after returns another connection than old, which is lost. It tries once.
func (l *Line) after(ctx context.Context, old *server.Server) (*server.Server, error) {
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	l.mu.Lock()
	srv, said := l.srv, l.down
	l.down = srv == old
	down := l.down
	l.mu.Unlock()
	if !down {
		return srv, nil
	}
	if !said {
		l.Lost()
		old.Close()
	}
	srv, err := l.Connect(ctx)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.srv, l.down = srv, false
	return srv, nil
}

// A Block is bytes of a hub, as they came.
type Block struct {
	Data []byte
	Off  int64     // of the first
	Came time.Time // when they were read
}

// A Stream is one hub that is followed.
type Stream struct {
	Name  string
	Hub   server.Hub // as it was when it was opened last, or at its end
	Times Times      // when its bytes came; empty unless WithTimes is set

	// Asked says that bytes which are gone before the first read are missed;
	// else they went before we came.
	Asked bool
	// Skipped is told of bytes that are gone before they could be read, Back
	// of an offset at which another connection goes on. They are called by
	// Copy's own goroutine.
	Skipped func(n int64)
	Back    func(off int64)
	// Ended is asked where a read gives the end of a file whether the stream
	// is over. If not, reading again must make sense when it returns. nil: it
	// is over when the hub has ended.
	Ended func(ctx context.Context, off int64) (bool, error)

	line  *Line
	srv   *server.Server // through which file is open
	file  *client.File
	id    server.Identity
	timed bool
}

// Open opens a hub to be followed. timed says that it is to be known when its
// bytes came.
func (l *Line) Open(ctx context.Context, name string, timed bool) (*Stream, error) {
	s := &Stream{Name: name, line: l, srv: l.Server(), timed: timed}
	if s.srv == nil {
		return nil, client.ErrLost
	}
	if err := s.open(ctx, s.srv); err != nil {
		return nil, err
	}
	s.Asked = false
	return s, nil
}

// open opens the hub through srv, which must lead to the same one if it was
// open before.
func (s *Stream) open(ctx context.Context, srv *server.Server) error {
	f, err := srv.Open(ctx, "/"+s.Name+"@", client.OREAD)
	if err != nil {
		return err
	}
	h, id, err := srv.Identify(ctx, f)
	if err == nil && s.file != nil && !s.id.Same(id) {
		err = client.ErrNotExist
	}
	if err == nil && s.timed {
		err = s.readTimes(ctx, srv, h)
	}
	if err != nil {
		go f.Close() // ends with the server's answer, or with the connection
		return err
	}
	s.srv, s.file, s.id, s.Hub = srv, f, id, h
	return nil
}

// Copy gives the bytes from off on to take, until the stream is over or take
// fails.
func (s *Stream) Copy(ctx context.Context, off int64, take func(Block) error) error {
	r := s.reader(off)
	defer func() { r.Close() }()
	for {
		p, err := r.Next(ctx)
		if err == nil {
			s.Asked = true
			if err := take(s.block(p, r.Offset()-int64(len(p)))); err != nil {
				return err
			}
			continue
		}
		if first, gone := server.Discarded(err); gone {
			if s.Asked {
				s.Skipped(first - r.Offset())
			}
			s.Asked = true
			r.Resume(first)
			continue
		}
		if errors.Is(err, io.EOF) {
			var over bool
			if over, err = s.ended(ctx, r.Offset()); over && err == nil {
				return nil
			}
			s.Asked = true
		}
		if reason, ok := server.Dropped(err); ok {
			err = &server.Error{Text: fmt.Sprintf("hub %s: the server has dropped us: %s", s.Name, reason), Err: err}
		}
		if server.Lost(err) && s.line.Retry > 0 {
			if err = s.again(ctx, r.Offset()); err == nil {
				r = s.reader(r.Offset()) // the old one went with its connection
			}
		}
		if err != nil {
			return err
		}
	}
}

// blockSize is most bytes of a block.
const blockSize = 256 << 10

// reader reads the hub from off on. One read waits at the server while what
// another has brought is taken; behind a long way, several.
func (s *Stream) reader(off int64) *client.OnwardReader {
	w := client.Window{Reads: 2, Bytes: blockSize, MostReads: 4}
	if s.srv.Addr.Network != "unix" {
		w.Reads, w.MostReads = 16, 64
	}
	return s.file.Onward(off, w)
}

func (s *Stream) block(p []byte, at int64) Block {
	b := Block{Data: p, Off: at}
	if s.timed {
		b.Came = time.Now()
	}
	return b
}

// again opens the hub on another connection, after that which it has was lost.
func (s *Stream) again(ctx context.Context, off int64) error {
	old := s.srv
	err := server.Again(ctx, s.line.Retry, func(ctx context.Context) error {
		soon := ctx
		if s.line.Patience > 0 {
			var cancel context.CancelFunc
			soon, cancel = context.WithTimeout(ctx, s.line.Patience)
			defer cancel()
		}
		srv, err := s.line.after(soon, old)
		if err == nil {
			old = srv
			err = s.open(soon, srv)
		}
		if err != nil && soon.Err() != nil && ctx.Err() == nil { // it does not answer
			err = errors.Join(server.ErrUnreachable, err)
		}
		return err
	})
	if errors.Is(err, client.ErrNotExist) {
		return s.removed(s.line.Name+" is back without hub "+s.Name, err)
	}
	switch {
	case err != nil:
		return err
	case s.Hub.Next < off:
		// What comes is in the place of bytes that we have shown.
		return &server.Error{Text: fmt.Sprintf(
			"hub %s is back without the last %d bytes that were shown here: what follows is not what came after them", s.Name, off-s.Hub.Next)}
	}
	s.Asked = true // bytes that went meanwhile are missed
	s.Back(off)
	return nil
}

func (s *Stream) removed(what string, err error) error {
	return &server.Error{Text: what + ": how its producer ended is not known", Err: err}
}

// ended reports whether the end of the file at off is that of the stream.
func (s *Stream) ended(ctx context.Context, off int64) (bool, error) {
	if s.Ended != nil {
		return s.Ended(ctx, off)
	}
	h, _, err := s.srv.Identify(ctx, s.file)
	switch {
	case errors.Is(err, client.ErrNotExist):
		return false, s.removed(fmt.Sprintf("hub %s was removed", s.Name), err)
	case err != nil:
		return false, err
	case h.Ended() && h.Next <= off:
		s.Hub = h
		return true, nil
	case h.Is("frozen") && h.Next <= off:
		return false, s.srv.Melted(ctx, s.Name)
	}
	return false, nil // a mark
}
