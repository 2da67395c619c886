package session

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"hubfs/hostlist"
	"hubfs/internal/lex"
	"hubfs/taskfs/cluster"
	"hubfs/taskfs/gang"
	"hubfs/taskfs/gather"
	"hubfs/tree"
)

// resUsage is the arguments of res, as parseWant reads them.
const resUsage = "N [OS [ARCH]] [remote] [mem=SIZE] [label=L]... [nodes=LIST|nodes=*] [min=M] [policy=even|fill|legacy]"

// maxNodes is how many names nodes= may hold.
const maxNodes = 1 << 16

// parseWant reads the arguments of res.
func parseWant(args []string) (w gang.Want, anywhere bool, err error) {
	bad := func(format string, v ...any) (gang.Want, bool, error) {
		return gang.Want{}, false, lex.Malformed(format, v...)
	}
	n, err := strconv.Atoi(args[0])
	switch {
	case err != nil:
		return bad("%q is not a number of tasks", lex.Clip(args[0]))
	case n < 0:
		return w, false, fmt.Errorf("res %d: %w", n, tree.ErrPermission) // as it has always been
	case n > gang.MaxTasks:
		return bad("%d is more than %d tasks", n, gang.MaxTasks)
	}
	w.N = n
	place := 0 // of what has no key: os, then arch
	for _, arg := range args[1:] {
		key, val, keyed := strings.Cut(arg, "=")
		if keyed && val == "" {
			return bad("%s has no value", lex.Clip(arg))
		}
		switch {
		case !keyed && arg == "remote":
			w.Remote = true
		case !keyed && place == 0:
			w.OS, place = wild(arg), 1
		case !keyed && place == 1:
			w.Arch, place = wild(arg), 2
		case !keyed:
			return bad("%q comes after the processor", lex.Clip(arg))
		case key == "mem":
			if w.Memory, err = parseSize(val); err != nil {
				return bad("%v", err)
			}
		case key == "label":
			w.Labels = append(w.Labels, val)
		case key == "nodes" && val == "*":
			anywhere = true
		case key == "nodes":
			names, err := hostlist.Expand(val, maxNodes)
			if err != nil {
				return bad("%v", err)
			}
			w.Nodes = append(w.Nodes, names...)
		case key == "min":
			if w.Min, err = strconv.Atoi(val); err != nil || w.Min < 1 || w.Min > n {
				return bad("min=%s is not a number from 1 to the %d tasks", lex.Clip(val), n)
			}
		case key == "policy":
			if !slices.Contains([]string{"even", "fill", "legacy"}, val) {
				return bad("policy %q", lex.Clip(val))
			}
			w.Policy = val
		default:
			return bad("unknown option %q", lex.Clip(key))
		}
	}
	if w.N == 0 && len(args) > 1 {
		return bad("res 0 is one task on this very node, and takes no conditions")
	}
	if anywhere && len(w.Nodes) > 0 || (anywhere || len(w.Nodes) > 0) && w.Min > 0 {
		return bad("nodes=* , nodes=LIST and min= do not go together")
	}
	return w, anywhere, nil
}

// wild is a name, or "" for one that means any.
func wild(name string) string {
	if name == "*" {
		return ""
	}
	return name
}

// parseSize reads a number of bytes, as 512m or 4G.
func parseSize(text string) (int64, error) {
	digits, shift := strings.ToLower(text), 0
	for i, unit := range []string{"k", "m", "g", "t"} {
		if d, ok := strings.CutSuffix(strings.TrimSuffix(digits, "b"), unit); ok {
			digits, shift = d, 10*(i+1)
			break
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 1 || n > (1<<62)>>shift {
		return 0, fmt.Errorf("%q is not a size, as 512m or 4g", lex.Clip(text))
	}
	return n << shift, nil
}

// Reserve is the word res.
func (s *Session) Reserve(args []string) error {
	w, anywhere, err := parseWant(args)
	if err != nil {
		return err
	}
	if err := s.begin("res"); err != nil {
		return err
	}
	defer s.end()
	s.mu.Lock()
	has, strict := s.gang != nil, s.strict
	s.mu.Unlock()
	if has {
		return gang.ErrInUse
	}
	if anywhere {
		if w.Nodes, err = s.everyNode(w); err != nil {
			return err
		}
	}
	w.Remote = w.Remote || strict && w.N > 0
	return s.reserve(w)
}

// everyNode are the names of all nodes that run tasks and are as w wants them.
func (s *Session) everyNode(w gang.Want) ([]string, error) {
	var names []string
	for i, r := range s.cfg.Nodes(s.ctx) {
		switch {
		case !r.Leaf && !r.Executor, r.State != cluster.Up && r.State != "", i == 0 && w.Remote:
		case !gang.SameOS(w.OS, r.OS), !gang.SameArch(w.Arch, r.Arch), r.Memory < w.Memory:
		case slices.ContainsFunc(w.Labels, func(l string) bool { return !slices.Contains(r.Labels, l) }):
		default:
			names = append(names, r.Name)
		}
	}
	if len(names) == 0 {
		return nil, gang.ErrNoMatch
	}
	return names, nil
}

// reserve reserves, for who has begun.
func (s *Session) reserve(w gang.Want) error {
	w.Number, w.Session = s.cfg.Number, s.cfg.Name
	a := above{s, make(chan struct{})}
	defer close(a.known)
	g, err := s.cfg.Reserve(s.ctx, w, a)
	if err != nil {
		return s.orReleased(err)
	}
	s.noteNodes(g)
	store := gather.NewStore(gather.Options{
		Tasks: g.Size(), Label: s.labelOf,
		Merged: s.cfg.Stdout, Errors: s.cfg.Stderr, Labelled: s.cfg.Labelled,
	})
	s.mu.Lock()
	s.gang, s.store, s.size, s.tasks = g, store, g.Size(), make([]taskState, g.Size())
	s.mu.Unlock()
	s.relabel()
	s.feed.size(g.Size())
	s.say("reserved", strconv.Itoa(g.Size()))
	return nil
}

// orReleased is err, or that the session was released while somebody waited.
func (s *Session) orReleased(err error) error {
	if context.Cause(s.ctx) != nil {
		return gang.ErrReleased
	}
	return err
}

// labelOf is what stands before a line of a task.
func (s *Session) labelOf(rank int) string {
	if labels := s.labels.Load(); labels != nil && rank < len(*labels) {
		return (*labels)[rank]
	}
	return ""
}

// relabel makes the labels anew, of the form and the nodes that there are now.
func (s *Session) relabel() {
	s.mu.Lock()
	form, size := s.label, s.size
	s.mu.Unlock()
	labels := make([]string, size)
	for r := range labels {
		labels[r] = strings.NewReplacer("%h", s.nodeOf(r), "%n", strconv.Itoa(r), "%%", "%").Replace(form) + ": "
	}
	s.labels.Store(&labels)
}
