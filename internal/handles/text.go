package handles

import "hubfs/tree"

// A Text is one open of a file whose content is made anew for each reader: at
// the first read, and again at each read from the start, so that a reader who
// takes it in several pieces sees one state of things.
type Text struct {
	c       *tree.Caller // who reads, and has the text held for it
	content func() (string, error)
	made    bool // made and s: only the reading lane touches them
	s       string
}

// NewText returns an open by c of what content returns.
func NewText(c *tree.Caller, content func() string) *Text {
	return TryText(c, func() (string, error) { return content(), nil })
}

// TryText is NewText for a content that may be refused.
func TryText(c *tree.Caller, content func() (string, error)) *Text {
	return &Text{c: c, content: content}
}

// ReadAt reads the text.
func (t *Text) ReadAt(p []byte, off int64) (int, error) {
	s, err := t.from(off)
	return copy(p, s), err
}

// from returns what there is to read from off on.
func (t *Text) from(off int64) (string, error) {
	if off == 0 || !t.made {
		if err := t.make(); err != nil {
			return "", err
		}
	}
	if off < 0 || off >= int64(len(t.s)) {
		return "", nil
	}
	return t.s[off:], nil
}

// make makes the content anew, if the reader may have the server hold that much.
func (t *Text) make() error {
	t.drop()
	s, err := t.content()
	if err != nil {
		return err
	}
	if err := t.c.Holds(len(s)); err != nil {
		return err
	}
	t.s, t.made = s, true
	return nil
}

// drop lets go of the content.
func (t *Text) drop() {
	_ = t.c.Holds(-len(t.s)) // less is no error
	t.s, t.made = "", false
}

// ReadStream reads the text for a handle that is a stream at other times.
func (t *Text) ReadStream(dst []tree.Piece, off int64, max int) ([]tree.Piece, bool, error) {
	s, err := t.from(off)
	if s = s[:min(len(s), max)]; s == "" {
		return dst, err == nil, err
	}
	return append(dst, tree.Piece{Data: []byte(s)}), true, nil
}

// Close ends the open. It never fails.
func (t *Text) Close() error {
	t.drop()
	return nil
}
