package session

import (
	"context"
	"testing"
	"testing/synctest"

	"hubfs/hub"
	"hubfs/taskfs/gang"
	"hubfs/taskfs/gather"
	"hubfs/taskfs/ranks"
)

// An earlyGang is tasks of which something is told before they are known.
type earlyGang struct {
	Gang // the calls that are not expected
	done chan struct{}
}

func (g *earlyGang) Size() int                { return 2 }
func (g *earlyGang) Tasks() []gang.TaskStatus { return nil }
func (g *earlyGang) Release()                 { close(g.done) }
func (g *earlyGang) Done() <-chan struct{}    { return g.done }

// TestTasksThatAreLostWhileTheyAreReserved: a node may be lost, and another say what
// it likes, before the session has been told that it has tasks.
func TestTasksThatAreLostWhileTheyAreReserved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &earlyGang{done: make(chan struct{})}
		told := make(chan struct{})
		s := New(Config{
			Stdin: hub.New(hub.Options{Input: true}), Stdout: hub.New(hub.Options{}),
			Stderr: hub.New(hub.Options{}), Labelled: hub.New(hub.Options{}),
			Reserve: func(_ context.Context, _ gang.Want, a gang.Above) (Gang, error) {
				go func() { // ends when all has been told
					defer close(told)
					all := ranks.Span(0, 2)
					a.Started(all)
					a.Output(all, gather.Stdout, []byte("x\n"))
					a.Ready(all)
					a.Lost(all, "leaf")
					a.Fenced(all, "leaf")
				}()
				synctest.Wait()
				return g, nil
			},
		})
		if err := s.Reserve([]string{"2"}); err != nil {
			t.Fatal(err)
		}
		<-told
		if n := s.Size(); n != 2 {
			t.Errorf("%d tasks", n)
		}
		s.Release()
		<-s.Done()
	})
}
