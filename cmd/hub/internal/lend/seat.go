package lend

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"hubfs/client"
	"hubfs/cmd/hub/internal/feed"
	"hubfs/cmd/hub/internal/server"
)

const (
	// mostUnit is how much one write brings. Where connections do not live long,
	// something shall get through.
	mostUnit = 32 << 10

	// briefly is the least time from one connection to the next.
	briefly = 50 * time.Millisecond
)

// A seat is one connection on which the shell is hosted.
type seat struct {
	// Immutable.
	name string
	srv  *server.Server
	ctl  *client.File // where we host
	in   *client.File // NAME0@
	out  *client.File // NAME1@
	id   server.Identity
	next int64 // where the output ended when we came
	unit int   // bytes of a write

	since time.Time // when we came

	left atomic.Bool // we have given it up: what fails here is a connection lost
}

// errEnded says that somebody has ended the shell at the server.
var errEnded = errors.New("the shell was ended at the server")

// sit connects and hosts the shell: one that was lost is taken up again, and
// else it is made. before is the seat before, if there was one.
func (h *Host) sit(ctx, lasting context.Context, before *seat) (*seat, error) {
	h.mu.Lock()
	connect := h.connect
	h.mu.Unlock()
	srv, err := connect(ctx)
	if err != nil {
		return nil, err
	}
	s := &seat{name: h.cfg.Name, srv: srv, since: time.Now()}
	if err := s.open(ctx, h, before); err != nil {
		srv.Close()
		return nil, err
	}
	if err := s.identify(ctx); err != nil {
		srv.Close()
		return nil, err
	}
	h.work.Go(func() { h.listen(lasting, s) }) // ends with the connection
	return s, nil
}

func (s *seat) open(ctx context.Context, h *Host, before *seat) (err error) {
	if before != nil && !before.left.Load() {
		if err := s.missed(ctx, before); err != nil {
			return err
		}
	}
	if s.ctl, err = s.srv.Open(ctx, "/ctl", client.ORDWR); err != nil {
		return err
	}
	h.mu.Lock()
	size, p := fmt.Sprintf("%dx%d", h.rows, h.cols), h.process
	h.mu.Unlock()
	words := append([]string{"host", s.name, "key=" + h.key, "-s", size, "--"}, h.cfg.Spec.Argv...)
	if err := s.say(ctx, words...); err != nil {
		if errors.Is(err, client.ErrExist) {
			err = &server.Error{Text: fmt.Sprintf("shell %s is there already on server %s", s.name, s.srv.Addr), Err: err}
		}
		return err
	}
	if s.in, err = s.srv.Open(ctx, "/"+s.name+"0@", client.OREAD); err != nil {
		return err
	}
	if s.out, err = s.srv.Open(ctx, "/"+s.name+"1@", client.OWRITE); err != nil {
		return err
	}
	if p != nil {
		return s.pid(ctx, p)
	}
	return nil
}

// missed looks whether the shell was ended in this very run of the server while
// we were away: the word host would make another.
func (s *seat) missed(ctx context.Context, before *seat) error {
	st, err := s.srv.Status(ctx)
	if err != nil {
		return err
	}
	if st.Run == "" || st.Run != before.id.Run {
		return nil // it has not seen the shell
	}
	for _, sh := range st.Shells {
		if sh.Name == s.name && sh.Running() {
			return nil
		}
	}
	return errEnded
}

// identify learns which shell it is, and where its output ends.
func (s *seat) identify(ctx context.Context) error {
	h, id, err := s.srv.Identify(ctx, s.out)
	if err != nil {
		return err
	}
	s.id, s.next, s.unit = id, h.Next, min(feed.UnitFor(h), mostUnit)
	return nil
}

// sameShell reports whether s, which came after before, is at the same shell. A
// guest may not be told which run of the server it is; then the hub's number
// and birth have to do.
func (s *seat) sameShell(before *seat) bool {
	a, b := before.id, s.id
	switch {
	case before.left.Load():
		return false
	case a.Run == "" && b.Run == "":
		return a.Path == b.Path && a.Made.Equal(b.Made)
	}
	return a.Same(b)
}

// say writes a line on the open of /ctl on which we host.
func (s *seat) say(ctx context.Context, words ...string) error {
	_, err := s.ctl.WriteContext(ctx, []byte(server.Line(words...)))
	return err
}

func (s *seat) pid(ctx context.Context, p Process) error {
	return s.say(ctx, "pid", strconv.Itoa(p.PID()))
}

// giveUp ends the shell at this server and leaves it.
func (s *seat) giveUp(ctx context.Context) error {
	s.left.Store(true)
	defer s.close()
	if err := s.ctl.Close(); err != nil {
		return err
	}
	return s.srv.Ctl(ctx, "rm", s.name) // it is lost: its host has left
}

func (s *seat) close() { s.srv.Close() }

// take makes s the seat.
func (h *Host) take(s *seat) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seat = s
	close(h.changed)
	h.changed = make(chan struct{})
}

// current returns the seat, and a channel that is closed when there is another.
func (h *Host) current() (*seat, <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.seat, h.changed
}

// again is called when the connection was lost, again and again until it
// returns something else than an error of a lost connection.
func (h *Host) again(ctx, lasting context.Context, out *feed.Feed) (feed.Link, int64, error) {
	before, _ := h.current()
	// A network that loses us at once is not tried as fast as it can.
	if young := briefly - time.Since(before.since); young > 0 {
		select {
		case <-time.After(young):
		case <-ctx.Done():
		}
	}
	s, err := h.sit(ctx, lasting, before)
	switch {
	case errors.Is(err, errEnded):
		h.end()
		return nil, 0, err
	case err != nil:
		// Whatever it is, the process lives and may be wanted: a name that is
		// still taken, because the server has not seen the old connection end,
		// comes free; a right that was taken away may be given back.
		if text := err.Error(); !server.Lost(err) && text != h.refused { // said once
			h.log.Warn("host the shell again", "err", err)
			h.refused = text
		}
		return nil, 0, errors.Join(err, server.ErrUnreachable)
	}
	if before.left.Load() {
		h.log.Info("the shell has moved", "server", s.srv.Addr.String())
	} else if !s.sameShell(before) {
		h.log.Warn("the server does not know the shell any more: it is made anew there", "server", s.srv.Addr.String())
	}
	h.refused = ""
	h.take(s)
	return h.link(s, out), s.next, nil
}

// listen hands on the words of the server.
func (h *Host) listen(ctx context.Context, s *seat) {
	for lines := server.Lines(lines{ctx, s.ctl}); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		if line == "" {
			continue
		}
		select {
		case h.words <- line:
		case <-h.leave:
			return
		}
	}
}

type lines struct {
	ctx context.Context
	f   *client.File
}

func (r lines) Read(p []byte) (int, error) { return r.f.ReadContext(r.ctx, p) }
