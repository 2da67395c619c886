package hubfs

import (
	"hubfs/hub"
	"hubfs/tree"
)

// lines is a stream of lines that the server itself writes: events, notices,
// control words. It is a hub that is in no directory and that no word of /ctl
// reaches, so that writing to it never waits.
type lines struct {
	hub *hub.Hub
	w   *hub.Writer
}

// linesSize is how much a lines keeps for a reader that does not come.
const linesSize = 64 << 10

func newLines() lines {
	h := hub.New(hub.Options{Size: linesSize})
	return lines{hub: h, w: h.NewWriter(false)}
}

// say appends a line. It must not be called under fs.mu, for it wakes readers.
func (l lines) say(line string) {
	// Calm, without a limit and a budget: it does not wait and does not fail
	// but on a hub that has ended, where there is nobody to tell.
	_, _, _ = l.w.TryWrite(hub.Piece{Data: []byte(line + "\n")}, 0, func() {})
}

// end says that no more lines follow.
func (l lines) end() { l.hub.End("") }

// reader returns a cursor on the lines, for one that no word of /ctl drops.
func (l lines) reader(at hub.Start, label string) *cursor {
	return &cursor{r: l.hub.NewReader(at, hub.ReaderOptions{Label: label})}
}

// A cursor turns a hub.Reader into what a tree.StreamReader does.
type cursor struct {
	r       *hub.Reader
	scratch []hub.Piece // only the reading lane touches it
}

// ReadStream is tree.StreamReader's.
func (c *cursor) ReadStream(dst []tree.Piece, off int64, max int, wake func()) ([]tree.Piece, bool, error) {
	pieces, ready, err := c.r.TryRead(c.scratch[:0], off, max, wake)
	for i, p := range pieces {
		dst = append(dst, tree.Piece{Data: p.Data, Owner: p.Owner})
		pieces[i] = hub.Piece{} // the piece is the server's now
	}
	c.scratch = pieces[:0]
	return dst, ready, err
}

// CancelRead is tree.StreamReader's.
func (c *cursor) CancelRead() { c.r.CancelRead() }

// Close closes the reader.
func (c *cursor) Close() error { return c.r.Close() }
