package scatter

import (
	"context"
	"errors"
	"io"

	"hubfs/pipes"
	"hubfs/taskfs/ranks"
)

// pull is Run of Pull. It reads ahead by one record and what came with it, and no
// further: what nobody has asked for stays with who writes it.
func (s *Scatter) pull(ctx context.Context, src pipes.Source) error {
	rctx, cancel := context.WithCancel(ctx)
	in := reading{records: make(chan []byte), ended: make(chan struct{})}
	defer func() { cancel(); <-in.ended }()
	// Ends with the source or with pull, which waits for it.
	go func() {
		defer close(in.ended)
		in.err = in.read(rctx, src, s.o.Framing)
	}()

	ended := in.ended
	for {
		n := s.next()
		switch {
		case n.over:
			cancel()
			<-in.ended
			if left := in.left + n.left; left > 0 {
				return &UnsentError{left}
			}
			return nil
		case n.again != nil:
			if err := s.o.To.Input(ctx, ranks.Of(n.rank), n.again); err != nil {
				return err
			}
			continue
		case n.quiet && ended == nil:
			return s.ending(ctx, in.err)
		}
		records := in.records
		if n.rank < 0 {
			records = nil
		}
		select {
		case rec := <-records:
			if err := s.hand(ctx, rec); err != nil {
				return err
			}
		case <-ended:
			ended = nil // the error is looked at when all is taken
		case <-n.wake:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// ending says that nothing follows, whatever the reason.
func (s *Scatter) ending(ctx context.Context, why error) error {
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.unlock()
	if err := s.close(ctx); err != nil {
		return err
	}
	return why
}

// A reading is the source of pull, as records.
type reading struct {
	records chan []byte
	ended   chan struct{} // closed when nothing more comes
	err     error         // why; set before ended is closed
	left    int64         // bytes that were read and not taken; likewise
}

// read cuts the source into records, each for whoever takes it.
func (in *reading) read(ctx context.Context, src pipes.Source, f Framing) error {
	split := splitter{f: f}
	buf := make([]byte, buffer)
	var rec []byte
	send := func() error {
		select {
		case in.records <- rec:
			rec = nil
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for {
		n, err := src.ReadContext(ctx, buf)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			in.left = int64(len(rec))
			return err
		}
		for p := buf[:n]; len(p) > 0; {
			n, end := split.next(p)
			if len(rec)+n > MaxRecord {
				in.left = int64(len(rec) + len(p))
				return ErrLong
			}
			rec = append(rec, p[:n]...)
			p = p[n:]
			if !end {
				continue
			}
			if err := send(); err != nil {
				in.left = int64(len(rec) + len(p))
				return err
			}
		}
	}
	if len(rec) == 0 {
		return nil
	}
	if err := send(); err != nil {
		in.left = int64(len(rec))
		return err
	}
	if split.cut() {
		return ErrCut
	}
	return nil
}

// A state is how pull stands.
type state struct {
	rank  int    // who asks; -1: nobody
	again []byte // is rank's now, and had been another's
	quiet bool   // every record that was given was taken
	over  bool   // all tasks have ended
	left  int64  // bytes that nobody has taken then
	wake  <-chan struct{}
}

// next says how pull stands, and has who asks take a record that another had.
func (s *Scatter) next() state {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := state{rank: -1, wake: s.wake}
	n.quiet = len(s.busy) == 0 && len(s.again) == 0
	n.over = s.live.Empty() && s.away.Empty()
	switch {
	case n.over:
		for _, rec := range s.again {
			n.left += int64(len(rec))
		}
	case len(s.ready) > 0:
		n.rank = s.ready[0]
		if len(s.again) > 0 {
			n.again = s.again[0]
			s.again = s.again[1:]
			s.takesLocked(n.rank, n.again)
		}
	}
	return n
}

// takesLocked notes that the first who asks has a record.
func (s *Scatter) takesLocked(r int, rec []byte) {
	s.ready = s.ready[1:]
	delete(s.asks, r)
	s.busy[r] = rec
}

// hand gives a record to the first who asks, or keeps it for the next who does: who
// asked may be gone by now.
func (s *Scatter) hand(ctx context.Context, rec []byte) error {
	s.mu.Lock()
	if len(s.ready) == 0 {
		s.again = append(s.again, rec)
		s.mu.Unlock()
		return nil
	}
	r := s.ready[0]
	s.takesLocked(r, rec)
	s.mu.Unlock()
	return s.o.To.Input(ctx, ranks.Of(r), rec)
}
