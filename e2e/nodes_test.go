package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Nodes are servers in one world that are below one another. Each runs in a folder
// of its name.
type nodes struct {
	w    *world
	dir  string // of the folders
	by   map[string]*node
	args []string // of each
}

// A node is one of them.
type node struct {
	*server
	name   string
	events *rawFile // of /events
	heard  string   // of it, what was not looked at yet
}

func newNodes(t testing.TB, args ...string) *nodes {
	w := newWorld(t)
	n := &nodes{w: w, dir: filepath.Join(w.dir, "n"), by: map[string]*node{}, args: args}
	if err := os.Mkdir(n.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return n
}

// start starts a node, below another or the root, and waits until it is there.
func (n *nodes) start(name, above string, args ...string) *node {
	n.w.tb.Helper()
	if above != "" {
		args = append(args, "--join", above)
	}
	nd := n.run(name, args...)
	if above != "" {
		n.by[above].await("node join " + name + " ")
	}
	return nd
}

// run starts a node.
func (n *nodes) run(name string, args ...string) *node {
	n.w.tb.Helper()
	dir := filepath.Join(n.dir, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		n.w.tb.Fatal(err)
	}
	w := *n.w
	w.home = dir // where it is started
	s := w.serve(append(append([]string{"-s", name, "--node-name", name, "--slots", "4"}, n.args...), args...)...)
	n.w.servers = w.servers
	s.w = n.w
	nd := &node{server: s, name: name}
	var err error
	if nd.events, err = newRawTree(n.w.raw(name)).open("/events", openRead); err != nil {
		n.w.tb.Fatal(err)
	}
	n.by[name] = nd
	return nd
}

// logs waits until the node has logged a text.
func (nd *node) logs(text string) {
	nd.w.tb.Helper()
	if !nd.log.await(text, patience) {
		nd.w.tb.Fatalf("node %s does not say %q; it said:\n%s", nd.name, text, nd.said())
	}
}

// await waits for an event that begins so, among those that were not looked at
// yet, and returns it.
func (nd *node) await(prefix string) string {
	tb := nd.w.tb
	tb.Helper()
	deadline := time.Now().Add(patience)
	for {
		for {
			line, rest, ok := strings.Cut(nd.heard, "\n")
			if !ok {
				break
			}
			nd.heard = rest
			if strings.HasPrefix(line, prefix) {
				return line
			}
		}
		if time.Now().After(deadline) {
			tb.Fatalf("node %s: no event %q", nd.name, prefix)
		}
		s, err := nd.events.read()
		if err != nil {
			tb.Fatalf("node %s: waiting for event %q: %v", nd.name, prefix, err)
		}
		nd.heard += s
	}
}

// A session is one of the tree's, of one connection.
type session struct {
	n    *nodes
	tree *rawTree
	ctl  *rawFile
	dir  string // "/remote/0"
}

// session clones one at a node.
func (n *nodes) session(at string) *session {
	n.w.tb.Helper()
	s := &session{n: n, tree: newRawTree(n.w.raw(at))}
	var err error
	if s.ctl, err = s.tree.open("/remote/clone", openRDWR); err != nil {
		n.w.tb.Fatal(err)
	}
	num, err := s.ctl.readAll()
	if err != nil || num == "" {
		n.w.tb.Fatalf("clone: %q, %v", num, err)
	}
	s.dir = "/remote/" + num
	return s
}

// do writes a word to ctl.
func (s *session) do(format string, args ...any) {
	s.n.w.tb.Helper()
	line := fmt.Sprintf(format, args...)
	if err := s.ctl.write(line); err != nil {
		s.n.w.tb.Fatalf("%s: %v", line, err)
	}
}

// lines reads so many lines of a file of the session.
func (s *session) lines(name string, count int) []string {
	s.n.w.tb.Helper()
	f, err := s.tree.open(s.dir+"/"+name, openRead)
	if err != nil {
		s.n.w.tb.Fatal(err)
	}
	defer f.close()
	text := ""
	for strings.Count(text, "\n") < count {
		more, err := f.read()
		if err != nil || more == "" {
			s.n.w.tb.Fatalf("%s: %q, then %q, %v; want %d lines", name, text, more, err, count)
		}
		text += more
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}
