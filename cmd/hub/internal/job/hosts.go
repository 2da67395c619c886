package job

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"

	"hubfs/client"
	"hubfs/cmd/hub/internal/server"
	"hubfs/hostlist"
)

// mostHosts is how many hosts one list may name.
const mostHosts = 1 << 16

// A Choice is on which nodes a job is to run.
type Choice struct {
	Nodes []string // as the server calls them
	Other []string // hosts that are no nodes, as they were written
	Down  []Node   // of those that were asked for, nodes that take no tasks
}

// Choose finds the nodes that the list with names among those that there are,
// but for those that the list without names. An empty with is every node that
// runs tasks and is up.
func Choose(nodes []Node, with, without string) (c Choice, err error) {
	not, err := expand("-x", without)
	if err != nil {
		return c, err
	}
	excluded := func(n Node) bool { return slices.ContainsFunc(not, n.Is) }
	if with == "" {
		for _, n := range nodes {
			if n.Runs && n.Up() && !excluded(n) {
				c.Nodes = append(c.Nodes, n.Name)
			}
		}
		return c, nil
	}
	hosts, err := expand("-w", with)
	if err != nil {
		return c, err
	}
	// A list may be as long as that of the nodes: neither is walked for each
	// of the other.
	named, last := map[string]int{}, map[string][]int{}
	for i, n := range nodes {
		named[n.Name] = i
		last[path.Base(n.Name)] = append(last[path.Base(n.Name)], i)
	}
	seen := map[string]bool{}
	for _, host := range hosts {
		i, is := named[host]
		if alike := last[host]; !is && len(alike) > 0 {
			if len(alike) > 1 {
				return c, fmt.Errorf("-w %s: %d nodes are called so: say which, as %s", host, len(alike), nodes[alike[0]].Name)
			}
			i, is = alike[0], true
		}
		name := host
		if is {
			name = nodes[i].Name
		}
		switch {
		case seen[name] || slices.Contains(not, host):
		case !is:
			c.Other = append(c.Other, host)
		case excluded(nodes[i]):
		case !nodes[i].Up():
			c.Down = append(c.Down, nodes[i])
		default:
			c.Nodes = append(c.Nodes, name)
		}
		seen[name] = true
	}
	return c, nil
}

// CheckHosts finds what is wrong with lists of hosts.
func CheckHosts(with, without string) error {
	_, err := expand("-w", with)
	_, xerr := expand("-x", without)
	return errors.Join(err, xerr)
}

func expand(flag, list string) ([]string, error) {
	if list == "" {
		return nil, nil
	}
	hosts, err := hostlist.Expand(list, mostHosts)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", flag, list, err)
	}
	return hosts, nil
}

// cutLast cuts s at the last sep.
func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return "", s, false
}

// nodesCtl is the file by which nodes are asked to come and go.
const nodesCtl = Dir + "/ctl"

// NodesCtl asks the server to do something about its nodes. What it has against
// it is the error.
func NodesCtl(ctx context.Context, srv *server.Server, words ...string) error {
	return server.Said(noRemote(srv, srv.WriteFile(ctx, nodesCtl, []byte(server.Line(words...)))))
}

// callsAtOnce is how many hosts are called at a time, as pdsh(1) has it.
const callsAtOnce = 32

// A Borrowed is a host that is a node for the time of a job.
type Borrowed struct {
	Host string
	Err  error // it could not be reached
}

// Borrow has the server reach hosts over ssh, where hubfs is started for us, and
// makes them its nodes, until the session is released. The result is in the order
// of the hosts.
func (j *Job) Borrow(ctx context.Context, hosts []string) []Borrowed {
	got := make([]Borrowed, len(hosts))
	each(len(hosts), func(i int) {
		_, name, _ := cutLast(hosts[i], "@") // a user is no part of the name
		addr := "ssh://" + hosts[i]
		// Through an open for each, for what is written through one takes turns.
		err := j.WriteFile(ctx, "ctl", []byte(server.Line("borrow", addr, name)))
		got[i] = Borrowed{name, reason(err, "add "+addr+": ", addr+": ")}
	})
	return got
}

// reason is what a server has against something, without the words before it that
// say what that was.
func reason(err error, known ...string) error {
	var e *client.Error
	if !errors.As(err, &e) || server.Lost(err) {
		return err
	}
	text := e.Text
	for _, k := range known {
		text = strings.TrimPrefix(text, k)
	}
	return &server.Error{Text: text, Err: err}
}

// each calls do for 0 to n-1, several at a time, and waits for all.
func each(n int, do func(int)) {
	var work sync.WaitGroup
	turn := make(chan struct{}, callsAtOnce)
	for i := range n {
		turn <- struct{}{}
		work.Go(func() {
			defer func() { <-turn }()
			do(i)
		})
	}
	work.Wait()
}

// NodeError makes err, which came of asking for something about a node, say that
// there is none of the name if that is what it means.
func NodeError(ctx context.Context, srv *server.Server, name string, err error) error {
	nodes, nerr := Nodes(ctx, srv)
	if nerr != nil || slices.ContainsFunc(nodes, func(n Node) bool { return n.Name == name }) {
		return err
	}
	var names []string
	for _, n := range nodes {
		names = append(names, n.Name)
	}
	return server.Missing("node", name, srv.Addr.String(), names, "hub nodes", err)
}
