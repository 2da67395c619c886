package hubfs

import (
	"errors"
	"fmt"
	"strings"

	"hubfs/hub"
	"hubfs/internal/handles"
	"hubfs/tree"
)

// A hubHandle is one open of a hub.
type hubHandle struct {
	f    *hubFile
	user string
	conn uint64          // of the caller
	r    *handles.Cursor // nil: not open for reading
	w    *hub.Writer     // nil: not open for writing
}

// ReadStream takes what there is, or waits for it.
func (h *hubHandle) ReadStream(dst []tree.Piece, off int64, max int, wake func()) ([]tree.Piece, bool, error) {
	if h.r == nil {
		return dst, false, tree.ErrPermission
	}
	dst, ready, err := h.r.ReadStream(dst, off, max, wake)
	if err == nil && h.isHost() {
		h.f.shell.takePlace()
	}
	return dst, ready, h.f.errorText(err)
}

// CancelRead withdraws a read that waits.
func (h *hubHandle) CancelRead() {
	if h.r != nil {
		h.r.CancelRead()
	}
}

// WriteStream appends p, or as much of it as one write may bring.
func (h *hubHandle) WriteStream(p tree.Piece, off int64, wake func()) (int, bool, error) {
	if h.w == nil {
		return 0, false, tree.ErrPermission
	}
	n, ready, err := h.write(p, off, wake)
	return n, ready, h.f.errorText(err)
}

// write is WriteStream of a handle that is open for writing, but for the words
// of its errors.
func (h *hubHandle) write(p tree.Piece, off int64, wake func()) (int, bool, error) {
	most := h.f.fs.cfg.MaxWrite
	cut := most > 0 && len(p.Data) > most
	q := hub.Piece{Data: p.Data, Owner: p.Owner}
	if cut {
		q = hub.Piece{Data: p.Data[:most]} // without an owner: it is copied
	}
	n, ready, err := h.w.TryWrite(q, off, wake)
	if err != nil {
		return 0, false, err
	}
	if n > 0 || ready {
		if cut {
			p.Free() // taken, though in part
		}
		h.f.wrote(&h.user)
	}
	return n, ready, nil
}

// CancelWrite withdraws a write that waits, unless it has taken effect.
func (h *hubHandle) CancelWrite() int {
	if h.w == nil {
		return 0
	}
	return h.w.CancelWrite()
}

// Close ends the open.
func (h *hubHandle) Close() error {
	var errs []error
	if h.r != nil {
		if h.isHost() {
			h.f.shell.keepPlace(h.r.R.Status().Offset)
		}
		errs = append(errs, h.r.Close())
	}
	if h.w != nil {
		errs = append(errs, h.w.Close())
	}
	h.f.closed()
	return errors.Join(errs...)
}

// errorText says an error of package hub in the words that clients see: the
// one place that chooses them.
func (f *hubFile) errorText(err error) error {
	if err == nil {
		return nil
	}
	var discarded *hub.DiscardedError
	var gap *hub.GapError
	var conflict *hub.ConflictError
	var dropped *hub.DroppedError
	switch {
	case errors.As(err, &discarded):
		return fmt.Errorf("discarded: %s starts at %d", tail(f.pathName()), discarded.First)
	case errors.As(err, &gap):
		return fmt.Errorf("gap: %s ends at %d", tail(f.pathName()), gap.Next)
	case errors.As(err, &conflict):
		return fmt.Errorf("conflict: %s holds other bytes at %d", tail(f.pathName()), conflict.Offset)
	case errors.As(err, &dropped):
		return dropped // begins with the word that says so
	case errors.Is(err, hub.ErrEnded):
		return fmt.Errorf("hub %s has ended", f.pathName())
	case errors.Is(err, hub.ErrClosed):
		return fmt.Errorf("hub %s is closed", f.pathName())
	case errors.Is(err, hub.ErrNoSpace):
		return fmt.Errorf("hub %s: the server retains all that it may: %w", f.pathName(), tree.ErrLimit)
	case errors.Is(err, hub.ErrOffset):
		return fmt.Errorf("hub %s: %w: %w", f.pathName(), err, tree.ErrInvalid)
	}
	return fmt.Errorf("hub %s: %w", f.pathName(), err)
}

// tail shortens a path before an offset that programs read: the text of an
// error is cut to some 240 bytes on its way.
func tail(path string) string {
	const most = 160
	if len(path) <= most {
		return path
	}
	return "…" + strings.ToValidUTF8(path[len(path)-most:], "")
}
