package gang

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"hubfs/taskfs/task"
)

// A doubtful runner makes crews that cannot say, some times, whether they have ended.
type doubtful struct {
	task.Runner
	times int
}

type doubtfulCrew struct {
	task.Crew
	of *doubtful
}

func (r *doubtful) Crew(ctx context.Context, o task.CrewOptions) (task.Crew, error) {
	c, err := r.Runner.Crew(ctx, o)
	return doubtfulCrew{c, r}, err
}

func (c doubtfulCrew) Close(ctx context.Context) error {
	if c.of.times--; c.of.times >= 0 {
		return errors.New("a process has not ended")
	}
	return c.Crew.Close(ctx)
}

// TestASessionIsNotOverWhileATaskMayRun however often it is not known.
func TestASessionIsNotOverWhileATaskMayRun(t *testing.T) {
	planted(t, func(t *testing.T, f *forest) {
		r := &doubtful{times: 10}
		n := f.node("here", 2, func(o *Options) {
			r.Runner = o.Runner
			o.Runner = r
		})
		g := reserve(t, n.Node, Want{N: 1, Number: n.Number()}, newRecord())
		exec(t, g, "hold gate")
		synctest.Wait()
		g.Release()
		<-g.Done()
		if run := f.w.Running(); len(run) > 0 || r.times > 0 {
			t.Errorf("the session is over, and there run %v", run)
		}
		n.Free(0)
	})
}
