package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"hubfs/client"
	"hubfs/cmd/hub/internal/job"
	"hubfs/cmd/hub/internal/server"
	"hubfs/hostlist"
)

// reserve makes the job and reserves its tasks. It returns how many there are;
// 0: that is to be asked.
func (r *launch) reserve(ctx context.Context) (tasks int, err error) {
	if r.job, err = job.Clone(ctx, r.srv); err != nil {
		return 0, err
	}
	words, tasks, err := r.wanted(ctx)
	if err != nil {
		return 0, err
	}
	if err := r.job.Ctl(ctx, words...); err != nil {
		return 0, reserveError(err)
	}
	return tasks, nil
}

// wanted is the word of control that reserves what the flags say, and how many
// tasks that is. Hosts that are no nodes are made such, for as long as the session is.
func (r *launch) wanted(ctx context.Context) (words []string, tasks int, err error) {
	o := &r.o
	each := max(o.tasks, 1)
	var nodes string
	switch {
	case o.with != "" || o.without != "":
		names, err := r.hosts(ctx)
		if err != nil {
			return nil, 0, err
		}
		nodes = hostlist.Fold(names)
		if o.with != "" || o.tasks < 0 {
			tasks = each * len(names)
		}
	case o.tasks < 0:
		nodes = "*"
	default:
		tasks = each
	}
	words = []string{"res", strconv.Itoa(each)}
	if o.tasks == 0 {
		words[1] = "0"
	}
	if o.os != "" {
		words = append(words, o.os)
	}
	if o.arch != "" {
		words = append(words, o.arch)
	}
	add := func(key, value string) {
		if value != "" {
			words = append(words, key+"="+value)
		}
	}
	add("nodes", nodes)
	add("mem", o.mem)
	for _, l := range o.labels {
		add("label", l)
	}
	add("policy", o.policy)
	if o.min > 0 && nodes == "" {
		add("min", strconv.Itoa(o.min))
		tasks = 0
	}
	return words, tasks, nil
}

// hosts are the nodes of -w and -x. Those that are none yet are borrowed.
func (r *launch) hosts(ctx context.Context) ([]string, error) {
	nodes, err := job.Nodes(ctx, r.srv)
	if err != nil {
		return nil, err
	}
	c, err := job.Choose(nodes, r.o.with, r.o.without)
	if err != nil {
		return nil, err
	}
	down := 0
	for _, n := range c.Down {
		down++
		r.say("node %s takes no tasks: it is %s", n.Name, n.State)
	}
	if len(c.Other) > 0 && down > 0 && r.o.min == 0 {
		c.Other = nil // it is in vain to call them
	}
	for _, b := range r.job.Borrow(ctx, c.Other) {
		if b.Err != nil {
			down++
			if ctx.Err() == nil {
				r.say("host %s cannot be reached: %v", b.Host, b.Err)
			}
			continue
		}
		c.Nodes = append(c.Nodes, b.Host)
	}
	switch enough := r.o.min > 0 && len(c.Nodes)*max(r.o.tasks, 1) >= r.o.min; {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case len(c.Nodes) == 0 && down == 0:
		return nil, &server.Error{Text: "no node is left to run on", Hint: "hub nodes shows what there is"}
	case down > 0 && !enough:
		return nil, &server.Error{
			Text: fmt.Sprintf("%d of %d hosts cannot be used, so nothing was run", down, down+len(c.Nodes)),
			Hint: "--min M goes on with M tasks or more, -x HOSTS without those hosts",
		}
	}
	return c.Nodes, nil
}

// reserveError says what to do about tasks that cannot be reserved.
func reserveError(err error) error {
	var e *client.Error
	if !errors.As(err, &e) || server.Lost(err) {
		return err
	}
	hint := ""
	switch {
	case strings.Contains(e.Text, "insufficient"):
		hint = "--min M makes do with fewer tasks; hub nodes shows what is free"
	case strings.Contains(strings.ToLower(e.Text), "resources"):
		hint = "hub nodes shows what there is"
	}
	return &server.Error{Text: e.Text, Hint: hint, Err: err}
}

func (r *launch) say(format string, arg ...any) {
	fmt.Fprintf(r.app.stderr, "hub: %s\n", printableLines(fmt.Sprintf(format, arg...)))
}

// prepare tells the job all that it is to know before its tasks start.
func (r *launch) prepare(ctx context.Context, input bool) error {
	o, j := &r.o, r.job
	if len(o.env) > 0 {
		var env strings.Builder
		for _, kv := range o.env {
			env.WriteString(server.Line(kv))
		}
		if err := j.WriteFile(ctx, "env", []byte(env.String())); err != nil {
			return fmt.Errorf("-e: %w", err)
		}
	}
	if err := j.Push(ctx, o.push); err != nil {
		return err
	}
	words := [][]string{}
	add := func(w ...string) { words = append(words, w) }
	if o.dir != "" {
		dir := o.dir
		if r.srv.Addr.Network == "unix" { // where we are, its nodes perhaps are too
			var err error
			if dir, err = filepath.Abs(dir); err != nil {
				return err
			}
		}
		add("dir", dir)
	}
	switch form := recordWords(o.records); {
	case o.enum:
		add(append([]string{"enum"}, form...)...)
	case o.pull != "":
		add(append([]string{"pull"}, form...)...)
	}
	if !input && !(o.detach && !o.noInput) {
		add("close", "stdin")
	}
	deadline := []string{"deadline"}
	for _, d := range []struct {
		key string
		d   time.Duration
	}{{"run", o.run}, {"idle", o.idle}, {"total", o.all}} {
		if d.d > 0 {
			deadline = append(deadline, d.key+"="+d.d.String())
		}
	}
	if len(deadline) > 1 {
		add(deadline...)
	}
	if o.halt != "" {
		add("halt", o.halt)
	}
	if o.retry > 0 {
		add("retry", strconv.Itoa(o.retry))
	}
	if o.detach {
		add("persist")
	}
	for _, w := range words {
		if err := j.Ctl(ctx, w...); err != nil {
			return fmt.Errorf("%s: %w", strings.Join(w, " "), err)
		}
	}
	return nil
}

// recordWords is a form of records as the job's ctl knows it.
func recordWords(form string) []string {
	switch form {
	case "", "line":
		return nil
	case "nul":
		return []string{`sep=\0`}
	}
	return []string{form}
}
