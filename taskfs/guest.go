package taskfs

import (
	"fmt"
	"strconv"
	"strings"

	"hubfs/internal/lex"
	"hubfs/tree"
)

// A guestDir is the folder of a session, or a task of it, that runs here for a node
// above. It has what can be said and done here; its streams are up there.
type guestDir struct {
	meta
	kids  map[string]tree.Node
	order []string
}

func (fs *FS) guestDir(num int, g guest) *guestDir {
	own := func(name string, mode uint32) meta {
		// The same guest has the same paths: they go by its number, and one number
		// has one guest at a time.
		return meta{name: name, path: fs.guestPath(num, name), mode: mode, owner: fs.cfg.Owner, made: fs.made}
	}
	d := &guestDir{meta: own(strconv.Itoa(num), tree.ModeDir|0o555), kids: map[string]tree.Node{}}
	add := func(name string, n tree.Node) {
		d.kids[name] = n
		d.order = append(d.order, name)
	}
	add("ctl", &control{meta: own("ctl", 0o660),
		content: func() (string, error) { return strconv.Itoa(num), nil },
		do: func(line []string) error {
			return lex.Do([]lex.Word{lex.Command("kill", "", "end what runs here for the node above", 0, 0,
				func([]string) error { g.Kill(); return nil })}, line)
		}})
	add("status", &text{meta: own("status", 0o444), content: func() (string, error) {
		var b strings.Builder
		for _, t := range g.Status() {
			fmt.Fprintf(&b, "%s\n", lex.Fields("cmd/"+strconv.Itoa(t.Number), "1", string(t.State), t.Dir, ""))
		}
		return b.String(), nil
	}})
	return d
}

// guestPath is the qid.path of a file of a guest.
func (fs *FS) guestPath(num int, name string) uint64 {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	key := strconv.Itoa(num) + "/" + name
	p := fs.guests[key]
	if p == 0 {
		p = fs.newPath()
		fs.guests[key] = p
	}
	return p
}

// Lookup finds a file.
func (d *guestDir) Lookup(c *tree.Caller, name string) (tree.Node, error) {
	if err := maySee(c); err != nil {
		return nil, err
	}
	if n, ok := d.kids[name]; ok {
		return n, nil
	}
	return nil, tree.ErrNotExist
}

// List describes the files.
func (d *guestDir) List(c *tree.Caller) ([]tree.Info, error) {
	if err := maySee(c); err != nil {
		return nil, err
	}
	var infos []tree.Info
	for _, name := range d.order {
		infos = append(infos, d.kids[name].Stat())
	}
	return infos, nil
}
