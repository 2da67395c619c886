package cluster

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hubfs/taskfs/frame"
)

func names(rows []Row) string {
	var all []string
	for _, r := range rows {
		all = append(all, r.Name)
	}
	return strings.Join(all, " ")
}

func TestRowsOfATree(t *testing.T) {
	world(t, func(t *testing.T) {
		gpu := func(o *Options) { o.Info.Labels = []string{"gpu"}; o.Info.Memory = 1 << 30; o.Info.Executor = true }
		top, mid, low := start(t, "top"), start(t, "mid", gpu), start(t, "low")
		l1, l2, l3 := start(t, "l1"), start(t, "l2"), start(t, "l3")
		join(low, l1)
		join(low, l2)
		join(mid, low)
		join(top, mid)
		join(top, l3)
		time.Sleep(61 * time.Second)
		rows := top.Rows(t.Context())
		if got := names(rows); got != "top l3 mid mid/low mid/low/l1 mid/low/l2" {
			t.Fatalf("%s", got)
		}
		if r := rows[0]; r.Addr != "" || r.Leaf || r.State != Up || r.Epoch != 0 || r.Slots != 4 {
			t.Errorf("%+v", r)
		}
		if r := rows[2]; r.Leaf || !r.Executor || r.Memory != 1<<30 || r.Labels[0] != "gpu" || r.Addr != "pipe" || r.Epoch == 0 {
			t.Errorf("%+v", r)
		}
		if r := rows[4]; !r.Leaf || r.OS != "linux" || r.Arch != "amd64" || r.Age != time.Second {
			t.Errorf("%+v", r)
		}
	})
}

// TestRowsOfANodeThatDoesNotAnswer are what its last beat said, after a period, and
// the others are there.
func TestRowsOfANodeThatDoesNotAnswer(t *testing.T) {
	world(t, func(t *testing.T) {
		top, mid, low, leaf, other := start(t, "top"), start(t, "mid"), start(t, "low"), start(t, "leaf"), start(t, "other")
		join(mid, other)
		join(low, leaf)
		var s *stall
		joinBy(mid, low, func(q int) (frame.Link, frame.Link) {
			a, b := frame.Pipe(q)
			s = newStall(b)
			return a, s
		})
		join(top, mid)
		time.Sleep(61 * time.Second)
		s.stop()
		begun := time.Now()
		rows := top.Rows(t.Context())
		if got := names(rows); got != "top mid mid/low mid/other" {
			t.Errorf("%s", got)
		}
		if d := time.Since(begun); d >= 5*time.Second || d < 3*time.Second {
			t.Errorf("it took %v", d) // mid had less than a period, and has answered in time
		}
		s.goOn()
		synctest.Wait()
		if got := names(top.Rows(t.Context())); got != "top mid mid/low mid/low/leaf mid/other" {
			t.Errorf("%s", got)
		}
	})
}

// TestRowsOfTheLost are there, though nobody below a node lives.
func TestRowsOfTheLost(t *testing.T) {
	world(t, func(t *testing.T) {
		hand := newByHand()
		top, mid, leaf := start(t, "top"), startWith(t, hand, "mid"), start(t, "leaf")
		join(top, mid)
		j := join(mid, leaf)
		j.up.Close()
		<-hand.begun
		synctest.Wait()
		if rows := top.Rows(t.Context()); names(rows) != "top mid mid/leaf" || rows[1].Leaf || rows[2].State != Fencing {
			t.Errorf("%+v", rows)
		}
		hand.done <- nil
		synctest.Wait()
		if rows := top.Rows(t.Context()); names(rows) != "top mid mid/leaf" || !rows[1].Leaf || rows[2].State != Fenced {
			t.Errorf("%+v", rows)
		}
	})
}

// TestManyRows come in several frames.
func TestManyRows(t *testing.T) {
	world(t, func(t *testing.T) {
		const count = 3000
		top, mid := start(t, "top"), start(t, "mid")
		for i := range count {
			name := fmt.Sprintf("leaf%04d%s", i, strings.Repeat("é", 50))
			up, down := frame.Pipe(0)
			go mid.Below(context.Background(), up, "") // until the test ends
			rawChild{t, down}.hello(func(h *hello) { h.Info.Name = name; h.Info.Instance = fmt.Sprint(i) })
		}
		join(top, mid)
		rows := top.Rows(t.Context())
		if len(rows) != count+2 || !strings.HasPrefix(rows[count+1].Name, "mid/leaf2999") {
			t.Errorf("%d rows, the last %s", len(rows), rows[len(rows)-1].Name)
		}
	})
}

// TestTheNewsOfALoadGoUpAtOnce: who looks at the top need not wait for a beat at
// each node between.
func TestTheNewsOfALoadGoUpAtOnce(t *testing.T) {
	world(t, func(t *testing.T) {
		// Each node counts itself and those below it, as package gang does.
		counting := func(name string) *peer {
			var p *peer
			p = start(t, name, func(o *Options) {
				o.Load = func() Load {
					sum := 1
					for _, c := range p.Children() {
						if c.State() == Up && len(c.Load().Census) > 0 {
							sum += c.Load().Census[0].Nodes
						}
					}
					return Load{Census: []Count{{"linux", "amd64", sum}}}
				}
			})
			return p
		}
		top, mid, low, leaf := counting("top"), counting("mid"), counting("low"), counting("leaf")
		join(top, mid)
		join(mid, low)
		begun := time.Now()
		j := join(low, leaf)
		if n := top.h.child().Load().Census[0].Nodes; n != 3 || !time.Now().Equal(begun) {
			t.Errorf("%d nodes after %v", n, time.Since(begun))
		}
		j.up.Close()
		synctest.Wait()
		if n := top.h.child().Load().Census[0].Nodes; n != 2 || !time.Now().Equal(begun) {
			t.Errorf("%d nodes after %v", n, time.Since(begun))
		}
	})
}
