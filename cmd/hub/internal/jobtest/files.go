package jobtest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"hubfs/internal/handles"
	"hubfs/internal/lex"
	"hubfs/taskfs"
	"hubfs/tree"
)

// paths numbers the files; hubfs has the lower half for its own.
var paths atomic.Uint64

func info(mode uint32) tree.Info {
	return tree.Info{Path: 1<<63 + paths.Add(1), Mode: mode, UID: "u", GID: "u"}
}

// A dir is a folder of what kids returns.
type dir struct{ kids func() map[string]tree.Node }

func (d *dir) Stat() tree.Info { return info(tree.ModeDir | 0o777) }

func (d *dir) Lookup(_ *tree.Caller, name string) (tree.Node, error) {
	base, _, _ := strings.Cut(name, "@")
	n, ok := d.kids()[base]
	if st, is := n.(stream); is {
		return st.st.Node(name)
	}
	if !ok || base != name {
		return nil, tree.ErrNotExist
	}
	return n, nil
}

func (d *dir) List(*tree.Caller) (infos []tree.Info, err error) {
	kids := d.kids()
	for _, name := range slices.Sorted(maps.Keys(kids)) {
		i := kids[name].Stat()
		i.Name = name
		infos = append(infos, i)
	}
	return infos, nil
}

// A stream stands in a folder for a hub and all the ways to open it.
type stream struct{ st taskfs.Stream }

func (s stream) Stat() tree.Info { return info(0o666) }

// A file is one that is opened by open.
type file struct {
	open func(*tree.Caller, uint8) (tree.Handle, error)
}

func (f *file) Stat() tree.Info { return info(0o666) }

func (f *file) Open(c *tree.Caller, mode uint8) (tree.Handle, error) { return f.open(c, mode) }

func text(content func() string) tree.Node {
	return &file{func(c *tree.Caller, _ uint8) (tree.Handle, error) { return handles.NewText(c, content), nil }}
}

func words(do func([]string) error) tree.Node {
	return &file{func(*tree.Caller, uint8) (tree.Handle, error) { return &ctl{words: do}, nil }}
}

// A ctl is one open of a file of control.
type ctl struct {
	words  func([]string) error
	number int
	close  func() // may be nil
}

func (c *ctl) ReadAt(p []byte, off int64) (int, error) {
	text := fmt.Sprint(c.number)
	return copy(p, text[min(off, int64(len(text))):]), nil
}

func (c *ctl) WriteAt(p []byte, _ int64) (int, error) {
	if err := lex.Each(p, c.words); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (c *ctl) Close() error {
	if c.close != nil {
		c.close()
	}
	return nil
}

// A made is a folder that takes files.
type made struct {
	s    *Session
	path string
}

func (m *made) Stat() tree.Info { return info(tree.ModeDir | 0o777) }
func (m *made) Lookup(_ *tree.Caller, name string) (tree.Node, error) {
	if path := m.path + "/" + name; m.s.File(path+"/") != "" {
		return &made{m.s, path}, nil
	}
	return nil, tree.ErrNotExist
}
func (m *made) List(*tree.Caller) ([]tree.Info, error) { return nil, nil }
func (m *made) Create(_ *tree.Caller, name string, perm uint32, _ uint8) (tree.Node, tree.Handle, error) {
	path := m.path + "/" + name
	if perm&tree.ModeDir != 0 {
		m.s.set(path+"/", fmt.Sprintf("%o", perm&tree.ModePerm))
		return &made{m.s, path}, nil, nil
	}
	m.s.set(path, fmt.Sprintf("%o ", perm))
	return &file{}, &written{m.s, path}, nil
}

// A written is one open of a file that is written.
type written struct {
	s    *Session
	path string
}

func (w *written) WriteAt(p []byte, _ int64) (int, error) {
	w.s.set(w.path, string(p))
	return len(p), nil
}

func (w *written) Close() error { return nil }

// set appends to what was written to a file.
func (s *Session) set(path, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files[path] += text
}
