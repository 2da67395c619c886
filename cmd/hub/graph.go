package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"hubfs/cmd/hub/internal/server"
	"hubfs/internal/graph"
)

// rateTime is how long hub ls --graph looks, to see how fast hubs are.
const rateTime = 250 * time.Millisecond

// graph prints what is there on the server as a drawing for dot(1).
func (a *app) graph(ctx context.Context) error {
	before, err := a.status(ctx)
	if err != nil || len(before.Hubs) == 0 {
		if err == nil {
			err = writeGraph(a.stdout, before, nil)
		}
		return err
	}
	began := time.Now()
	select {
	case <-time.After(rateTime):
	case <-ctx.Done():
		return ctx.Err()
	}
	st, err := a.status(ctx)
	if err != nil {
		return err
	}
	return writeGraph(a.stdout, st, rates(before, st, time.Since(began)))
}

// rates returns how many bytes a second hubs got between two looks.
func rates(before, now server.Status, between time.Duration) map[string]float64 {
	next := map[string]int64{}
	for _, h := range before.Hubs {
		next[h.Name] = h.Next
	}
	rates := map[string]float64{}
	for _, h := range now.Hubs {
		if n, ok := next[h.Name]; ok && h.Next >= n { // else another has the name now
			rates[h.Name] = float64(h.Next-n) / between.Seconds()
		}
	}
	return rates
}

// An arrow of the drawing leads from one node to another. Nodes are known by
// what they are and their names: "hub a", "shell a".
type arrow struct {
	graph.Edge[string]
	label string
}

// loopColors are those of loops that do not hang together, in turn.
var loopColors = []string{"red3", "blue3", "darkorange2", "green4", "purple3", "deeppink3"}

// writeGraph draws hubs, with their rates, shells and pipes.
func writeGraph(w io.Writer, st server.Status, rates map[string]float64) error {
	arrows := arrowsOf(st)
	edges := make([]graph.Edge[string], len(arrows))
	touched := map[string]bool{}
	for i, e := range arrows {
		edges[i] = e.Edge
		touched[e.From], touched[e.To] = true, true
	}
	knots := graph.Knots(edges)

	b := bufio.NewWriter(w)
	fmt.Fprintln(b, "digraph hubs {\n\trankdir=LR;")
	for _, sh := range st.Shells {
		node(b, "shell "+sh.Name, "shape=box", sh.Name, sh.State, shorten(sh.Command))
	}
	idle := idleErrors(st)
	for _, h := range st.Hubs {
		if idle[h.Name] && !touched["hub "+h.Name] {
			continue
		}
		size := amount(h.Next - h.First)
		switch {
		case h.Ended():
			size += ", " + hubState(h)
		case rates != nil:
			size += fmt.Sprintf(", %s/s", amount(int64(rates[h.Name])))
		}
		node(b, "hub "+h.Name, "shape=ellipse", shorten(h.Name), size)
	}
	for i, e := range arrows {
		var style string
		if k := knots[i]; k >= 0 {
			c := loopColors[k%len(loopColors)]
			style = fmt.Sprintf(" color=%s fontcolor=%s penwidth=2", c, c)
		}
		fmt.Fprintf(b, "\t%s -> %s [label=%s%s];\n", dotID(e.From), dotID(e.To), e.label, style)
	}
	fmt.Fprintln(b, "}")
	return b.Flush()
}

// arrowsOf returns the ways from node to node.
func arrowsOf(st server.Status) (arrows []arrow) {
	add := func(from, to string, label ...string) {
		arrows = append(arrows, arrow{graph.Edge[string]{From: from, To: to}, dotLabel(label...)})
	}
	for _, sh := range st.Shells {
		if !sh.Running() {
			continue
		}
		add("hub "+sh.Name+"0", "shell "+sh.Name, "stdin")
		add("shell "+sh.Name, "hub "+sh.Name+"1", "stdout")
		if sh.Rows == 0 {
			add("shell "+sh.Name, "hub "+sh.Name+"2", "stderr")
		}
	}
	for _, p := range st.Pipes {
		if p.Ended() {
			continue
		}
		label := []string{fmt.Sprintf("%d: %s", p.ID, shorten(p.Command))}
		if p.Command == "" {
			label[0] = fmt.Sprint(p.ID)
		}
		if g := p.Gain(); !math.IsNaN(g) {
			label = append(label, fmt.Sprintf("gain %.3g", g))
		}
		add("hub "+p.From, "hub "+p.To, label...)
	}
	return arrows
}

// idleErrors are the error hubs of shells on a terminal, which nobody writes.
func idleErrors(st server.Status) map[string]bool {
	idle := map[string]bool{}
	for _, sh := range st.Shells {
		if sh.Rows > 0 {
			idle[sh.Name+"2"] = true
		}
	}
	return idle
}

// node writes a node and its label of several lines; empty ones are left out.
func node(w io.Writer, id, style string, lines ...string) {
	fmt.Fprintf(w, "\t%s [%s label=%s];\n", dotID(id), style, dotLabel(lines...))
}

// dotID quotes a name for dot, whatever is in it.
func dotID(s string) string { return `"` + dotEscape(s) + `"` }

// dotLabel quotes lines of text for dot, which would make characters of &...;
// in a label.
func dotLabel(lines ...string) string {
	var text []string
	for _, l := range lines {
		if l != "" {
			text = append(text, strings.ReplaceAll(dotEscape(l), "&", "&amp;"))
		}
	}
	return `"` + strings.Join(text, `\n`) + `"`
}

func dotEscape(s string) string {
	s = printable(strings.ToValidUTF8(s, "\uFFFD"))
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s)
}

// shorten cuts a text for a label.
func shorten(s string) string {
	const most = 40
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most-1]) + "…"
}
