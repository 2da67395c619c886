package gang

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"hubfs/taskfs/cluster"
	"hubfs/taskfs/ranks"
)

// What is wrong, in the words that taskfs has always had. What was asked and what
// there is follows in the error's text.
const (
	ErrNoRemote     = text("No remote resources available")
	ErrNoMatch      = text("No resources matching request")
	ErrInUse        = text("Resources already in use")
	ErrReleased     = text("Resources already released")
	ErrInsufficient = text("insufficient resources") // as gangfs
	ErrNotStarted   = text("not started")
)

// A text is an error of the protocol.
type text string

func (t text) Error() string { return string(t) }

// MaxTasks is how many tasks a session may have.
const MaxTasks = 1 << 20

// A Want says what to reserve.
type Want struct {
	N        int    // tasks; 0: one on this very node
	Min      int    // as many as there are free slots will do, but not fewer; 0: N
	OS, Arch string // "": any
	Memory   int64  // bytes that the node has at least
	Labels   []string
	Nodes    []string // names of nodes, N on each in this order; empty: any
	Policy   string   // "even" ("" too), "fill", "legacy"
	Remote   bool     // not on this node
	Local    bool     // only on this node

	// Number is the session's at this node, from Node.Number. Session is what
	// the session is called where people look for it; it may be "".
	Number  int
	Session string
}

// A request is what a Want becomes on its way down.
type request struct {
	N        int
	OS, Arch string   `json:",omitempty"`
	Memory   int64    `json:",omitempty"`
	Labels   []string `json:",omitempty"`
	Policy   string   `json:",omitempty"`
	Strict   bool     `json:",omitempty"` // no more than there are free slots

	// Names is the node of each task, as the one who is asked knows it; "." is
	// he himself, "" is somebody else. Empty: any.
	Names []string `json:",omitempty"`

	// What tasks are told of where they are.
	World   ranks.Set // the numbers of the ranks in the whole session
	Total   int       `json:",omitempty"` // tasks of the whole session
	Path    string    `json:",omitempty"` // of the node that is asked
	Session string    `json:",omitempty"` // for people

	// Of a request by this node's own user.
	own           bool
	remote, local bool
	min           int
	here          bool // res 0
	number        int
}

// request checks w.
func (w Want) request(node string) (request, error) {
	r := request{
		N: w.N, OS: w.OS, Arch: w.Arch, Memory: w.Memory, Labels: w.Labels, Policy: w.Policy,
		own: true, remote: w.Remote, local: w.Local, min: w.Min, number: w.Number, Session: w.Session,
	}
	each := max(w.N, 1)
	switch {
	case w.N < 0 || w.N > MaxTasks || len(w.Nodes) > MaxTasks/each:
		return r, fmt.Errorf("res %d: between 0 and %d tasks were expected", w.N, MaxTasks)
	case w.Min < 0 || w.Min > w.N:
		return r, fmt.Errorf("min=%d: no more than the %d tasks were expected", w.Min, w.N)
	case w.Min > 0 && len(w.Nodes) > 0:
		return r, errors.New("min= and names of nodes do not go together")
	case w.Remote && w.Local:
		return r, errors.New("tasks are on this node or they are not, not both")
	case w.Policy != "" && !slices.Contains([]string{"even", "fill", "legacy"}, w.Policy):
		return r, fmt.Errorf("policy %q: even, fill or legacy was expected", w.Policy)
	case w.Memory < 0:
		return r, errors.New("mem: a number of bytes was expected")
	}
	for _, name := range w.Nodes {
		if name == "" || strings.HasPrefix(name, "/") || strings.HasSuffix(name, "/") {
			return r, fmt.Errorf("node %q: a name or a path, as inner/leaf3, was expected", name)
		}
		if name == node {
			name = "."
		}
		for range each {
			r.Names = append(r.Names, name)
		}
	}
	if len(r.Names) > 0 {
		r.N = len(r.Names)
	} else if w.N == 0 {
		r.N, r.here, r.local = 1, true, true
	}
	r.World, r.Total = ranks.Span(0, r.N), r.N
	return r, nil
}

// check refuses what no node above asks for.
func (r *request) check() error {
	switch {
	case r.N < 1 || r.N > MaxTasks:
		return fmt.Errorf("%d tasks were asked for", r.N)
	case len(r.Names) > 0 && len(r.Names) != r.N:
		return fmt.Errorf("%d names were given for %d tasks", len(r.Names), r.N)
	case r.World.Len() != r.N || r.World.Max() >= r.Total || r.Total > MaxTasks:
		return fmt.Errorf("the %d tasks are the ranks %.40q of %d", r.N, r.World.String(), r.Total)
	}
	return nil
}

// matches reports whether a machine has what r asks for.
func (r *request) matches(i cluster.Info) bool {
	if !SameOS(r.OS, i.OS) || !SameArch(r.Arch, i.Arch) || i.Memory < r.Memory {
		return false
	}
	for _, l := range r.Labels {
		if !slices.Contains(i.Labels, l) {
			return false
		}
	}
	return true
}

// constrained reports whether r asks for more than a number.
func (r *request) constrained() bool {
	return r.OS != "" && r.OS != "*" || r.Arch != "" && r.Arch != "*" || r.Memory > 0 || len(r.Labels) > 0 || len(r.Names) > 0
}

// constraint says what r asks for besides a number.
func (r *request) constraint() string {
	var f []string
	if r.OS != "" || r.Arch != "" {
		f = append(f, strings.TrimSpace(r.OS+" "+r.Arch))
	}
	if r.Memory > 0 {
		f = append(f, fmt.Sprintf("mem=%d", r.Memory))
	}
	for _, l := range r.Labels {
		f = append(f, "label="+l)
	}
	return strings.Join(f, " ")
}

// below returns r as it is put to a child: the names are those that it knows.
// taken are the children's names; a name that is a child's means that child.
func (r *request) below(child string, taken map[string]bool) *request {
	d := *r
	d.own, d.remote, d.local, d.min, d.here, d.number = false, false, false, 0, false, 0
	if len(r.Names) == 0 {
		return &d
	}
	d.Names = make([]string, len(r.Names))
	for i, name := range r.Names {
		first, rest, deeper := strings.Cut(name, "/")
		switch {
		case name == "" || name == ".":
		case first == child && !deeper:
			d.Names[i] = "."
		case first == child:
			d.Names[i] = rest
		case !taken[first]:
			d.Names[i] = name // a bare name may be anywhere below
		}
	}
	return &d
}

// part returns r for those of its tasks that somebody takes.
func (r *request) part(set ranks.Set) *request {
	d := *r
	d.N = set.Len()
	d.World = r.World.At(set)
	if len(r.Names) > 0 {
		d.Names = make([]string, 0, d.N)
		for i := range set.All() {
			d.Names = append(d.Names, r.Names[i])
		}
	}
	return &d
}
