// Package handles is handles of served files: a cursor in a hub, a text that is made
// for each reader, and streams of lines that a server itself writes.
package handles

import (
	"hubfs/hub"
	"hubfs/tree"
)

// Lines is a stream of lines that the server itself writes: events, notices,
// control words. It is a hub that is in no directory and that no word of /ctl
// reaches, so that writing to it never waits.
type Lines struct {
	Hub *hub.Hub // for who opens it in a way of his own; not to be written
	w   *hub.Writer
}

// Size is how much a Lines keeps for a reader that does not come.
const Size = 64 << 10

// NewLines returns an empty stream.
func NewLines() Lines {
	h := hub.New(hub.Options{Size: Size})
	return Lines{Hub: h, w: h.NewWriter(false)}
}

// Say appends a line. It must be called under no lock that a reader's wake may
// take.
func (l Lines) Say(line string) {
	// Calm, without a limit and a budget: it does not wait and does not fail
	// but on a hub that has ended, where there is nobody to tell.
	_, _, _ = l.w.TryWrite(hub.Piece{Data: []byte(line + "\n")}, 0, func() {})
}

// End says that no more lines follow.
func (l Lines) End() { l.Hub.End("") }

// Reader returns a Cursor on the lines, for one that no word of /ctl drops.
func (l Lines) Reader(at hub.Start, label string) *Cursor {
	return &Cursor{R: l.Hub.NewReader(at, hub.ReaderOptions{Label: label})}
}

// A Cursor turns a hub.Reader into what a tree.StreamReader does.
type Cursor struct {
	R       *hub.Reader // set once
	scratch []hub.Piece // only the reading lane touches it
}

// ReadStream is tree.StreamReader's.
func (c *Cursor) ReadStream(dst []tree.Piece, off int64, max int, wake func()) ([]tree.Piece, bool, error) {
	pieces, ready, err := c.R.TryRead(c.scratch[:0], off, max, wake)
	for i, p := range pieces {
		dst = append(dst, tree.Piece{Data: p.Data, Owner: p.Owner})
		pieces[i] = hub.Piece{} // the piece is the server's now
	}
	c.scratch = pieces[:0]
	return dst, ready, err
}

// CancelRead is tree.StreamReader's.
func (c *Cursor) CancelRead() { c.R.CancelRead() }

// Close closes the reader.
func (c *Cursor) Close() error { return c.R.Close() }
