package job

import (
	"bytes"
	"context"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"hubfs/cmd/hub/internal/server"
)

// A Node is what a server says of one of its nodes.
type Node struct {
	Name   string        `json:"name"` // the names of the nodes between, and its own
	Addr   string        `json:"addr"`
	OS     string        `json:"os"`
	Arch   string        `json:"arch"`
	Slots  int           `json:"slots"`
	Free   int           `json:"free"`
	Load   float64       `json:"load"`
	State  string        `json:"state"`
	Age    time.Duration `json:"-"`   // since it was heard of
	Secs   float64       `json:"age"` // the same in seconds
	Epoch  uint64        `json:"epoch"`
	Memory int64         `json:"memory,omitempty"`
	Labels []string      `json:"labels,omitempty"`
	Runs   bool          `json:"executor"` // tasks run on it, not only below it
}

// Up reports whether the node gets new tasks.
func (n Node) Up() bool { return n.State == "up" }

// Is reports whether word is a name of the node: its path, or the last element.
func (n Node) Is(word string) bool { return n.Name == word || path.Base(n.Name) == word }

// Nodes reads which nodes there are: the server itself first, then those below.
func Nodes(ctx context.Context, srv *server.Server) ([]Node, error) {
	p, err := srv.ReadFile(ctx, Dir+"/nodes")
	if err != nil {
		return nil, noRemote(srv, err)
	}
	return parseNodes(p)
}

// parseNodes reads lines NAME ADDR OS ARCH SLOTS FREE LOAD STATE AGE EPOCH
// [KEY[=VALUE]...], the age in seconds. Other keys may come.
func parseNodes(data []byte) ([]Node, error) {
	var nodes []Node
	for line := range bytes.Lines(data) {
		text := strings.TrimSuffix(string(line), "\n")
		f := server.Fields(text)
		if len(f) < 10 {
			return nil, fmt.Errorf("a line of nodes: expected 10 fields, not %q", text)
		}
		n := Node{Name: f[0], Addr: f[1], OS: f[2], Arch: f[3], State: f[7]}
		var err [5]error
		n.Slots, err[0] = strconv.Atoi(f[4])
		n.Free, err[1] = strconv.Atoi(f[5])
		n.Load, err[2] = strconv.ParseFloat(f[6], 64)
		n.Secs, err[3] = strconv.ParseFloat(f[8], 64)
		n.Epoch, err[4] = strconv.ParseUint(f[9], 10, 64)
		for _, err := range err {
			if err != nil {
				return nil, fmt.Errorf("a line of nodes: %w in %q", err, text)
			}
		}
		n.Age = time.Duration(n.Secs * float64(time.Second))
		for _, word := range f[10:] {
			n.note(word)
		}
		nodes = append(nodes, n)
	}
	markRunners(nodes)
	return nodes, nil
}

// note takes a word that may follow the ten fields.
func (n *Node) note(word string) {
	key, value, _ := strings.Cut(word, "=")
	switch key {
	case "mem":
		n.Memory, _ = strconv.ParseInt(value, 10, 64) // else it is not known
	case "labels":
		if value != "" {
			n.Labels = strings.Split(value, ",")
		}
	case "executor":
		n.Runs = true
	}
}

// markRunners marks the nodes that run tasks: those that say so, and those with
// nothing below them.
func markRunners(nodes []Node) {
	above := map[string]bool{}
	for _, n := range nodes[min(1, len(nodes)):] {
		for dir := path.Dir(n.Name); dir != "."; dir = path.Dir(dir) {
			above[dir] = true
		}
	}
	for i, n := range nodes {
		if i == 0 && len(nodes) > 1 || above[n.Name] {
			continue
		}
		nodes[i].Runs = true
	}
}
