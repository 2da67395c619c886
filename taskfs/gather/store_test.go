package gather

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"hubfs/hub"
	"hubfs/taskfs/ranks"
)

// read returns what a hub holds.
func read(t *testing.T, h *hub.Hub) string {
	t.Helper()
	r := h.NewReader(hub.FromOldest, hub.ReaderOptions{})
	defer r.Close()
	var b bytes.Buffer
	for {
		pieces, ready, err := r.TryRead(nil, 0, 1<<20, nil)
		if err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		if !ready || len(pieces) == 0 {
			return b.String()
		}
		for _, p := range pieces {
			b.Write(p.Data)
			p.Free()
		}
	}
}

// ended reports whether a hub's stream has.
func ended(h *hub.Hub) bool { return h.Status().Ended }

// A rig is a Store with its hubs.
type rig struct {
	*Store
	merged, errors, labelled *hub.Hub
}

func newRig(o Options) rig {
	big := hub.Options{Size: 64 << 20}
	o.Merged, o.Errors, o.Labelled = hub.New(big), hub.New(big), hub.New(big)
	if o.Label == nil {
		o.Label = func(rank int) string { return fmt.Sprintf("n%d: ", rank) }
	}
	return rig{NewStore(o), o.Merged, o.Errors, o.Labelled}
}

// view returns what a view has that is made now.
func (r rig) view(t *testing.T, set ranks.Set, st Stream) string {
	t.Helper()
	h, release := r.View(set, st)
	defer release()
	return read(t, h)
}

// folded is the groups of a stream, for comparison.
func (r rig) folded(set ranks.Set, st Stream) string {
	var b strings.Builder
	for _, g := range r.Folded(set, st) {
		fmt.Fprintf(&b, "%s %q", g.Ranks, g.Output())
		if g.Lost > 0 {
			fmt.Fprintf(&b, " lost %d", g.Lost)
		}
		b.WriteString("; ")
	}
	return b.String()
}

func is(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

var one = ranks.Of

func TestMergedHasWholeLines(t *testing.T) {
	s := newRig(Options{Tasks: 3})
	s.Output(one(0), Stdout, []byte("he"))
	s.Output(one(1), Stdout, []byte("x\ny"))
	s.Output(one(2), Stderr, []byte("oops\n"))
	is(t, "merged", read(t, s.merged), "x\n")
	s.Output(one(0), Stdout, []byte("llo\nwor"))
	is(t, "merged", read(t, s.merged), "x\nhello\n")
	s.End(one(1))
	is(t, "merged after an end", read(t, s.merged), "x\nhello\ny")
	s.End(ranks.Span(0, 3))
	is(t, "merged", read(t, s.merged), "x\nhello\nywor")
	is(t, "errors", read(t, s.errors), "oops\n")
	is(t, "labelled", read(t, s.labelled), "n1: x\nn2: oops\nn0: hello\nn1: y\nn0: wor\n")
	s.End(ranks.Span(0, 3))
	is(t, "merged after another end", read(t, s.merged), "x\nhello\nywor")
}

func TestManyTasksAtOnce(t *testing.T) {
	s := newRig(Options{Tasks: 4})
	s.Output(ranks.Span(0, 3), Stdout, []byte("a\nb"))
	s.Output(one(1), Stdout, []byte("\n"))
	s.Output(ranks.Of(0, 2, 99), Stdout, []byte("!\n"))
	is(t, "merged", read(t, s.merged), "a\na\na\nb\nb!\nb!\n")
	is(t, "labelled", read(t, s.labelled), "n0: a\nn1: a\nn2: a\nn1: b\nn0: b!\nn2: b!\n")
	is(t, "folded", s.folded(ranks.Span(0, 4), Stdout), `0,2 "a\nb!\n"; 1 "a\nb\n"; 3 ""; `)
	is(t, "folded of some", s.folded(ranks.Span(0, 2), Stdout), `0 "a\nb!\n"; 1 "a\nb\n"; `)
	is(t, "folded errors", s.folded(ranks.Span(0, 4), Stderr), `0-3 ""; `)
}

// TestLongLine has a line of more than 64 KiB go on piece by piece, at places
// that do not follow from how it came.
func TestLongLine(t *testing.T) {
	s := newRig(Options{Tasks: 3})
	long := bytes.Repeat([]byte("0123456789abcdef"), maxLine/16*2)
	long = append(long, "tail\n"...)
	s.Output(one(0), Stdout, long[:maxLine-1])
	is(t, "before 64 KiB", read(t, s.merged), "")
	s.Output(one(0), Stdout, long[maxLine-1:maxLine+7])
	is(t, "at 64 KiB", read(t, s.merged), string(long[:maxLine]))
	s.Output(one(0), Stdout, long[maxLine+7:])
	is(t, "all of it", read(t, s.merged), string(long))
	for i := 0; i < len(long); i += 1000 {
		s.Output(one(1), Stdout, long[i:min(i+1000, len(long))])
	}
	s.Output(one(2), Stdout, long)
	if got := read(t, s.merged); got != strings.Repeat(string(long), 3) {
		t.Errorf("%d bytes that differ, want %d", len(got), 3*len(long))
	}
	// A line that was broken has its label once more.
	said := map[string]string{}
	for line := range strings.Lines(read(t, s.labelled)) {
		name, text, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		said[name] += text
	}
	for _, name := range []string{"n0", "n1", "n2"} {
		if said[name]+"\n" != string(long) {
			t.Errorf("labelled: %d bytes of %s that differ, want %d", len(said[name]), name, len(long))
		}
	}
	if g := s.Folded(ranks.Span(0, 3), Stdout); len(g) != 1 {
		t.Errorf("%d groups", len(g))
	}
}

// TestFoldedLooksAtContentAlone gives the same bytes in other pieces.
func TestFoldedLooksAtContentAlone(t *testing.T) {
	s := newRig(Options{Tasks: 5})
	text := "one\ntwo\nthree\n"
	for r, cut := range []int{0, 1, 4, 9, len(text)} {
		s.Output(one(r), Stdout, []byte(text[:cut]))
	}
	for r, cut := range []int{0, 1, 4, 9, len(text)} {
		for i := cut; i < len(text); i++ {
			s.Output(one(r), Stdout, []byte(text[i:i+1]))
		}
	}
	is(t, "folded", s.folded(ranks.Span(0, 5), Stdout), `0-4 "one\ntwo\nthree\n"; `)
	if n := len(s.said[0].root.kids); n != 1 || len(s.said[0].root.kids[0].kids) != 0 {
		t.Error("equal output is kept in more than one piece")
	}
	s.Output(one(3), Stdout, []byte("four\n"))
	s.Output(one(1), Stdout, []byte("fou"))
	s.Output(one(2), Stdout, []byte("five\n"))
	is(t, "folded", s.folded(ranks.Span(0, 5), Stdout), `0,4 "one\ntwo\nthree\n"; `+
		`1 "one\ntwo\nthree\nfou"; 2 "one\ntwo\nthree\nfive\n"; 3 "one\ntwo\nthree\nfour\n"; `)
}

func TestAGroupDoesNotChange(t *testing.T) {
	s := newRig(Options{Tasks: 2, Keep: 4096})
	s.Output(ranks.Span(0, 2), Stdout, []byte("a\n"))
	before := s.Folded(ranks.Span(0, 2), Stdout)
	s.Output(one(0), Stdout, []byte("b\n"))
	s.Output(one(1), Stdout, []byte("c\n"))
	s.Output(one(1), Stdout, bytes.Repeat([]byte("d\n"), 5000))
	s.Reset(ranks.Span(0, 2))
	s.Output(one(0), Stdout, []byte("e\n"))
	is(t, "a group of before", string(before[0].Output()), "a\n")
}

func TestViews(t *testing.T) {
	s := newRig(Options{Tasks: 3})
	s.Output(ranks.Span(0, 3), Stdout, []byte("a\nb"))
	some, release := s.View(ranks.Of(0, 2), Stdout)
	alone, release1 := s.View(one(1), Stdout)
	again, release2 := s.View(one(1), Stdout)
	if alone != again {
		t.Error("two hubs for one view")
	}
	is(t, "of two", read(t, some), "a\na\n")
	is(t, "of one", read(t, alone), "a\nb")
	s.Output(ranks.Span(0, 3), Stdout, []byte("c"))
	is(t, "of two", read(t, some), "a\na\n")
	is(t, "of one, at once", read(t, alone), "a\nbc")
	s.Output(ranks.Span(0, 2), Stdout, []byte("\n"))
	is(t, "of two", read(t, some), "a\na\nbc\n")
	s.End(one(1))
	if !ended(alone) || ended(some) {
		t.Error("a view ends with its tasks")
	}
	s.End(ranks.Of(0, 2))
	is(t, "of two, ended", read(t, some), "a\na\nbc\nbc")
	if !ended(some) {
		t.Error("a view goes on without tasks")
	}
	is(t, "of one, late", s.view(t, one(2), Stdout), "a\nbc")
	late, release3 := s.View(ranks.Span(0, 3), Stdout)
	is(t, "of all, late", read(t, late), "a\nbc\na\nbc\na\nbc")
	if !ended(late) {
		t.Error("a late view does not end")
	}

	s.Reset(one(1))
	if ended(alone) {
		t.Error("a view is ended when its task begins anew")
	}
	s.Output(one(1), Stdout, []byte("new"))
	is(t, "of one, anew", read(t, alone), "a\nbc\nnew")
	is(t, "of one, anew and late", s.view(t, one(2), Stdout), "a\nbc")
	release1()
	release1()
	is(t, "of one, still held", read(t, alone), "a\nbc\nnew")
	release2()
	release()
	release3()
	if len(s.views.byKey)+len(s.views.alone)+len(s.views.wide) != 0 {
		t.Error("views are left that nobody holds")
	}
	is(t, "of one, anew and late", s.view(t, one(1), Stdout), "new")
}

func TestResetFlushesWhatIsBegun(t *testing.T) {
	s := newRig(Options{Tasks: 2})
	s.Output(ranks.Span(0, 2), Stdout, []byte("lost"))
	s.Reset(one(0))
	s.Output(one(0), Stdout, []byte("again\n"))
	is(t, "merged", read(t, s.merged), "lostagain\n")
	is(t, "folded", s.folded(ranks.Span(0, 2), Stdout), `0 "again\n"; 1 "lost"; `)
	// Who has ended begins anew by putting something out.
	s.End(ranks.Span(0, 2))
	s.Output(one(0), Stdout, []byte("once more\n"))
	is(t, "folded", s.folded(ranks.Span(0, 2), Stdout), `0 "once more\n"; 1 "lost"; `)
	s.Reset(ranks.Span(0, 2))
	if s.said[0].kept != 0 {
		t.Errorf("%d bytes are kept of nothing", s.said[0].kept)
	}
}

// TestWhoHasEndedIsInTheSameGroup: that a line is complete is not what was said.
func TestWhoHasEndedIsInTheSameGroup(t *testing.T) {
	s := newRig(Options{Tasks: 2})
	s.Output(ranks.Span(0, 2), Stdout, []byte("abc"))
	s.End(one(0))
	is(t, "folded", s.folded(ranks.Span(0, 2), Stdout), `0-1 "abc"; `)
}

// TestALineThatIsNotKeptIsWrittenWhole, also if tasks that began it together go on
// apart.
func TestALineThatIsNotKeptIsWrittenWhole(t *testing.T) {
	s := newRig(Options{Tasks: 3, Keep: 300})
	s.Output(ranks.Span(0, 3), Stdout, bytes.Repeat([]byte("much\n"), 200))
	before := len(read(t, s.merged))
	for range 20 {
		s.Output(ranks.Span(0, 3), Stdout, []byte("be"))
	}
	s.Output(one(0), Stdout, []byte("gun"))
	s.Output(one(1), Stdout, []byte("lieve"))
	s.Output(one(2), Stdout, []byte("ll"))
	s.Output(ranks.Span(0, 3), Stdout, []byte(".\n"))
	be := strings.Repeat("be", 20)
	is(t, "merged", read(t, s.merged)[before:], be+"gun.\n"+be+"lieve.\n"+be+"ll.\n")
}

func TestOneTaskIsNotHeld(t *testing.T) {
	s := newRig(Options{Tasks: 1})
	s.Output(one(0), Stdout, []byte("promp"))
	is(t, "merged", read(t, s.merged), "promp")
	s.Output(one(0), Stdout, []byte("t> "))
	s.End(one(0))
	is(t, "merged", read(t, s.merged), "prompt> ")
	is(t, "labelled", read(t, s.labelled), "n0: prompt> \n")
}

func TestCloseEndsViewsAndWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newRig(Options{Tasks: 2})
		v, release := s.View(one(0), Stdout)
		defer release()
		s.merged.Freeze()
		done := make(chan bool)
		go func() { // ends when the Store is closed
			s.Output(one(0), Stdout, []byte("a\n"))
			close(done)
		}()
		synctest.Wait()
		select {
		case <-done:
			t.Fatal("a frozen hub holds nobody up")
		default:
		}
		is(t, "folded meanwhile", s.folded(one(0), Stdout), `0 "a\n"; `)
		s.Close()
		<-done
		if !ended(v) {
			t.Error("a view goes on after Close")
		}
		if n := s.Refused(); n == 0 {
			t.Error("nobody says that the hub got nothing")
		}
		s.Output(one(0), Stdout, []byte("b\n"))
		is(t, "folded", s.folded(one(0), Stdout), `0 "a\n"; `)
		is(t, "a view made later", s.view(t, one(0), Stdout), "a\n")
		if late, release := s.View(one(1), Stdout); !ended(late) {
			t.Error("a view that is made after Close does not end")
		} else {
			release()
		}
	})
}

func TestHubsThatRefuse(t *testing.T) {
	s := newRig(Options{Tasks: 2})
	s.merged.End("")
	s.Output(ranks.Span(0, 2), Stdout, []byte("abc\n"))
	if n := s.Refused(); n != 8 {
		t.Errorf("%d bytes refused, want 8", n)
	}
	is(t, "labelled", read(t, s.labelled), "n0: abc\nn1: abc\n")
	NewStore(Options{Tasks: 1}).Output(one(0), Stdout, []byte("nobody listens\n"))
}

func TestRenderFolded(t *testing.T) {
	s := newRig(Options{Tasks: 6})
	s.Output(ranks.Of(1, 2, 4), Stdout, []byte("a\nb\n"))
	s.Output(one(0), Stdout, []byte("no newline"))
	s.Output(one(3), Stdout, []byte("\n"))
	var b strings.Builder
	err := RenderFolded(&b, s.Folded(ranks.Span(0, 6), Stdout), func(s ranks.Set) string { return "n" + s.String() })
	if err != nil {
		t.Fatal(err)
	}
	const rule = "---------------\n"
	is(t, "rendered", b.String(), rule+"n1-2,4 (3)\n"+rule+"a\nb\n"+rule+"n0\n"+rule+"no newline\n"+rule+"n3\n"+rule+"\n")
	if err := RenderFolded(full{}, s.Folded(ranks.Span(0, 6), Stdout), ranks.Set.String); err == nil {
		t.Error("nobody says that nothing was written")
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space") }

// TestReadersComeAndGo has views made and released, and groups looked at, while
// tasks put out. Each view is a whole of what was said when it is read.
func TestReadersComeAndGo(t *testing.T) {
	const tasks, lines = 4, 300
	s := newRig(Options{Tasks: tasks, View: hub.Options{Size: 1 << 20}})
	var wg sync.WaitGroup
	for r := range tasks {
		wg.Go(func() { // ends with the lines
			for i := range lines {
				s.Output(one(r), Stdout, fmt.Appendf(nil, "%d\n", i))
			}
			s.End(one(r))
		})
	}
	for range tasks {
		wg.Go(func() { // ends when it has read a view of one and of all to their ends
			for i := range 20 {
				s.Folded(ranks.Span(0, tasks), Stdout)
				h, release := s.View(one(i%tasks), Stdout)
				for j, l := range strings.Split(strings.TrimSuffix(read(t, h), "\n"), "\n") {
					if l != fmt.Sprint(j) && l != "" {
						t.Errorf("line %d of a view is %q", j, l)
					}
				}
				release()
			}
			h, release := s.View(ranks.Span(0, tasks), Stdout)
			defer release()
			rd := h.NewReader(hub.FromOldest, hub.ReaderOptions{})
			defer rd.Close()
			got, p := 0, make([]byte, 1<<10)
			for {
				n, err := rd.ReadContext(t.Context(), p)
				if got += bytes.Count(p[:n], []byte("\n")); err != nil {
					break
				}
			}
			if got != tasks*lines {
				t.Errorf("a view of all has %d lines, want %d", got, tasks*lines)
			}
		})
	}
	wg.Wait()
	s.Close()
}
