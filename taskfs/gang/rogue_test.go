package gang

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hubfs/taskfs/cluster"
	"hubfs/taskfs/frame"
	"hubfs/taskfs/ranks"
)

// A rogue is a node below that says what a test has it say.
type rogue struct {
	does func(p *cluster.Parent, f frame.Frame) // in place of what a node does
}

func (r *rogue) Joined(*cluster.Child)                 {}
func (r *rogue) FromBelow(*cluster.Child, frame.Frame) {}
func (r *rogue) Lost(*cluster.Child)                   {}
func (r *rogue) Fenced(*cluster.Child)                 {}
func (r *rogue) Heard(*cluster.Parent)                 {}
func (r *rogue) ParentLost(*cluster.Parent)            {}
func (r *rogue) FromAbove(p *cluster.Parent, f frame.Frame) {
	if f.Kind == frame.Offer {
		say(p, f, frame.Offered, body(offered{Slots: 2, Free: 2, Nodes: 1}))
		return
	}
	r.does(p, f)
}

// say answers a frame.
func say(p *cluster.Parent, f frame.Frame, k frame.Kind, b []byte) {
	_ = p.Send(context.Background(), frame.Frame{Kind: k, Session: f.Session, Body: b})
}

// reserved is the answer to Reserve of a node that has the tasks in one session.
func reservedBody(n int, node string) []byte {
	p := place{Node: "", Number: 0, Ranks: ranks.Span(0, n)}
	for r := range n {
		p.Parts = append(p.Parts, place{Node: node, Number: r, Ranks: ranks.Span(r, r+1)})
	}
	return split(body(p))[0]
}

// rogue has a node below top that does so.
func (f *forest) rogue(top *testNode, does func(p *cluster.Parent, f frame.Frame)) {
	n := cluster.New(cluster.Options{
		Info:    cluster.Info{Name: "rogue", OS: "linux", Arch: "amd64", Slots: 2, Memory: 1 << 30},
		Handler: &rogue{does: does},
	})
	l := newTestLink()
	f.mu.Lock()
	f.links++
	f.mu.Unlock()
	f.wg.Go(func() { top.Cluster().Below(context.Background(), l.up(), "") }) // until the link ends
	f.wg.Go(func() { n.Above(context.Background(), l.low()) })                // until the link ends
	f.joined()
}

// TestANodeThatGivesUpASession: what it had of it runs no more, as it says, and may
// run elsewhere. Nobody waits for it.
func TestANodeThatGivesUpASession(t *testing.T) {
	planted(t, func(t *testing.T, f *forest) {
		top := f.node("top", 0)
		f.rogue(top, func(p *cluster.Parent, fr frame.Frame) {
			switch fr.Kind {
			case frame.Reserve:
				say(p, fr, frame.Reserved, reservedBody(2, ""))
			case frame.Exec:
				say(p, fr, frame.Started, []byte("0-1"))
				say(p, fr, frame.Exited, body([]ending{{Exits: []exit{{Rank: 1, PID: 7, Status: "exit 0"}}}}))
				say(p, fr, frame.Released, nil)
			}
		})
		rec := newRecord()
		g := reserve(t, top.Node, Want{N: 2, Number: top.Number()}, rec)
		exec(t, g, "true")
		rec.until(t, "task 0 is fenced", func() bool { return rec.state[0] == "fenced" })
		rec.ended(t, 1)
		release(t, g)
		rec.check(t)
	})
}

// TestANodeThatTakesBackWhatItReserved still has to say that it has ended it.
func TestANodeThatTakesBackWhatItReserved(t *testing.T) {
	planted(t, func(t *testing.T, f *forest) {
		top := f.node("top", 0)
		f.rogue(top, func(p *cluster.Parent, fr frame.Frame) {
			switch fr.Kind {
			case frame.Reserve:
				say(p, fr, frame.Reserved, reservedBody(2, ""))
				say(p, fr, frame.Failed, failedBody(ErrInsufficient))
			case frame.Release:
				time.AfterFunc(time.Second, func() { say(p, fr, frame.Released, nil) })
			}
		})
		g := reserve(t, top.Node, Want{N: 2, Number: top.Number()}, newRecord())
		synctest.Wait()
		release(t, g)
	})
}

// TestNamesOfNodesFarBelow are names: nobody writes to a terminal by what a node is
// called.
func TestNamesOfNodesFarBelow(t *testing.T) {
	for _, name := range []string{"\x1b[2J", "a b", "..", "a/../b", "/a", "a\n", strings.Repeat("x", 300)} {
		var p place
		if err := json.Unmarshal(reservedBody(2, name)[1:], &p); err != nil {
			t.Fatal(err)
		}
		if err := p.check(2); err == nil {
			t.Errorf("tasks are at node %q", name)
		}
		if err := (&ending{Node: name}).check(); err == nil {
			t.Errorf("tasks have ended at node %q", name)
		}
	}
	for _, name := range []string{"", "leaf", "inner/leaf3"} {
		if err := (&ending{Node: name}).check(); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}
