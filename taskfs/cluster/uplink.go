package cluster

import (
	"hubfs/taskfs/frame"
	"hubfs/tree"
)

// NewUplink returns one open of the file over which a node above has this one,
// and the link that it makes, for Above. Who has it open reads the frames for the
// node above and writes those from it. Close of either ends both.
func NewUplink(c *tree.Caller) (tree.Handle, frame.Link) {
	l := frame.NewPassive(c.Addr)
	return &uplink{l: l}, l
}

// An uplink is the served side of the link.
type uplink struct {
	l *frame.Passive
}

// ReadStream takes bytes for the node above, or waits for some.
func (u *uplink) ReadStream(dst []tree.Piece, off int64, max int, wake func()) ([]tree.Piece, bool, error) {
	p, ready := u.l.Take(max, wake)
	if !ready || len(p) == 0 {
		return dst, ready, nil
	}
	return append(dst, tree.Piece{Data: p}), true, nil
}

// CancelRead withdraws a read that waits.
func (u *uplink) CancelRead() { u.l.CancelTake() }

// WriteStream takes what the node above says, or waits until that can be.
func (u *uplink) WriteStream(p tree.Piece, off int64, wake func()) (int, bool, error) {
	ready, err := u.l.Put(p.Data, wake)
	if !ready || err != nil {
		return 0, false, err
	}
	p.Free() // it was copied
	return len(p.Data), true, nil
}

// CancelWrite withdraws a write that waits: nothing of it was taken.
func (u *uplink) CancelWrite() int {
	u.l.CancelPut()
	return 0
}

// Close ends the link.
func (u *uplink) Close() error { return u.l.Close() }
