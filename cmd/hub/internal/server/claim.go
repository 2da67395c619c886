package server

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"hubfs/client"
	"hubfs/shellctl"
)

// Claim opens hub name for one writer alone. A hub that is not there is made,
// one that has ended is replaced, and one that flows is gone on with, unless
// somebody writes it: that is an error.
func (s *Server) Claim(ctx context.Context, name string) (*client.File, error) {
	// What is made or removed by others meanwhile is looked at again.
	const tries = 5
	var err error
	for range tries {
		var f *client.File
		f, err = s.Create(ctx, "/"+name, 0o666, client.OWRITE)
		if errors.Is(err, client.ErrNotExist) {
			return nil, &Error{Text: fmt.Sprintf("no directory %q on server %s", path.Dir(name), s.Addr), Err: err}
		}
		if !errors.Is(err, client.ErrExist) {
			return f, err
		}
		if f, err = s.claimOld(ctx, name); f != nil || !errors.Is(err, client.ErrNotExist) {
			return f, err
		}
	}
	// It is there each time, and no hub each time.
	return nil, s.noHub(name, err)
}

func (s *Server) noHub(name string, err error) error {
	return &Error{
		Text: fmt.Sprintf("%q is no hub on server %s", name, s.Addr),
		Hint: "take another name",
		Err:  err,
	}
}

// claimOld is Claim of a hub that is there. The error is client.ErrNotExist if
// it is not any more, perhaps because it had ended and was removed.
func (s *Server) claimOld(ctx context.Context, name string) (*client.File, error) {
	// Open first, then look: of two who do so at once none sees itself alone.
	f, err := s.Open(ctx, "/"+name, client.OWRITE)
	if err != nil {
		if _, ok, herr := s.Hub(ctx, name); herr == nil && !ok && !errors.Is(err, client.ErrNotExist) {
			err = s.noHub(name, err)
		}
		return nil, err
	}
	h, _, err := s.Identify(ctx, f)
	switch {
	case err != nil:
	case h.Ended():
		// This one, not what somebody else may have put in its place.
		if err = f.Remove(ctx); err == nil {
			err = client.ErrNotExist
		}
		return nil, err
	case h.Writers > 1:
		err = &Error{
			Text: fmt.Sprintf("hub %s is being written already on server %s", name, s.Addr),
			Hint: fmt.Sprintf("hub watch %s follows it", name),
		}
	default:
		return f, nil
	}
	f.Close()
	return nil, err
}

// incomplete stands behind the status in the end of a hub that did not get all
// that its producer wrote.
const incomplete = "incomplete"

// End ends a hub with the status of its producer, as shellctl.Status says it.
// complete says whether the hub has got all that the producer wrote.
func (s *Server) End(ctx context.Context, name, status string, complete bool) error {
	words := []string{"end", name, status}
	if !complete {
		words = append(words, incomplete)
	}
	return s.Ctl(ctx, words...)
}

// ParseEnd reads what End or the end of a shell has left as the end of a hub:
// the producer's status, which is that of success if it has none, and whether
// the hub has got all that it wrote.
func ParseEnd(end string) (st shellctl.Status, complete bool) {
	status, cut := strings.CutSuffix(end, " "+incomplete)
	st, err := shellctl.ParseStatus(status)
	if err != nil {
		return shellctl.Status{}, true // a text of somebody's own
	}
	return st, !cut
}
