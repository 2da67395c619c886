package hubfs

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"hubfs/hub"
	"hubfs/internal/graph"

	"hubfs/internal/lex"
)

// A Flow counts what has gone into a way from hub to hub and what has come out
// of it. A way is a pipe, or a shell from its input to an output.
type Flow struct {
	Name  string // of a pipe its number, else "shell:" and the shell's
	In    int64
	Out   int64
	Plain bool // what goes in comes out
}

// gain is how many bytes have come out for each that has gone in since prev,
// which is nil for the beginning. It is not a number if none has.
func (f Flow) gain(prev *Flow) float64 {
	if f.Plain {
		return 1
	}
	if prev != nil {
		f.In, f.Out = f.In-prev.In, f.Out-prev.Out
	}
	if f.In == 0 {
		return math.NaN()
	}
	return float64(f.Out) / float64(f.In)
}

// PipeStats are the counters of a pipe.
type PipeStats struct {
	Flow
	Lost int64 // bytes that it was overtaken by
}

// A Loop is a way that comes back to where it begins, and meets no hub twice.
type Loop []Flow

// gain is the product of the gains.
func (l Loop) gain(prev map[string]Flow) float64 {
	g := 1.0
	for _, f := range l {
		g *= f.gain(lookUp(prev, f.Name))
	}
	return g
}

func lookUp(flows map[string]Flow, name string) *Flow {
	if f, ok := flows[name]; ok {
		return &f
	}
	return nil
}

// maxLoops is how many loops are told of.
const maxLoops = 100

// A way is a Flow and where it leads.
type way struct {
	PipeStats
	from, to *hubFile
	counts   func() (in, out, lost int64) // of a pipe; nil: it is a shell
}

// waysLocked returns the pipes and shells that run, pipes first.
func (fs *FS) waysLocked() (ways []way) {
	for _, p := range fs.pipes {
		if p.state == pipeEnded {
			continue
		}
		w := way{from: p.from, to: p.to, counts: p.countsLocked()}
		w.Name, w.Plain = strconv.Itoa(p.id), p.argv == nil
		ways = append(ways, w)
	}
	var names []string
	for name, s := range fs.byName {
		if s.state == running {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		s := fs.byName[name]
		for _, out := range []*hubFile{s.stdout, s.stderr} {
			w := way{from: s.stdin, to: out}
			w.Name = "shell:" + out.name
			ways = append(ways, w)
		}
	}
	return ways
}

// countWays makes what /stats tells of ways. hubs are the counters of all hubs.
func (s *Stats) countWays(ways []way, hubs map[*hubFile]hub.Status) {
	edges := make([]graph.Edge[*hubFile], len(ways))
	for i := range ways {
		w := &ways[i]
		edges[i] = graph.Edge[*hubFile]{From: w.from, To: w.to}
		if w.counts != nil {
			w.In, w.Out, w.Lost = w.counts()
			s.Pipes = append(s.Pipes, w.PipeStats)
		} else {
			w.In, w.Out = hubs[w.from].Next, hubs[w.to].Next
		}
	}
	loops, more := graph.Loops(edges, maxLoops)
	s.MoreLoops = more
	for _, edges := range loops {
		loop := make(Loop, len(edges))
		for i, e := range edges {
			loop[i] = ways[e].Flow
		}
		s.Loops = append(s.Loops, loop)
	}
}

// flows returns the flows by name.
func (s *Stats) flows() map[string]Flow {
	flows := map[string]Flow{}
	for _, p := range s.Pipes {
		flows[p.Name] = p.Flow
	}
	for _, l := range s.Loops {
		for _, f := range l {
			flows[f.Name] = f
		}
	}
	return flows
}

// writeWays writes the lines of pipes and loops. prev are the counters at the
// last block; nil: there was none.
func (s *Stats) writeWays(b *strings.Builder, prev *Stats) {
	var before map[string]Flow
	if prev != nil {
		before = prev.flows()
	}
	for _, p := range s.Pipes {
		fmt.Fprintf(b, "pipe %s %d %d %d %s %s\n", p.Name, p.In, p.Out, p.Lost,
			ratio(p.gain(nil)), ratio(p.gain(lookUp(before, p.Name))))
	}
	for _, l := range s.Loops {
		names := make([]string, len(l))
		for i, f := range l {
			names[i] = lex.Field(f.Name)
		}
		fmt.Fprintf(b, "loop %s %s %s\n", ratio(l.gain(nil)), ratio(l.gain(before)), strings.Join(names, " "))
	}
	if s.MoreLoops {
		fmt.Fprintf(b, "loops more than %d\n", maxLoops)
	}
}

// ratio writes a gain.
func ratio(g float64) string {
	if math.IsNaN(g) || math.IsInf(g, 0) {
		return "-"
	}
	return strconv.FormatFloat(g, 'g', 4, 64)
}
