package soak

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"hubfs/client"
)

var (
	duration = flag.Duration("for", 1500*time.Millisecond, "how long the soak takes")
	seedFlag = flag.Uint64("seed", 0, "what the actors do follows from it; 0: a new one")
)

// TestSoak has actors do at random what clients do, and proves that no byte
// came wrong and that nothing of them is left.
func TestSoak(t *testing.T) {
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("go test ./internal/soak -for %v -seed %d", *duration, seed)

	// Some time is for the end, when everything is looked at.
	if end, ok := t.Deadline(); ok && time.Until(end) < *duration+time.Minute {
		t.Fatalf("-for %v needs a -timeout of %v", *duration, (*duration + 5*time.Minute).Round(time.Minute))
	}

	// What a first server and client leave behind for good, the runtime's
	// goroutine for signals and the like, is there before anybody counts.
	warm := newWorld(t, seed)
	warm.empty()
	warm.mustEnd()

	before := takeStock(t)
	w := newWorld(t, seed)
	w.act(*duration)
	t.Log(w.counts())
	if t.Failed() {
		w.mustEnd()
		return // what is left over now is of no interest
	}
	w.empty()
	w.mustEnd()
	for _, line := range w.log.bad() {
		t.Errorf("the server said: %s", line)
	}
	before.compare(t, w)
}

// act has the actors act for a while.
func (w *world) act(d time.Duration) {
	w.t.Helper()
	var actors sync.WaitGroup
	var number uint64
	cast := func(n int, name string, act func(*actor)) {
		for i := range n {
			number++
			a := &actor{world: w, name: name + strconv.Itoa(i), plan: newPlan(w.seed, number)}
			actors.Go(func() { act(a) }) // ends when the world stops; waited for below
		}
	}
	cast(4, "writer", (*actor).write)
	cast(7, "reader", (*actor).read)
	cast(2, "shell", (*actor).shell)
	cast(1, "plumber", (*actor).plumb)
	cast(1, "control", (*actor).control)
	cast(1, "listener", (*actor).listen)

	end := time.AfterFunc(d, w.finish)
	defer end.Stop()
	<-w.stop
	done := make(chan struct{})
	go func() { // ends with the actors
		actors.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(2 * patience):
		w.fatal("the actors do not come to their end")
	}
}

// empty proves that the server has nothing but what was written, and removes
// that.
func (w *world) empty() {
	w.t.Helper()
	a := &actor{world: w, name: "end"}
	c, err := a.dial(step{})
	if err != nil {
		w.t.Fatal(err)
	}
	defer c.Close()
	st := w.alone(c)
	for _, f := range st.lines("hub") {
		if err := w.checkHub(c, f); err != nil {
			w.t.Error(err)
		}
		if err := a.ctl(c, "rm "+f[1]); err != nil {
			w.t.Error(err)
		}
	}
	ctx, cancel := soon()
	defer cancel()
	if st, err = c.status(ctx); err != nil {
		w.t.Fatal(err)
	}
	for _, f := range st {
		if f[0] != "conn" && f[0] != "server" && f[0] != "listen" {
			w.t.Errorf("left in /status: %q", f)
		}
	}
}

// alone waits until the server has noticed that all others have gone, and
// returns its status then: one connection, with the fids of whoever asks.
func (w *world) alone(c *conn) status {
	w.t.Helper()
	const fids = 2 // the root and /status
	ctx, cancel := soon()
	defer cancel()
	for {
		st, err := c.status(ctx)
		if err != nil {
			w.t.Fatalf("waiting for the connections to end: %v; there are %q", err, st.lines("conn"))
		}
		conns := st.lines("conn")
		if len(conns) > 1 {
			continue
		}
		if n := conns[0][4]; n != strconv.Itoa(fids) {
			w.t.Errorf("%s fids are left", n)
		}
		for _, f := range st.lines("hub") {
			if f[5] != "0" || f[6] != "0" {
				w.t.Errorf("hub %s has %s readers and %s writers, and nobody is there", f[1], f[5], f[6])
			}
		}
		for _, what := range []string{"shell", "reader"} {
			if left := st.lines(what); len(left) > 0 {
				w.t.Errorf("left: %q", left)
			}
		}
		return st
	}
}

// checkHub reads what a hub has, or the last of it, and compares its end with
// what was written.
func (w *world) checkHub(c *conn, line []string) error {
	ctx, cancel := soon()
	defer cancel()
	name := line[1]
	l := w.live(name)
	first, err1 := strconv.ParseInt(line[2], 10, 64)
	next, err2 := strconv.ParseInt(line[3], 10, 64)
	if l == nil || err1 != nil || err2 != nil {
		return fmt.Errorf("/status: %q", line)
	}
	if err := l.checkEnd(next); err != nil {
		return err
	}
	f, err := c.Open(ctx, name+"@", client.OREAD)
	if err != nil {
		return err
	}
	defer f.Close()
	const most = 16 << 20
	first = max(first, next-most)
	check := l.checker(first)
	buf := make([]byte, 256<<10)
	for pos := first; pos < next; {
		n, err := f.ReadAtContext(ctx, buf, pos)
		if err != nil {
			return fmt.Errorf("hub %s at %d: %w", name, pos, err)
		}
		if err := check.take(buf[:n], false); err != nil {
			return fmt.Errorf("hub %s at %d: %w", name, pos, err)
		}
		pos += int64(n)
	}
	return nil
}

// A stock is what a process has that could be left over.
type stock struct {
	goroutines map[string]string // stack by number
	fds        []string          // what they are of
	children   []string          // process numbers
}

func takeStock(t *testing.T) stock {
	t.Helper()
	return stock{goroutines(), descriptors(t), children(t)}
}

// compare fails for what is there and was not before. A goroutine that has said
// that it is done may be a moment in going.
func (before stock) compare(t *testing.T, w *world) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		after := goroutines()
		for number := range before.goroutines {
			delete(after, number)
		}
		if len(after) == 0 {
			break
		}
		if time.Now().After(deadline) {
			for _, stack := range after {
				t.Errorf("a goroutine is left:\n%s", stack)
			}
			break
		}
		runtime.Gosched()
	}
	if after := descriptors(t); !slices.Equal(before.fds, after) {
		t.Errorf("descriptors before:\n%s\nand after:\n%s", strings.Join(before.fds, "\n"), strings.Join(after, "\n"))
	}
	if after := children(t); !slices.Equal(before.children, after) {
		t.Errorf("processes are left: %q, before there were %q", after, before.children)
	}
	err := filepath.WalkDir(w.dir, func(path string, d os.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case w.left[path]:
			return filepath.SkipDir
		case !d.IsDir() || filepath.Dir(path) == w.state():
			t.Errorf("left on disk: %s", path)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// stacks is that of every goroutine.
func stacks() string {
	for buf := make([]byte, 1<<20); ; buf = make([]byte, 2*len(buf)) {
		if n := runtime.Stack(buf, true); n < len(buf) {
			return string(buf[:n])
		}
	}
}

func goroutines() map[string]string {
	all := map[string]string{}
	for stack := range strings.SplitSeq(stacks(), "\n\n") {
		number, _, _ := strings.Cut(strings.TrimPrefix(stack, "goroutine "), " ")
		all[number] = stack
	}
	return all
}

// descriptors says of what this process has descriptors. The numbers of sockets
// and pipes change; how many there are does not.
func descriptors(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if os.IsNotExist(err) {
		t.Log("without /proc: nobody counts descriptors")
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		of, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err != nil {
			continue // that of the folder itself
		}
		kind, _, _ := strings.Cut(of, ":[")
		all = append(all, kind)
	}
	slices.Sort(all)
	return all
}

// children returns the processes that this one has started and not waited for.
func children(t *testing.T) []string {
	t.Helper()
	tasks, _ := filepath.Glob("/proc/self/task/*/children")
	var all []string
	for _, task := range tasks {
		b, err := os.ReadFile(task)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		all = append(all, strings.Fields(string(b))...)
	}
	slices.Sort(all)
	return all
}
