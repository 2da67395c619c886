package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"hubfs/cmd/hub/internal/server"
)

// Who owns a shell sees who else is there, lets those type who ask for it, and
// throws people out: the keys w, y and x behind the prefix. The server decides
// who may.

// A guest is somebody who is here by a grant.
type guest struct {
	user    string
	clients []server.Client // the attachments, in the order in which they came
	grants  []string        // IDs, all of them
	asks    []string        // IDs of those that somebody has to approve
}

// guestsOf joins those attached with the grants that let them in, the one who
// came last at the end. Of the grants that could ask, asks says which do: their
// holders may be content to watch.
func guestsOf(clients []server.Client, grants []server.Grant, asks func(id string) bool) (gs []guest) {
	for _, c := range clients {
		i := slices.IndexFunc(gs, func(g guest) bool { return g.user == c.User })
		g := guest{user: c.User}
		if i >= 0 {
			g = gs[i]
			gs = slices.Delete(gs, i, i+1)
		} else {
			for _, gr := range grants {
				if gr.Who != c.User || gr.Kind == "link" {
					continue
				}
				g.grants = append(g.grants, gr.ID)
				if gr.State == "asks" && asks(gr.ID) {
					g.asks = append(g.asks, gr.ID)
				}
			}
		}
		if len(g.grants) == 0 {
			continue // of the house
		}
		g.clients = append(g.clients, c)
		gs = append(gs, g)
	}
	return gs
}

// present asks the server who is here.
func (s *session) present(ctx context.Context) (clients []server.Client, gs []guest, err error) {
	if s.away != nil {
		return nil, nil, s.errAway()
	}
	srv := s.srv
	if clients, err = srv.Clients(ctx, s.view.name); err != nil {
		return nil, nil, err
	}
	grants, err := srv.Grants(ctx)
	if err != nil {
		return clients, nil, err
	}
	asks := func(id string) bool { return s.view.ro || s.view.askers[id] } // one who watches is not told
	return clients, guestsOf(clients, grants, asks), nil
}

// who shows who is here.
func (s *session) who(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, serverPatience)
	defer cancel()
	clients, gs, err := s.present(ctx)
	if clients == nil && err != nil {
		return s.trouble(err)
	}
	if err := s.page(whoText(clients, gs), nil); err != nil {
		return err
	}
	if s.prompt != nil && len(gs) > 0 {
		s.prompt.keys = "xy"
		s.prompt.label = "-- x throws a guest out, y lets one type, any other key goes on --"
		s.drawPrompt()
	}
	return nil
}

func whoText(clients []server.Client, gs []guest) string {
	var b strings.Builder
	for _, c := range clients {
		does := "watches"
		if c.Mode == "rw" {
			does = "types"
		}
		if i := slices.IndexFunc(gs, func(g guest) bool { return g.user == c.User }); i >= 0 && len(gs[i].asks) > 0 {
			does = "asks to type"
		}
		fmt.Fprintf(&b, "%3s  %-20s %-12s %7s  %s\n", c.ID, c.User, does, c.Rows+"x"+c.Cols, c.Addr)
	}
	return b.String()
}

// throwOut ends what a guest may do here, which cuts him at once: the only one,
// or one who is chosen. At first that is the one who asks, or who came last.
func (s *session) throwOut(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, serverPatience)
	defer cancel()
	_, gs, err := s.present(ctx)
	if err != nil {
		return s.trouble(err)
	}
	first := len(gs) - 1
	if i := slices.IndexFunc(gs, func(g guest) bool { return len(g.asks) > 0 }); i >= 0 {
		first = i
	}
	return s.chooseGuest(ctx, gs, first, "throw out", s.throw)
}

func (s *session) throw(ctx context.Context, g guest) error {
	srv := s.srv
	var errs []error
	for _, id := range g.asks {
		errs = append(errs, srv.Deny(ctx, id))
	}
	for _, id := range g.grants {
		if !slices.Contains(g.asks, id) {
			errs = append(errs, srv.Revoke(ctx, id))
		}
	}
	for _, c := range g.clients {
		// Gone with the connection, if that is cut already: no error of ours.
		_ = srv.ShellCtl(ctx, s.view.name, "detach", c.ID)
	}
	if err := errors.Join(errs...); err != nil {
		return s.trouble(err)
	}
	text := fmt.Sprintf("hub: %s was thrown out\n", g.user)
	grants, err := srv.Grants(ctx)
	for _, gr := range grants {
		if err == nil && gr.Kind == "link" && gr.Uses > 0 && gr.State == "open" && gr.LeadsTo(s.view.name) {
			text += fmt.Sprintf("hub: hint: link %s to %s still lets somebody in; hub invite --revoke %s ends it\n", gr.ID, gr.Patterns, gr.ID)
		}
	}
	s.screen.say(text)
	return nil
}

// letType lets a guest type who asks for it.
func (s *session) letType(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, serverPatience)
	defer cancel()
	_, gs, err := s.present(ctx)
	if err != nil {
		return s.trouble(err)
	}
	gs = slices.DeleteFunc(gs, func(g guest) bool { return len(g.asks) == 0 })
	return s.chooseGuest(ctx, gs, 0, "let type", func(ctx context.Context, g guest) error {
		for _, id := range g.asks {
			if err := s.srv.Approve(ctx, id); err != nil {
				return s.trouble(err)
			}
		}
		s.screen.say(fmt.Sprintf("hub: %s may type now\n", g.user))
		return nil
	})
}

// chooseGuest does something with a guest: the only one, or the one whose
// number is typed, which is that of first unless another is.
func (s *session) chooseGuest(ctx context.Context, gs []guest, first int, what string, do func(ctx context.Context, g guest) error) error {
	switch len(gs) {
	case 0:
		return s.page("nobody is here whom you could "+what+"\n", nil)
	case 1:
		return do(ctx, gs[0])
	}
	var b strings.Builder
	for i, g := range gs {
		asks := ""
		if len(g.asks) > 0 {
			asks = "  asks to type"
		}
		fmt.Fprintf(&b, "%2d  %s%s\n", i+1, g.user, asks)
	}
	s.open1(b.String(), fmt.Sprintf("%s (number, or Enter for %d): ", what, first+1), func(ctx context.Context, line string) error {
		ctx, cancel := context.WithTimeout(ctx, serverPatience)
		defer cancel()
		n, err := strconv.Atoi(line)
		if err != nil || n < 1 || n > len(gs) {
			return s.trouble(fmt.Errorf("%q: expected a number from 1 to %d", line, len(gs)))
		}
		return do(ctx, gs[n-1])
	})
	s.prompt.empty = strconv.Itoa(first + 1)
	return nil
}

// asked takes the notice that somebody would like to type.
func (s *session) asked(rest string) {
	id, user, _ := strings.Cut(rest, " ")
	if s.view.askers == nil {
		s.view.askers = map[string]bool{}
	}
	s.view.askers[id] = true
	text := fmt.Sprintf("hub: %s is here and asks to type", clip(user, 64))
	if p := s.cfg.Prefix; p != NoPrefix {
		text += fmt.Sprintf(": %s y lets them, %s x throws them out", p, p)
	} else {
		text += ": hub invite --list says who"
	}
	s.screen.say(text + "\n")
}
