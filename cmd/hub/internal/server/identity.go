package server

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"hubfs/client"
)

// An Identity tells a hub from every other that has or had its name.
type Identity struct {
	Run     string    // which run of which server has it; "" if that is not known
	Path    uint64    // qid.path of its addressed open: unique in one run
	Made    time.Time // when the hub was made
	Spooled bool      // its bytes and Made outlive the server
}

// Same reports whether two looks, with a lost connection in between, were at
// the same hub: in one run of the server, or at a spooled hub that another run
// found on its disk. What cannot be proved is not so.
func (id Identity) Same(now Identity) bool {
	if id.Run != "" && id.Run == now.Run {
		return id.Path == now.Path
	}
	return id.Spooled && now.Spooled && !id.Made.IsZero() && id.Made.Equal(now.Made)
}

// Identify describes the hub of which f is an addressed open, and says which it
// is. It is ErrNotExist if the name belongs to another hub by now, or to none.
func (s *Server) Identify(ctx context.Context, f *client.File) (Hub, Identity, error) {
	var info client.Info
	var st Status
	described := make(chan error, 1)
	go func() { // ends with the server's answer
		var err error
		info, err = f.Stat(ctx)
		described <- err
	}()
	st, err := s.Status(ctx)
	if derr := <-described; err == nil {
		err = derr
	}
	if err != nil {
		return Hub{}, Identity{}, err
	}
	name := strings.TrimSuffix(strings.TrimPrefix(f.Path(), "/"), "@")
	h, ok := st.Hub(name)
	// The name may be another's since the open, and the status so too: a look
	// at the name that comes after both proves both.
	if now, err := s.Stat(ctx, f.Path()); !ok || err != nil || now.Path != info.Path {
		if Lost(err) || Refused(err) {
			return Hub{}, Identity{}, err
		}
		return Hub{}, Identity{}, fmt.Errorf("hub %s: %w", name, client.ErrNotExist)
	}
	return h, Identity{Run: st.Run, Path: info.Path, Made: info.Atime, Spooled: h.Is("spool")}, nil
}

// Lost reports whether an error means that there is no connection, for now: to
// try again may help.
func Lost(err error) bool {
	return errors.Is(err, client.ErrLost) && !Refused(err) || errors.Is(err, ErrUnreachable)
}

// Refused reports whether an error means that the server has let us in no more,
// or never did: a connection that it refuses ends with what was asked first.
func Refused(err error) bool {
	var e *client.Error
	return errors.Is(err, client.ErrLost) && errors.As(err, &e) && errors.Is(e, client.ErrPermission)
}

// Conflict reports whether an addressed write was refused because others have
// written to the hub.
func Conflict(err error) bool {
	var e *client.Error
	return errors.As(err, &e) && (strings.HasPrefix(e.Text, "conflict: ") || strings.HasPrefix(e.Text, "gap: "))
}

// Dropped reports whether the server has given up a reader, and why.
func Dropped(err error) (reason string, ok bool) {
	var e *client.Error
	if !errors.As(err, &e) {
		return "", false
	}
	return strings.CutPrefix(e.Text, "dropped: ")
}
