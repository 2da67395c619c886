package session

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"hubfs/client"
	"hubfs/cmd/hub/internal/server"
	"hubfs/transport"
)

const (
	// tryPatience is how long a server may take to answer one attempt.
	tryPatience = 15 * time.Second
	// noticeAfter is how long a connection may be lost before anybody is told,
	// and after how long they are told again.
	noticeAfter = time.Second
	// scriptPatience is how long a lost server is tried where nobody can see
	// that it is, and leave.
	scriptPatience = time.Minute
)

// An away is the time between two connections. The loop owns it.
type away struct {
	since  time.Time
	why    error // of the loss
	tick   *time.Ticker
	told   bool
	leave  bool                  // the input has ended: so does the session, when what was typed is sent
	back   chan found            // gets one value
	now    chan struct{}         // gets a value when it is to be tried at once
	last   atomic.Pointer[error] // of the last attempt; nil: none has failed yet
	cancel context.CancelFunc
}

// found is what the search for a connection has come to.
type found struct {
	srv  *server.Server
	link *link
	err  error // there is no use in going on
}

// goAway takes note of a lost connection and looks for another.
func (s *session) goAway(ctx context.Context) error {
	why := s.srv.Err()
	if s.cfg.Again == nil {
		return s.lost(why)
	}
	ctx, cancel := context.WithCancel(ctx)
	a := &away{since: time.Now(), why: why, tick: time.NewTicker(noticeAfter), back: make(chan found, 1), now: make(chan struct{}, 1), cancel: cancel}
	s.away = a
	v, old := s.view, s.srv
	if v.typed != nil {
		v.typed.disconnect()
	}
	s.guard(func() { // ends with what is found, or with ctx
		old.Close() // nothing comes of the old connection while there is a new one
		a.back <- s.search(ctx, v, a)
	})
	return nil
}

// search tries to reach the very shell of a view again, with growing pauses.
func (s *session) search(ctx context.Context, v *view, a *away) found {
	was := v.now()
	var pauses server.Pauses
	for {
		f := s.try(ctx, v, was)
		if f.err == nil || ctx.Err() != nil || final(was.srv.Addr, f.err) {
			return f
		}
		a.last.Store(&f.err)
		select {
		case <-time.After(pauses.Next()):
		case <-a.now:
		case <-ctx.Done():
			return f
		}
	}
}

// try is one attempt.
func (s *session) try(ctx context.Context, v *view, was *link) (f found) {
	ctx, cancel := context.WithTimeout(ctx, tryPatience)
	defer cancel()
	srv, err := s.cfg.Again(ctx)
	if err != nil {
		return found{err: err}
	}
	rows, cols := was.rows, was.cols
	if s.cfg.Terminal.IsTerminal() {
		rows, cols = s.cfg.Terminal.size()
	}
	l, err := v.openLink(ctx, srv, rows, cols, nil)
	switch {
	case errors.Is(err, client.ErrNotExist):
		err = fmt.Errorf("%w: %w", errOther, err)
	case err == nil && !l.same(was):
		err = fmt.Errorf("shell %s: %w", v.name, errOther)
	}
	if err != nil {
		srv.Close()
		return found{err: err}
	}
	return found{srv: srv, link: l}
}

// final reports whether there is no use in trying again. A server of this
// machine that does not run is gone, and its shells with it; any other may be
// behind a network that is not there.
func final(a transport.Addr, err error) bool {
	if errors.Is(err, errOther) || errors.Is(err, client.ErrPermission) || errors.Is(err, transport.ErrRefused) {
		return true
	}
	return a.Local() && errors.Is(err, transport.ErrNotRunning)
}

// comeBack goes on with what was found.
func (s *session) comeBack(f found) error {
	a, v := s.away, s.view
	a.end()
	s.away = nil
	switch {
	case errors.Is(f.err, client.ErrNotExist) && s.srv.Addr.Network == "tls":
		return s.lostFor(fmt.Sprintf("shell %s is there no more, or what let us in to it has ended", v.name), f.err)
	case errors.Is(f.err, errOther):
		return s.lostFor(fmt.Sprintf("server %s is back without the shell %s that was here", s.srv.Addr, v.name), f.err)
	case f.err != nil && s.srv.Addr.Local():
		return s.lost(a.why)
	case errors.Is(f.err, client.ErrPermission):
		return s.lostFor(fmt.Sprintf("what let us in to shell %s has expired, or its owner has ended it", v.name), f.err)
	case f.err != nil:
		return s.lostFor("connection to server lost: "+f.err.Error(), f.err)
	}
	s.srv = f.srv
	v.relink(f.link, a.told && s.raw) // for the line was written over what stood there
	if a.told && !s.raw {
		s.screen.say("hub: the connection is back\n")
	}
	v.resize() // a change since
	state := f.link.st.Shell.State
	if v.lost && state != "lost" {
		v.lost = false
		s.screen.say(fmt.Sprintf("hub: shell %s is back\n", v.name))
	}
	if a.leave {
		s.end = &End{Shell: v.name}
	}
	return nil
}

// hurry has a try made at once.
func (a *away) hurry() {
	select {
	case a.now <- struct{}{}:
	default:
	}
}

// end ends the search.
func (a *away) end() {
	a.tick.Stop()
	a.cancel()
}

// stillAway tells the person.
func (s *session) stillAway() error {
	a := s.away
	if !s.cfg.Terminal.IsTerminal() && time.Since(a.since) > scriptPatience {
		return s.lost(a.why)
	}
	switch {
	case s.raw:
		s.screen.row(s.awayText())
	case !a.told:
		s.screen.say("hub: connection lost, trying again; %detach leaves\n")
	}
	a.told = true
	return nil
}

func (s *session) awayText() string {
	text := fmt.Sprintf("hub: connection lost, %.0f s", time.Since(s.away.since).Seconds())
	if s.cfg.Prefix != NoPrefix {
		text += fmt.Sprintf("; %s d leaves", s.cfg.Prefix)
	}
	if v := s.view; v.typed != nil {
		if n := v.typed.lacks(); n > 0 {
			text += fmt.Sprintf("; no room for %d bytes typed", n)
		}
	}
	return text
}

// errAway answers what cannot be done while there is no connection.
func (s *session) errAway() error {
	return &server.Error{Text: "the connection is lost", Hint: "it is tried again; what is typed is kept", Err: s.away.why}
}

// awayStatus says for people how it stands.
func (s *session) awayStatus() string {
	text := fmt.Sprintf("shell %s of server %s\nconnection lost %.0f s ago: %v\n",
		s.view.name, s.srv.Addr, time.Since(s.away.since).Seconds(), s.away.why)
	if err := s.away.last.Load(); err != nil {
		text += fmt.Sprintf("last try: %v\n", *err)
	}
	if v := s.view; v.typed != nil {
		n, _ := v.typed.untaken()
		text += fmt.Sprintf("%d typed bytes wait\n", n)
	}
	return text
}
