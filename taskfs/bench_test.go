package taskfs

import (
	"fmt"
	"runtime"
	"testing"

	"hubfs/taskfs/cluster"
	"hubfs/taskfs/gang"
	"hubfs/taskfs/tasktest"
	"hubfs/tree"
)

// plain returns a node outside of a bubble.
func plain(b *testing.B) (*server, *tasktest.World) {
	w := tasktest.NewWorld()
	n := gang.New(gang.Options{
		Cluster: cluster.Options{Info: cluster.Info{Name: "root", OS: "linux", Arch: "amd64", Slots: 4, Instance: "1"}},
		Runner:  w.Runner("root"), Dir: "/",
	})
	s := &server{t: nil, gang: n, as: glenda, FS: New(Config{
		Node: n, Owner: "glenda", Streams: &plainStreams{open: map[string]bool{}}, Session: "remote/", Temp: b.TempDir(),
	})}
	b.Cleanup(func() {
		if err := s.Close(b.Context()); err != nil && b.Context().Err() == nil {
			b.Error(err)
		}
		w.Wait()
	})
	return s, w
}

func must[T any](b *testing.B) func(T, error) T {
	return func(v T, err error) T {
		if err != nil {
			b.Fatal(err)
		}
		return v
	}
}

// BenchmarkTasks is what a task costs here: reserved, run, its output gathered, its
// end told, for sessions of more and more tasks. The time for each must not grow.
func BenchmarkTasks(b *testing.B) {
	for _, n := range []int{100, 1000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s, _ := plain(b)
			for b.Loop() {
				ctl := must[*file](b)(s.tryOpen("clone", tree.OpenRDWR))
				must[int](b)(ctl.tryWrite(fmt.Sprintf("res %d\nclose stdin\nexec echo hello", n)))
				wait := must[*file](b)(s.tryOpen("0/wait", tree.OpenRead))
				for {
					if text := must[string](b)(wait.read()); text == "" {
						break
					}
				}
				must[string](b)(must[*file](b)(s.tryOpen("0/status", tree.OpenRead)).read())
				wait.h.Close()
				ctl.h.Close()
				<-s.FS.slots[0].session.Done()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/task")
		})
	}
}

// BenchmarkSessions is what a session costs that does nothing: time to clone and
// release it, and memory while there are 1,000.
func BenchmarkSessions(b *testing.B) {
	s, _ := plain(b)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	const n = 1000
	for b.Loop() {
		all := make([]*file, n)
		for i := range all {
			all[i] = must[*file](b)(s.tryOpen("clone", tree.OpenRDWR))
		}
		b.StopTimer()
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.StartTimer()
		for _, f := range all {
			f.h.Close()
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/session")
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "B/session")
}
