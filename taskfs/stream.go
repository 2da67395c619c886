package taskfs

import (
	"errors"
	"fmt"
	"strconv"

	"hubfs/hub"
	"hubfs/internal/handles"
	"hubfs/taskfs/gang"
	"hubfs/taskfs/gather"
	"hubfs/taskfs/session"
	"hubfs/tree"
)

// streamFile returns stdin, stdout, stderr or stdio of the part, as name says to open
// it.
func (d *partDir) streamFile(base, name string) (tree.Node, error) {
	if !d.part.IsWhole() {
		return d.partStream(base, name)
	}
	sl := d.sl
	modes := map[string]uint32{"stdin": 0o222, "stdout": 0o444, "stderr": 0o444, "stdio": 0o660}
	f := &hubFile{meta: sl.meta("", name, modes[base]), sl: sl}
	node := func(stream, as string) (tree.File, error) {
		n, err := sl.streams[stream].Node(as)
		if err != nil {
			return nil, err
		}
		file, ok := n.(tree.File)
		if !ok {
			return nil, tree.ErrNotExist
		}
		return file, nil
	}
	var err error
	switch base {
	case "stdin":
		f.in, err = node("stdin", name)
		f.ends = base == name
	case "stdio":
		f.outName, f.ends = "stdout", true
		if f.in, err = node("stdin", "stdin"); err == nil {
			f.out, err = node("stdout", "stdout")
		}
	default:
		f.outName = base
		f.out, err = node(base, name)
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}

// A hubFile is a hub of a session in its folder: what there is besides what the hub
// is at its own place.
type hubFile struct {
	meta
	sl      *slot
	in      tree.Node // what is written; nil: nothing can be
	out     tree.Node // what is read; nil: nothing can be
	outName string    // the stream that out is
	ends    bool      // the last close of one that writes is the end of the input
}

// Stream is the hub that the file stands for: who may what with it is as for that.
func (f *hubFile) Stream() tree.Node {
	if f.out != nil {
		return f.out
	}
	return f.in
}

// Stat describes the file as it is here, and its bytes as the hub's are.
func (f *hubFile) Stat() tree.Info {
	info, at := f.meta.Stat(), f.Stream().Stat()
	info.Length, info.Mtime, info.MUID = at.Length, at.Mtime, at.MUID
	return info
}

// Open opens the hub, or both of stdio's.
func (f *hubFile) Open(c *tree.Caller, mode uint8) (tree.Handle, error) {
	s := f.sl.session
	read, write := tree.Readable(mode), tree.Writable(mode)
	if read && f.out == nil || write && f.in == nil {
		return nil, tree.ErrPermission
	}
	if s.Released() && (write || !s.Ran() || f.sl.isDrained(f.outName)) {
		return nil, gang.ErrReleased
	}
	h := &hubHandle{f: f, ends: write && f.ends}
	if read {
		r, err := f.out.(tree.File).Open(c, tree.OpenRead)
		if err != nil {
			return nil, err
		}
		h.r, _ = r.(tree.StreamReader)
		h.plainR, _ = r.(tree.Reader)
		h.all = append(h.all, r)
	}
	if write {
		w, err := f.in.(tree.File).Open(c, tree.OpenWrite)
		if err == nil {
			h.all = append(h.all, w)
			h.w, _ = w.(tree.StreamWriter)
			if h.ends {
				err = s.Whole().Writing()
			}
		}
		if err != nil {
			return nil, errors.Join(err, closeAll(h.all))
		}
	}
	s.Opened(s.Whole(), 1)
	return h, nil
}

func closeAll(list []tree.Handle) error {
	var errs []error
	for _, h := range list {
		errs = append(errs, h.Close())
	}
	return errors.Join(errs...)
}

// A hubHandle is one open of a hubFile.
type hubHandle struct {
	f      *hubFile
	r      tree.StreamReader
	plainR tree.Reader // of NAME@times, which is no stream
	w      tree.StreamWriter
	all    []tree.Handle
	ends   bool
}

// ReadStream takes what there is, or waits for it.
func (h *hubHandle) ReadStream(dst []tree.Piece, off int64, max int, wake func()) ([]tree.Piece, bool, error) {
	switch {
	case h.f.sl.session.Strict():
		return dst, false, session.ErrNoReservation
	case h.r == nil && h.plainR == nil:
		return dst, false, tree.ErrPermission
	case h.r == nil:
		p := make([]byte, min(max, 64<<10))
		n, err := h.plainR.ReadAt(p, off)
		if n > 0 {
			dst = append(dst, tree.Piece{Data: p[:n]})
		}
		return dst, err == nil, err
	}
	had := len(dst)
	dst, ready, err := h.r.ReadStream(dst, off, max, wake)
	if err == nil && ready && len(dst) == had && max > 0 {
		h.f.sl.readOut(h.f.outName)
		if h.f.outName == "out/labelled" { // has both
			h.f.sl.readOut("stdout")
			h.f.sl.readOut("stderr")
		}
	}
	return dst, ready, err
}

// CancelRead withdraws a read that waits.
func (h *hubHandle) CancelRead() {
	if h.r != nil {
		h.r.CancelRead()
	}
}

// WriteStream gives the tasks input, or waits until it can.
func (h *hubHandle) WriteStream(p tree.Piece, off int64, wake func()) (int, bool, error) {
	switch {
	case h.f.sl.session.Strict():
		return 0, false, session.ErrNoReservation
	case h.w == nil:
		return 0, false, tree.ErrPermission
	}
	return h.w.WriteStream(p, off, wake)
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
	s := h.f.sl.session
	err := closeAll(h.all)
	if h.ends {
		s.Whole().Written()
	}
	s.Opened(s.Whole(), -1)
	return err
}

// A viewFile is the output of some of the tasks alone, or their input, or both.
type viewFile struct {
	meta
	sl    *slot
	part  *session.Part
	at    handles.Place
	label string
	open  func() (*hub.Hub, func(), error) // what is read; nil: nothing can be
	in    bool                             // it can be written
}

// splitView takes the name of a view apart, of whose bytes nobody notes the times.
func splitView(name string) (base string, at handles.Place, err error) {
	base, at, err = handles.SplitPlace(name)
	if err == nil && at.Kind == handles.Times {
		return "", handles.Place{}, fmt.Errorf("%s has no @times, which its session's streams have: %w", base, tree.ErrNotExist)
	}
	return base, at, err
}

// partStream is streamFile for a part of a session, whose streams are made of those
// of its tasks when somebody opens them.
func (d *partDir) partStream(base, name string) (tree.Node, error) {
	_, at, err := splitView(name)
	if err != nil {
		return nil, err
	}
	p := d.part
	f := &viewFile{sl: d.sl, part: p, at: at, label: d.dir + base}
	view := func(st gather.Stream) func() (*hub.Hub, func(), error) {
		return func() (*hub.Hub, func(), error) { return p.View(st) }
	}
	mode := uint32(0o444)
	switch base {
	case "stdin":
		mode, f.in = 0o222, true
	case "stdio":
		mode, f.in, f.open = 0o660, true, view(gather.Stdout)
	case "stdout":
		f.open = view(gather.Stdout)
	case "stderr":
		f.open = view(gather.Stderr)
	}
	f.meta = d.sl.meta(d.dir, name, mode)
	return f, nil
}

// Open makes the view, or holds it with others.
func (f *viewFile) Open(c *tree.Caller, mode uint8) (tree.Handle, error) {
	read, write := tree.Readable(mode), tree.Writable(mode)
	if read && f.open == nil || write && !f.in {
		return nil, tree.ErrPermission
	}
	if err := maySee(c); err != nil {
		return nil, err
	}
	if write {
		if err := mayRun(c); err != nil {
			return nil, err
		}
	}
	if f.sl.session.Released() {
		return nil, gang.ErrReleased
	}
	h := &viewHandle{f: f, ends: write && f.at.Kind != handles.Addressed}
	if read {
		out, release, err := f.open()
		if err != nil {
			return nil, err
		}
		o := hub.ReaderOptions{Label: c.User + " " + c.Addr, Lazy: write}
		h.r, h.release = &handles.Cursor{R: out.NewReader(f.at.Start(), o)}, release
	}
	if write {
		in, err := f.part.Input()
		if err == nil && h.ends {
			err = f.part.Writing()
		}
		if err != nil {
			h.ends = false
			h.closeReader()
			return nil, err
		}
		h.w = in.NewWriter(f.at.Kind == handles.Addressed)
	}
	f.sl.session.Opened(f.part, 1)
	return h, nil
}

// A viewHandle is one open of a viewFile.
type viewHandle struct {
	f       *viewFile
	r       *handles.Cursor // nil: not open for reading
	release func()          // of what r reads
	w       *hub.Writer     // nil: not open for writing
	ends    bool
}

// ReadStream takes what there is, or waits for it.
func (h *viewHandle) ReadStream(dst []tree.Piece, off int64, max int, wake func()) ([]tree.Piece, bool, error) {
	if h.r == nil {
		return dst, false, tree.ErrPermission
	}
	dst, ready, err := h.r.ReadStream(dst, off, max, wake)
	return dst, ready, h.f.errorText(err)
}

// CancelRead withdraws a read that waits.
func (h *viewHandle) CancelRead() {
	if h.r != nil {
		h.r.CancelRead()
	}
}

// WriteStream gives the tasks input, or waits until it can.
func (h *viewHandle) WriteStream(p tree.Piece, off int64, wake func()) (int, bool, error) {
	if h.w == nil {
		return 0, false, tree.ErrPermission
	}
	n, ready, err := h.w.TryWrite(hub.Piece{Data: p.Data, Owner: p.Owner}, off, wake)
	return n, ready, h.f.errorText(err)
}

// CancelWrite withdraws a write that waits, unless it has taken effect.
func (h *viewHandle) CancelWrite() int {
	if h.w == nil {
		return 0
	}
	return h.w.CancelWrite()
}

func (h *viewHandle) closeReader() {
	if h.r != nil {
		_ = h.r.Close() // of a reader: it never fails
		h.release()
	}
}

// Close ends the open.
func (h *viewHandle) Close() error {
	h.closeReader()
	var err error
	if h.w != nil {
		err = h.w.Close()
	}
	if h.ends {
		h.f.part.Written()
	}
	h.f.sl.session.Opened(h.f.part, -1)
	return err
}

// errorText says an error of a hub in the words that clients know from others.
func (f *viewFile) errorText(err error) error {
	if err == nil {
		return nil
	}
	name := remote + "/" + strconv.Itoa(f.sl.number) + "/" + f.label
	var discarded *hub.DiscardedError
	var gap *hub.GapError
	switch {
	case errors.As(err, &discarded):
		return fmt.Errorf("discarded: %s starts at %d", name, discarded.First)
	case errors.As(err, &gap):
		return fmt.Errorf("gap: %s ends at %d", name, gap.Next)
	case errors.Is(err, hub.ErrEnded):
		return fmt.Errorf("%s has ended", name)
	}
	return fmt.Errorf("%s: %w", name, err)
}
