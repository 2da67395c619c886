package taskfs

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"hubfs/hub"
	"hubfs/internal/handles"
	"hubfs/taskfs/cluster"
	"hubfs/taskfs/frame"
	"hubfs/taskfs/gang"
	"hubfs/taskfs/tasktest"
	"hubfs/tree"
)

// Callers of the tests. The server belongs to glenda.
var (
	glenda = &tree.Caller{User: "glenda", Addr: "unix 1", Conn: 1, Admin: true}
	ken    = &tree.Caller{User: "ken", Addr: "tcp k", Conn: 2}
)

// A level is rights that are the same for everything.
type level tree.Level

func (l level) Level(string) tree.Level  { return tree.Level(l) }
func (l level) Within(string) tree.Level { return tree.Level(l) }

// guestOf is a caller with bounds.
func guestOf(l tree.Level) *tree.Caller {
	return &tree.Caller{User: "guest:eve", Addr: "tcp e", Conn: 3, Rights: level(l)}
}

// A world is nodes in one process.
type world struct {
	t *testing.T
	*tasktest.World
	links sync.WaitGroup
	nodes []*server
}

// A server is a node and its folder.
type server struct {
	*FS
	w    *world
	t    *testing.T
	gang *gang.Node
	as   *tree.Caller
}

// inWorld runs a test in time that stands still while somebody works.
func inWorld(t *testing.T, do func(t *testing.T, w *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, World: tasktest.NewWorld()}
		defer w.end() // also of a test that failed
		do(t, w)
	})
}

// end ends all nodes and looks at what is left.
func (w *world) end() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	for _, s := range w.nodes {
		if err := s.Close(ctx); err != nil {
			w.t.Error(err)
		}
	}
	for _, s := range w.nodes {
		if err := s.gang.Close(ctx); err != nil {
			w.t.Error(err)
		}
	}
	w.links.Wait()
	w.World.Wait()
	for _, f := range w.Faults() {
		w.t.Error(f)
	}
	if left := w.Running(); len(left) > 0 {
		w.t.Errorf("left over: %v", left)
	}
}

// node makes a node of its own, for so many tasks at a time.
func (w *world) node(name string, slots int, change ...func(*Config)) *server {
	s := &server{w: w, t: w.t, as: glenda}
	s.gang = gang.New(gang.Options{
		Cluster: cluster.Options{
			Info:  cluster.Info{Name: name, OS: "linux", Arch: "amd64", Slots: slots, Memory: 1 << 30, Instance: name},
			Event: func(line string) { s.Event(line) },
		},
		Runner: w.Runner(name), Dir: "/home/" + name,
	})
	cfg := Config{Node: s.gang, Owner: "glenda", Streams: &plainStreams{open: map[string]bool{}}, Session: "remote/",
		Dir: "/home/" + name, Temp: w.t.TempDir()}
	for _, c := range change {
		c(&cfg)
	}
	s.FS = New(cfg)
	w.nodes = append(w.nodes, s)
	return s
}

// below has child below s, over a link that cut ends.
func (s *server) below(child *server) (cut func()) {
	a, b := frame.Pipe(0)
	s.w.links.Add(2)
	// Both end with the link, or with their nodes.
	go func() { defer s.w.links.Done(); _ = s.gang.Cluster().Below(context.Background(), a, "") }()
	go func() { defer s.w.links.Done(); _ = child.gang.Cluster().Above(context.Background(), b) }()
	synctest.Wait()
	return func() { a.Close(); b.Close() }
}

// plainStreams makes hubs as a server's without a tree around.
type plainStreams struct {
	mu   sync.Mutex
	open map[string]bool
}

func (p *plainStreams) New(c *tree.Caller, path string, mode uint32, o hub.Options) (Stream, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open[path] {
		return nil, tree.ErrExist
	}
	p.open[path] = true
	return &plainStream{p: p, path: path, hub: hub.New(o), mode: mode, owner: c.User}, nil
}

type plainStream struct {
	p     *plainStreams
	path  string
	hub   *hub.Hub
	mode  uint32
	owner string
}

func (s *plainStream) Hub() *hub.Hub { return s.hub }

func (s *plainStream) Node(name string) (tree.Node, error) {
	_, at, err := handles.SplitPlace(name)
	if err != nil {
		return nil, err
	}
	return &plainNode{s, at, name}, nil
}

func (s *plainStream) Close() {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	delete(s.p.open, s.path)
}

type plainNode struct {
	s    *plainStream
	at   handles.Place
	name string
}

func (n *plainNode) Stat() tree.Info {
	return tree.Info{Name: n.name, Path: 7, Mode: n.s.mode, UID: n.s.owner, GID: n.s.owner, Length: n.s.hub.Length()}
}

func (n *plainNode) Open(c *tree.Caller, mode uint8) (tree.Handle, error) {
	h := &plainHandle{}
	if tree.Readable(mode) {
		h.r = &handles.Cursor{R: n.s.hub.NewReader(n.at.Start(), hub.ReaderOptions{})}
	}
	if tree.Writable(mode) {
		h.w = n.s.hub.NewWriter(n.at.Kind == handles.Addressed)
	}
	return h, nil
}

type plainHandle struct {
	r *handles.Cursor
	w *hub.Writer
}

func (h *plainHandle) ReadStream(dst []tree.Piece, off int64, max int, wake func()) ([]tree.Piece, bool, error) {
	return h.r.ReadStream(dst, off, max, wake)
}
func (h *plainHandle) CancelRead() { h.r.CancelRead() }
func (h *plainHandle) WriteStream(p tree.Piece, off int64, wake func()) (int, bool, error) {
	return h.w.TryWrite(hub.Piece{Data: p.Data, Owner: p.Owner}, off, wake)
}
func (h *plainHandle) CancelWrite() int { return h.w.CancelWrite() }
func (h *plainHandle) Close() error {
	if h.r != nil {
		h.r.Close()
	}
	if h.w != nil {
		h.w.Close()
	}
	return nil
}

// walk finds what is at a path.
func (s *server) walk(path string) (tree.Node, error) {
	var n tree.Node = s.Root()
	for name := range strings.SplitSeq(path, "/") {
		if name == "" {
			continue
		}
		d, ok := n.(tree.Dir)
		if !ok {
			return nil, tree.ErrNotDir
		}
		var err error
		if n, err = d.Lookup(s.as, name); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// user is s in the hands of somebody else.
func (s *server) user(c *tree.Caller) *server {
	o := *s
	o.as = c
	return &o
}

// tryOpen opens as a server of 9P does, which asks the mode bits first.
func (s *server) tryOpen(path string, mode uint8) (*file, error) {
	n, err := s.walk(path)
	if err != nil {
		return nil, err
	}
	f, ok := n.(tree.File)
	if !ok {
		return nil, tree.ErrIsDir
	}
	need := uint32(0)
	if tree.Readable(mode) {
		need |= tree.PermRead
	}
	if tree.Writable(mode) {
		need |= tree.PermWrite
	}
	if !n.Stat().Allows(s.as, need) {
		return nil, tree.ErrPermission
	}
	h, err := f.Open(s.as, mode)
	if err != nil {
		return nil, err
	}
	return &file{s: s, path: path, h: h}, nil
}

func (s *server) open(path string, mode uint8) *file {
	s.t.Helper()
	f, err := s.tryOpen(path, mode)
	if err != nil {
		s.t.Fatalf("open %s: %v", path, err)
	}
	return f
}

// cat reads a file to its end.
func (s *server) cat(path string) string {
	s.t.Helper()
	f := s.open(path, tree.OpenRead)
	defer f.close()
	return f.all()
}

// catFails reads what cannot be read, be it at the open or at the read.
func (s *server) catFails(path, say string) {
	s.t.Helper()
	f, err := s.tryOpen(path, tree.OpenRead)
	if err == nil {
		_, err = f.read()
		f.close()
	}
	if err == nil || !strings.Contains(err.Error(), say) {
		s.t.Errorf("cat %s: %v, want %q", path, err, say)
	}
}

// echo opens, writes and closes, as a shell does.
func (s *server) echo(path, text string) error {
	f, err := s.tryOpen(path, tree.OpenWrite)
	if err != nil {
		return err
	}
	_, err = f.tryWrite(text)
	f.close()
	return err
}

// ls is the names in a folder.
func (s *server) ls(path string) string {
	s.t.Helper()
	n, err := s.walk(path)
	if err != nil {
		s.t.Fatalf("ls %s: %v", path, err)
	}
	infos, err := n.(tree.Dir).List(s.as)
	if err != nil {
		s.t.Fatalf("ls %s: %v", path, err)
	}
	var names []string
	for _, i := range infos {
		sub, err := n.(tree.Dir).Lookup(s.as, i.Name)
		if err != nil {
			s.t.Errorf("%s/%s is listed, but: %v", path, i.Name, err)
		} else if got := sub.Stat(); got.Path != i.Path || got.Name != i.Name || got.Mode != i.Mode {
			s.t.Errorf("%s/%s: listed %+v, found %+v", path, i.Name, i, got)
		}
		if i.Path&pathBit == 0 {
			s.t.Errorf("%s/%s has the path %#x", path, i.Name, i.Path)
		}
		names = append(names, i.Name)
	}
	return strings.Join(names, " ")
}

// A file is one open.
type file struct {
	s    *server
	path string
	h    tree.Handle
	off  int64
}

// read reads what there is, and waits for something.
func (f *file) read() (string, error) {
	switch h := f.h.(type) {
	case tree.StreamReader:
		for {
			wake := make(chan struct{})
			once := sync.OnceFunc(func() { close(wake) })
			pieces, ready, err := h.ReadStream(nil, f.off, 64<<10, once)
			if err != nil || ready {
				var b strings.Builder
				for _, p := range pieces {
					b.Write(p.Data)
					p.Free()
				}
				f.off += int64(b.Len())
				return b.String(), err
			}
			select {
			case <-wake:
			case <-time.After(time.Hour):
				h.CancelRead()
				return "", errors.New("nothing comes for an hour")
			}
		}
	case tree.Reader:
		p := make([]byte, 64<<10)
		n, err := h.ReadAt(p, f.off)
		f.off += int64(n)
		return string(p[:n]), err
	}
	return "", tree.ErrPermission
}

// waits reports that there is nothing to read now.
func (f *file) waits() bool {
	synctest.Wait()
	h := f.h.(tree.StreamReader)
	pieces, ready, err := h.ReadStream(nil, f.off, 64<<10, func() {})
	if ready || err != nil {
		f.s.t.Errorf("%s: %d pieces, %v", f.path, len(pieces), err)
		return false
	}
	h.CancelRead()
	return true
}

// all reads to the end.
func (f *file) all() string {
	f.s.t.Helper()
	var b strings.Builder
	for {
		got, err := f.read()
		b.WriteString(got)
		if err != nil {
			f.s.t.Fatalf("read %s: %v, after %q", f.path, err, b.String())
		}
		if got == "" {
			return b.String()
		}
	}
}

// want reads so much.
func (f *file) want(text string) {
	f.s.t.Helper()
	got := ""
	for len(got) < len(text) {
		p, err := f.read()
		if err != nil || p == "" {
			f.s.t.Fatalf("read %s: %q, %v, want %q", f.path, got, err, text)
		}
		got += p
	}
	if got != text {
		f.s.t.Errorf("read %s: %q, want %q", f.path, got, text)
	}
}

func (f *file) tryWrite(text string) (int, error) {
	switch h := f.h.(type) {
	case tree.StreamWriter:
		for {
			wake := make(chan struct{})
			once := sync.OnceFunc(func() { close(wake) })
			n, ready, err := h.WriteStream(tree.Piece{Data: []byte(text)}, 0, once)
			if err != nil || ready {
				return n, err
			}
			<-wake
		}
	case tree.Writer:
		return h.WriteAt([]byte(text), 0)
	}
	return 0, tree.ErrPermission
}

func (f *file) write(text string) {
	f.s.t.Helper()
	if n, err := f.tryWrite(text); err != nil || n != len(text) {
		f.s.t.Fatalf("write %q to %s: %d, %v", text, f.path, n, err)
	}
}

// fails writes what is refused.
func (f *file) fails(text, say string) {
	f.s.t.Helper()
	if n, err := f.tryWrite(text); err == nil || n != 0 || !strings.Contains(err.Error(), say) {
		f.s.t.Errorf("write %q to %s: %d, %v, want %q", text, f.path, n, err, say)
	}
}

func (f *file) close() {
	if err := f.h.Close(); err != nil {
		f.s.t.Errorf("close %s: %v", f.path, err)
	}
}

// clone opens clone and reads the number.
func (s *server) clone(number string) *file {
	s.t.Helper()
	f := s.open("clone", tree.OpenRDWR)
	if got := f.all(); got != number {
		s.t.Fatalf("clone: session %q, want %q", got, number)
	}
	f.path = number + "/ctl"
	return f
}
