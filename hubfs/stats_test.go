package hubfs

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hubfs/tree"
)

// await reads at most max bytes, and waits until there are some: "" at the end.
func (f *file) await(max int) string {
	f.t.Helper()
	woken := make(chan struct{}, 1)
	for {
		pieces, ready, err := f.h.(tree.StreamReader).ReadStream(nil, 0, max, func() { woken <- struct{}{} })
		switch {
		case err != nil:
			f.t.Fatalf("read %s: %v", f.path, err)
		case ready && len(pieces) == 0:
			return ""
		case ready:
			return string(pieces[0].Data)
		}
		<-woken
	}
}

// TestStatsCountWhatIsThere
func TestStatsCountWhatIsThere(t *testing.T) {
	s := newServer(t, Config{Size: 8, MaxRetained: 100, Conns: func() []ConnInfo {
		return []ConnInfo{{Fids: 3, Waiting: 1}, {Fids: 4}}
	}})
	s.mustCreate("z", "d/", "d/a b")
	slow := s.open("d/a b", tree.OpenRead)
	s.open("d/a b", tree.OpenWrite).mustWrite("0123456789")
	slow.read("23456789")
	s.open("d/a b@end", tree.OpenRead)
	s.ctl("shell sh\nfreeze z")
	blocked := s.open("z", tree.OpenWrite).h.(tree.StreamWriter)
	if _, ready, err := blocked.WriteStream(tree.Piece{Data: []byte("x")}, 0, func() {}); ready || err != nil {
		t.Fatal(ready, err)
	}
	f := s.open("stats", tree.OpenRDWR)
	_, got, _ := strings.Cut(f.await(1<<20), "\n")
	// Those of other tests may be ending still.
	routines := regexp.MustCompile(`(?m)^goroutines [1-9]\d*$`).FindString(got)
	want := []string{
		"conns 2", "fids 7", "waiting 1",
		routines,
		"shells 1", "hubs 5", "retained 8", "room 92",
		"hub z 0 0 0 0 0 0 0 1 0 1 0.000", // those of the longest standing first
		"hub 'd/a b' 10 8 1 1 8 0 2 1 2 0 0.000",
		"hub sh0 0 0 0 0 0 0 1 0 0 0 0.000", "hub sh1 0 0 0 0 0 0 0 1 0 0 0.000", "hub sh2 0 0 0 0 0 0 0 1 0 0 0.000",
	}
	if got != strings.Join(want, "\n")+"\n" {
		t.Errorf("stats:\n%s\nwant:\n%s", got, strings.Join(want, "\n"))
	}
	blocked.CancelWrite()
}

// TestStatsAreSaidForEachOpen: nothing and snap give one block and the end, log
// one each interval; what is said on one open is nothing to another.
func TestStatsAreSaidForEachOpen(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, s *server) {
		read := func(f *file) string { // the time of the block that is due, or "end"
			t.Helper()
			line, _, _ := strings.Cut(f.await(1<<20), "\n")
			unix, ok := strings.CutPrefix(line, "time ")
			if !ok && line != "" {
				t.Fatalf("stats begin with %q", line)
			}
			return cmp.Or(unix, "end")
		}
		at := func() string { return unixMilli(time.Now()) }
		wantNow := func(f *file, when string) {
			t.Helper()
			before := at()
			if got := read(f); got != before || at() != before {
				t.Errorf("%s: %s, asked at %s, told at %s", when, got, before, at())
			}
		}
		wantEnd := func(f *file, when string) {
			t.Helper()
			if got := read(f); got != "end" {
				t.Errorf("%s: %s, want the end", when, got)
			}
		}

		once, log := s.open("stats", tree.OpenRDWR), s.open("stats", tree.OpenRDWR)
		wantNow(once, "nothing said")
		wantEnd(once, "the block was read")
		once.mustWrite("snap\n")
		wantNow(once, "snap")
		wantEnd(once, "after snap")
		wantEnd(once, "and again")

		log.mustWrite("log 1s")
		wantNow(log, "the first block")
		start := time.Now()
		for n := range 3 {
			if got, want := read(log), unixMilli(start.Add(time.Duration(n+1)*time.Second)); got != want {
				t.Errorf("block %d: %s, want %s", n, got, want)
			}
		}
		// One who was away gets the counters of now, once.
		time.Sleep(10 * time.Second)
		wantNow(log, "after a pause")
		before := time.Now()
		if read(log); time.Since(before) != time.Second {
			t.Errorf("the next came after %v", time.Since(before))
		}

		// A word reaches a read that waits.
		log.mustWrite("log 1h")
		wantNow(log, "log 1h")
		got := make(chan string)
		go func() { got <- read(log) }() // ends with the word
		synctest.Wait()
		log.mustWrite("snap")
		if s := <-got; s != at() {
			t.Errorf("snap while a read waits: %s at %s", s, at())
		}
		wantEnd(log, "snap")
		once.close()
		log.close()
	})
}

// TestABlockOfStatsIsReadInPieces, all of one moment.
func TestABlockOfStatsIsReadInPieces(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, s *server) {
		for i := range 50 {
			s.mustCreate(fmt.Sprint("h", i))
		}
		f := s.open("stats", tree.OpenRDWR)
		f.mustWrite("log 1s")
		all := ""
		for strings.Count(all, "time ") < 2 {
			piece := f.await(100)
			if len(piece) > 100 {
				t.Fatalf("%d bytes", len(piece))
			}
			all += piece
		}
		block, _, _ := strings.Cut(all[5:], "time ")
		if n := strings.Count(block, "\nhub h"); n != 50 || !strings.HasSuffix(block, "\n") {
			t.Errorf("%d hubs in\n%s", n, block)
		}
		f.close()
	})
}

// TestAReadOfStatsThatIsWithdrawnLeavesNothing: no timer, no wake.
func TestAReadOfStatsThatIsWithdrawnLeavesNothing(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, s *server) {
		f := s.open("stats", tree.OpenRDWR)
		f.mustWrite("log 1s")
		f.waits() // and is withdrawn: a block takes a moment
		time.Sleep(time.Minute)
		synctest.Wait()
		h := f.h.(*statsHandle)
		if h.left != "" || h.wake != nil {
			t.Errorf("left %q, wake %v", h.left, h.wake != nil)
		}
		f.close()
	})
}

// TestStatsRefuseBadWords
func TestStatsRefuseBadWords(t *testing.T) {
	s := newServer(t, Config{})
	f := s.open("stats", tree.OpenRDWR)
	for line, say := range map[string]string{
		"":              "",
		"fear":          `unknown command "fear": expected snap, log`,
		"snap 1":        "expected snap (",
		"log":           "expected log TIME",
		"log often":     `"often" is not a time of 10ms or more: expected log TIME`,
		"log 1":         "not a time",
		"log -1s":       "10ms or more",
		"log 9ms":       "10ms or more",
		"snap\nlog 0\n": "line 2: log: ",
		"log 1s 2s":     "2 arguments",
	} {
		err := f.write(line)
		if say == "" {
			if err != nil {
				t.Errorf("%q: %v", line, err)
			}
			continue
		}
		checkError(t, line, err, tree.ErrInvalid, say)
	}
}

// TestStatsAreAPlainFileToWhoOnlyReads: a read from the start counts anew.
func TestStatsAreAPlainFileToWhoOnlyReads(t *testing.T) {
	s := newServer(t, Config{})
	s.mustCreate("h")
	f := s.open("stats", tree.OpenRead)
	if got := f.text(); !strings.HasPrefix(got, "time ") || !strings.HasSuffix(got, "\nhub h 0 0 0 0 0 0 0 0 0 0 0.000\n") {
		t.Errorf("stats: %q", got)
	}
	s.ctl("rm h")
	if got := f.text(); !strings.Contains(got, "\nhubs 0\n") {
		t.Errorf("read again: %q", got)
	}
}

// TestMetricsAreThereIfSomebodyWritesThem
func TestMetricsAreThereIfSomebodyWritesThem(t *testing.T) {
	s := newServer(t, Config{Metrics: func(st Stats) string { return fmt.Sprint(len(st.Hubs), " hubs\n") }})
	s.mustCreate("h")
	if got := s.cat("metrics"); got != "1 hubs\n" {
		t.Errorf("metrics: %q", got)
	}
	if _, err := newServer(t, Config{}).walk(glenda, "metrics"); err == nil {
		t.Error("metrics without a writer of them")
	}
}
