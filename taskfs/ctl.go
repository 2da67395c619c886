package taskfs

import (
	"strconv"

	"hubfs/internal/handles"
	"hubfs/internal/lex"
	"hubfs/taskfs/gang"
	"hubfs/taskfs/session"
	"hubfs/tree"
)

// A ctlFile is a session's ctl. Who opens it holds the session.
type ctlFile struct {
	meta
	sl *slot
}

// Open holds the session. One that was released is a new one then, with the same
// number, for who means to write and may.
func (f *ctlFile) Open(c *tree.Caller, mode uint8) (tree.Handle, error) {
	if err := maySee(c); err != nil {
		return nil, err
	}
	sl := f.sl
	err := sl.session.Hold()
	if err == gang.ErrReleased {
		if !tree.Writable(mode) {
			return handles.NewText(c, func() string { return strconv.Itoa(sl.number) }), nil
		}
		if err := mayRun(c); err != nil {
			return nil, err
		}
		sl, err = sl.fs.reopen(c, sl)
	}
	if err != nil {
		return nil, err
	}
	return newCtlHandle(sl, c, mode), nil
}

// A ctlHandle is one open of a session's ctl.
type ctlHandle struct {
	sl    *slot
	c     *tree.Caller
	read  bool
	write bool
}

func newCtlHandle(sl *slot, c *tree.Caller, mode uint8) *ctlHandle {
	return &ctlHandle{sl: sl, c: c, read: tree.Readable(mode), write: tree.Writable(mode)}
}

// ReadAt reads the session's number, without a newline.
func (h *ctlHandle) ReadAt(p []byte, off int64) (int, error) {
	if !h.read {
		return 0, tree.ErrPermission
	}
	return readString(strconv.Itoa(h.sl.number), p, off), nil
}

func readString(s string, p []byte, off int64) int {
	if off < 0 || off >= int64(len(s)) {
		return 0
	}
	return copy(p, s[off:])
}

// WriteAt does the commands in p.
func (h *ctlHandle) WriteAt(p []byte, off int64) (int, error) {
	return h.sl.ctl(h.c, h.sl.session.Whole(), h.write, p)
}

// Close gives the session up, if nobody else holds it.
func (h *ctlHandle) Close() error {
	h.sl.session.Unhold()
	return nil
}

// ctl does the commands that c has written to the control file of a part.
func (sl *slot) ctl(c *tree.Caller, p *session.Part, may bool, data []byte) (int, error) {
	if !may {
		return 0, tree.ErrPermission
	}
	if err := mayRun(c); err != nil { // rights may have changed
		return 0, err
	}
	err := lex.Each(data, func(line []string) error {
		if err := lex.Do(sl.words(p), line); err != nil {
			return err
		}
		if p.IsWhole() && line[0] == "wipe" {
			sl.wipe()
			sl.settle()
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return len(data), nil
}

// A partCtl is the ctl of a part. It holds nothing.
type partCtl struct {
	meta
	sl   *slot
	part *session.Part
	key  string
}

// Open gives a handle on the part.
func (f *partCtl) Open(c *tree.Caller, mode uint8) (tree.Handle, error) {
	if err := maySee(c); err != nil {
		return nil, err
	}
	if f.sl.session.Released() {
		return nil, gang.ErrReleased
	}
	f.sl.session.Opened(f.part, 1)
	return &partCtlHandle{f: f, c: c, write: tree.Writable(mode)}, nil
}

// A partCtlHandle is one open of it.
type partCtlHandle struct {
	f     *partCtl
	c     *tree.Caller
	write bool
}

// ReadAt reads the part's number.
func (h *partCtlHandle) ReadAt(p []byte, off int64) (int, error) {
	return readString(h.f.key, p, off), nil
}

// WriteAt does the commands in p.
func (h *partCtlHandle) WriteAt(p []byte, off int64) (int, error) {
	return h.f.sl.ctl(h.c, h.f.part, h.write, p)
}

// Close ends the open.
func (h *partCtlHandle) Close() error {
	h.f.sl.session.Opened(h.f.part, -1)
	return nil
}
