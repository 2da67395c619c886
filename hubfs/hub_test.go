package hubfs

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"hubfs/tree"
)

// TestEachOpenHasItsOwnPlace: NAME, NAME@end, NAME@-N and NAME@ start where
// they say, each open moves by itself, and only NAME@ looks at offsets.
func TestEachOpenHasItsOwnPlace(t *testing.T) {
	s := newServer(t, Config{})
	s.mustCreate("h")
	w := s.open("h", tree.OpenWrite)
	w.mustWrite("0123456789")

	first, second := s.open("h", tree.OpenRead), s.open("h", tree.OpenRead)
	end, back, far := s.open("h@end", tree.OpenRead), s.open("h@-3", tree.OpenRead), s.open("h@-99", tree.OpenRead)
	addr := s.open("h@", tree.OpenRead)
	first.read("0123456789")
	first.waits()
	if data, _, _ := second.try(1<<40, 4); data != "0123" { // the offset is nothing
		t.Errorf("read %q", data)
	}
	end.waits()
	back.read("789")
	far.read("0123456789")
	if data, _, _ := addr.try(8, 100); data != "89" {
		t.Errorf("h@ at 8: %q", data)
	}
	if data, _, _ := addr.try(2, 3); data != "234" {
		t.Errorf("h@ at 2: %q", data)
	}
	if _, ready, err := addr.try(10, 3); ready || err != nil {
		t.Errorf("h@ at the end: ready %v, %v", ready, err)
	}
	w.mustWrite("ab")
	for _, f := range []*file{first, end, back} {
		f.read("ab")
	}
	second.read("456789ab")
	for _, f := range []*file{first, second, end, back, far, addr, w} {
		f.close()
	}
}

// TestOldBytesAreDiscardedAndTold: the text of the error is protocol.
func TestOldBytesAreDiscardedAndTold(t *testing.T) {
	s := newServer(t, Config{Size: 10})
	s.mustCreate("ci/", "ci/b")
	slow := s.open("ci/b", tree.OpenRead)
	w := s.open("ci/b", tree.OpenWrite)
	w.mustWrite("0123456789")
	w.mustWrite("abcde")
	addr := s.open("ci/b@", tree.OpenRead)
	if _, _, err := addr.try(4, 1); err == nil || err.Error() != "discarded: ci/b starts at 5" {
		t.Errorf("read of what is gone: %v", err)
	}
	slow.read("56789abcde")
	if got := s.cat("status"); !strings.Contains(got, "hub ci/b 5 15 10 2 1 calm 5\nreader ci/b glenda 'unix 1' 15 5 2\n") {
		t.Errorf("status:\n%s", got)
	}
}

func TestAddressedWritesAreIdempotent(t *testing.T) {
	s := newServer(t, Config{})
	s.mustCreate("h")
	w := s.open("h@", tree.OpenWrite)
	for _, c := range []struct {
		off  int64
		data string
		say  string
	}{
		{0, "abc", ""},
		{0, "abc", ""},
		{1, "bcde", ""},
		{6, "x", "gap: h ends at 5"},
		{1, "bXd", "conflict: h holds other bytes at 2"},
		{5, "f", ""},
	} {
		err := w.writeAt(c.data, c.off)
		if c.say == "" && err != nil || c.say != "" && (err == nil || err.Error() != c.say) {
			t.Errorf("write %q at %d: %v", c.data, c.off, err)
		}
	}
	s.open("h", tree.OpenRead).read("abcdef")
}

// TestStatOfAHub: a live hub has no length, a frozen or ended one has; version
// 0; its paths differ; mtime and muid are kept.
func TestStatOfAHub(t *testing.T) {
	bubble(t, Config{Size: 10}, func(t *testing.T, s *server) {
		if err := s.create(alice, "h"); err != nil {
			t.Fatal(err)
		}
		made := s.node("h").Stat()
		if made.UID != "alice" || made.GID != "alice" || made.MUID != "alice" || made.Mode != 0o666 || made.Length != 0 {
			t.Errorf("stat: %+v", made)
		}
		time.Sleep(time.Hour)
		s.openAs(bob, "h", tree.OpenWrite).mustWrite("0123456789abcde")
		wrote := s.node("h").Stat()
		if wrote.MUID != "bob" || wrote.UID != "alice" || wrote.Length != 0 || wrote.Version != 0 {
			t.Errorf("stat: %+v", wrote)
		}
		if d := wrote.Mtime.Sub(made.Mtime); d != time.Hour {
			t.Errorf("mtime moved by %v", d)
		}
		s.ctl("freeze h")
		if l := s.node("h").Stat().Length; l != 10 {
			t.Errorf("frozen: length %d", l)
		}
		s.ctl("melt h\nend h")
		if l := s.node("h").Stat().Length; l != 10 {
			t.Errorf("ended: length %d", l)
		}
		paths := map[uint64]string{}
		for _, name := range []string{"h", "h@", "h@end", "h@-1", "ctl", "events", "status", "shell"} {
			info := s.node(name).Stat()
			if info.Name != name || info.Path == 0 || paths[info.Path] != "" {
				t.Errorf("stat of %s: name %s, path %d, as of %q", name, info.Name, info.Path, paths[info.Path])
			}
			paths[info.Path] = name
		}
		s.ctlAs(alice, "rm h")
		s.mustCreate("h")
		if p := s.node("h").Stat().Path; paths[p] != "" {
			t.Errorf("path %d used again", p)
		}
	})
}

// TestTruncateAndTouchAreAccepted: a shell's > and touch must work, and only a
// server with -z empties a hub.
func TestTruncateAndTouchAreAccepted(t *testing.T) {
	for _, zap := range []bool{false, true} {
		t.Run(fmt.Sprintf("zap %v", zap), func(t *testing.T) {
			s := newServer(t, Config{Zap: zap})
			s.mustCreate("h")
			s.open("h", tree.OpenWrite).mustWrite("old")
			zero, now := int64(0), time.Now()
			for _, name := range []string{"h", "h@end", "ctl"} {
				if err := s.node(name).(tree.Changer).Change(bob, tree.Change{Length: &zero, Mtime: &now, Atime: &now}); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
			if data, _, _ := s.open("h", tree.OpenRead).try(0, 10); data != "old" {
				t.Errorf("a change of the length left %q", data)
			}
			s.open("h", tree.OpenWrite|tree.OpenTrunc)
			r := s.open("h", tree.OpenRead)
			if zap {
				r.waits()
			} else {
				r.read("old")
			}
			s.open("ctl", tree.OpenWrite|tree.OpenTrunc).mustWrite("fear")
		})
	}
}

// TestARemovedHubGoesOn: like an unlinked file, for those who have it open.
func TestARemovedHubGoesOn(t *testing.T) {
	s := newServer(t, Config{MaxRetained: 100, Size: 100})
	s.mustCreate("h")
	r, w := s.open("h", tree.OpenRead), s.open("h", tree.OpenWrite)
	n := s.node("h")
	if err := n.(tree.Remover).Remove(glenda); err != nil {
		t.Fatal(err)
	}
	w.mustWrite("still here")
	r.read("still here")
	if _, err := n.(tree.File).Open(glenda, tree.OpenRead); !errors.Is(err, tree.ErrNotExist) {
		t.Errorf("open of a removed hub: %v", err)
	}
	if err := n.(tree.Remover).Remove(glenda); !errors.Is(err, tree.ErrNotExist) {
		t.Errorf("second remove: %v", err)
	}
	s.mustCreate("h")
	s.open("h", tree.OpenRead).waits()
	w.close()
	r.close()
	if used, _ := s.budget.Used(); used != 0 {
		t.Errorf("%d bytes are retained of a hub that is gone", used)
	}
}

// TestARemovedHubEndsWithItsLastWriter: who reads it would wait for ever.
func TestARemovedHubEndsWithItsLastWriter(t *testing.T) {
	s := newServer(t, Config{})
	s.mustCreate("h")
	r, w, w2 := s.open("h", tree.OpenRead), s.open("h", tree.OpenWrite), s.open("h", tree.OpenRDWR)
	s.ctl("rm h")
	w.mustWrite("one")
	w.close()
	r.read("one")
	r.waits()
	w2.close()
	r.ends()
	r.close()

	s.mustCreate("idle")
	r = s.open("idle", tree.OpenRead)
	r.waits()
	s.ctl("rm idle")
	r.ends()
}

// TestLimitsAreClearAndHarmNobody
func TestLimitsAreClearAndHarmNobody(t *testing.T) {
	s := newServer(t, Config{MaxHubs: 5, MaxShells: 1, MaxAttachments: 1, Size: 50, MaxRetained: 100})
	s.ctl("shell a") // three hubs
	s.ctlFails("shell b", tree.ErrLimit, "1 shells, 1 may be")
	s.ctlFails("host b", tree.ErrLimit, "1 shells, 1 may be")
	s.mustCreate("d/", "d/h")
	checkError(t, "create", s.create(glenda, "x"), tree.ErrLimit, "no room for 1 more hubs or directories, 5 may be")
	checkError(t, "mkdir", s.create(glenda, "x/"), tree.ErrLimit, "5 may be")

	s.open("shell/a/ctl", tree.OpenRDWR).mustWrite("attach rw 10 10")
	checkError(t, "attach", s.open("shell/a/ctl", tree.OpenRDWR).write("attach ro 10 10"), tree.ErrLimit, "1 may be")

	// A hub at the limit drops its own oldest bytes, not another's.
	s.ctl("size d/h 100\nfear a1")
	r := s.open("a1", tree.OpenRead)
	s.open("a1", tree.OpenWrite).mustWrite(strings.Repeat("a", 40))
	w := s.open("d/h", tree.OpenWrite)
	w.mustWrite(strings.Repeat("b", 50))
	w.mustWrite(strings.Repeat("c", 50))
	r.read(strings.Repeat("a", 40))
	s.ctlFails("size d/h 101", nil, "100 bytes that all hubs may retain")

	// One exits, and its place can be taken; removed, it makes room.
	s.proc("a").exit(statusCode(0))
	s.waitFor("a")
	s.ctl("shell a")
	s.proc("a").exit(statusCode(0))
	s.waitFor("a")
	s.ctl("rm a")
	s.mustCreate("x", "y", "z")
}

// TestOneWriteBringsAtMostTheLimit: the rest is not taken, and the writer is
// told how much was.
func TestOneWriteBringsAtMostTheLimit(t *testing.T) {
	s := newServer(t, Config{MaxWrite: 10})
	s.mustCreate("h")
	owner := &freeCount{}
	w := s.open("h", tree.OpenWrite).h.(tree.StreamWriter)
	n, ready, err := w.WriteStream(tree.Piece{Data: []byte(strings.Repeat("x", 26)), Owner: owner}, 0, nil)
	if n != 10 || !ready || err != nil || owner.n != 1 {
		t.Errorf("n %d, ready %v, %v; freed %d times", n, ready, err, owner.n)
	}
	s.open("h", tree.OpenRead).read("xxxxxxxxxx")
}

type freeCount struct{ n int }

func (f *freeCount) Free() { f.n++ }

// TestASteadyStreamAllocatesNothingHere: a handle adds nothing to what package
// hub does for a read and a write.
func TestASteadyStreamAllocatesNothingHere(t *testing.T) {
	s := newServer(t, Config{})
	s.mustCreate("h")
	r, w := s.open("h", tree.OpenRead).h.(tree.StreamReader), s.open("h", tree.OpenWrite).h.(tree.StreamWriter)
	data := []byte(strings.Repeat("x", 1000))
	var pieces []tree.Piece
	wake := func() {}
	round := func() {
		if _, ready, err := w.WriteStream(tree.Piece{Data: data}, 0, wake); !ready || err != nil {
			t.Fatal(ready, err)
		}
		var err error
		pieces, _, err = r.ReadStream(pieces[:0], 0, 1<<20, wake)
		if err != nil || len(pieces) == 0 {
			t.Fatal(err)
		}
		for _, p := range pieces {
			p.Free()
		}
	}
	for range 3000 { // past what the hub retains
		round()
	}
	if n := testing.AllocsPerRun(1000, round); n >= 1 {
		t.Errorf("%v allocations for a write and a read", n)
	}
}

// TestHandlesRefuseWhatTheyWereNotOpenedFor
func TestHandlesRefuseWhatTheyWereNotOpenedFor(t *testing.T) {
	s := newServer(t, Config{})
	s.mustCreate("h")
	s.ctl("shell a")
	checkError(t, "write", s.open("h", tree.OpenRead).write("x"), tree.ErrPermission, "")
	s.open("h", tree.OpenWrite).fails(tree.ErrPermission)
	for _, path := range []string{"status", "events", "shell/a/wait", "shell/a/status", "shell/a/clients", "shell/a/env"} {
		if _, err := s.node(path).(tree.File).Open(glenda, tree.OpenRDWR); !errors.Is(err, tree.ErrPermission) {
			t.Errorf("open %s to write: %v", path, err)
		}
	}
	if _, err := s.node("a0.note").(tree.File).Open(glenda, tree.OpenRead); !errors.Is(err, tree.ErrPermission) {
		t.Errorf("open a note to read: %v", err)
	}
}

// TestAReaderWhoIsOpenForWritingTooCountsFromItsFirstRead: an ORDWR open that
// only writes stops no writer in fear.
func TestAReaderWhoIsOpenForWritingTooCountsFromItsFirstRead(t *testing.T) {
	s := newServer(t, Config{Size: 10})
	s.mustCreate("h")
	s.ctl("fear h")
	w := s.open("h", tree.OpenRDWR)
	for range 5 {
		w.mustWrite("0123456789")
	}
	w.read("0123456789")
	w.mustWrite("0123456789")
	if err := w.write("x"); !errors.Is(err, errWaits) {
		t.Errorf("write before a slow reader: %v", err)
	}
}

func TestEndedHub(t *testing.T) {
	s := newServer(t, Config{})
	s.mustCreate("h")
	w, r := s.open("h", tree.OpenWrite), s.open("h", tree.OpenRead)
	w.mustWrite("all")
	s.ctl("end h exit 3")
	r.read("all")
	r.ends()
	r.ends()
	late := s.open("h", tree.OpenRead)
	late.read("all")
	late.ends()
	if err := w.write("x"); err == nil || err.Error() != "hub h has ended" {
		t.Errorf("write: %v", err)
	}
	s.ctl("reopen h")
	r.waits()
	w.mustWrite("more")
	r.read("more")
}

// TestEOFIsForThoseWhoAreThere, at this point of the stream, once.
func TestEOFIsForThoseWhoAreThere(t *testing.T) {
	s := newServer(t, Config{})
	s.mustCreate("h", "g")
	w, r := s.open("h", tree.OpenWrite), s.open("h", tree.OpenRead)
	w.mustWrite("one")
	s.ctl("eof h")
	w.mustWrite("two")
	late := s.open("h", tree.OpenRead)
	r.read("one")
	r.ends()
	r.read("two")
	late.read("onetwo")
	other := s.open("g", tree.OpenRead)
	s.ctl("eof")
	for _, f := range []*file{r, late, other} {
		f.ends()
		f.waits()
	}
	s.ctlFails("eof nosuch", tree.ErrNotExist, `no hub "nosuch"`)
}

// TestFrozenIsAPlainFile with offsets and an end, and melting wakes.
func TestFrozenIsAPlainFile(t *testing.T) {
	s := newServer(t, Config{Size: 10})
	s.mustCreate("h")
	w := s.open("h", tree.OpenWrite)
	w.mustWrite("0123456789abc")
	s.ctl("freeze")
	s.mustCreate("late")
	r := s.open("h", tree.OpenRead)
	for _, c := range []struct {
		off  int64
		want string
	}{{0, "3456789abc"}, {8, "bc"}, {10, ""}, {99, ""}, {2, "56789abc"}} {
		if data, ready, err := r.try(c.off, 100); data != c.want || !ready || err != nil {
			t.Errorf("at %d: %q, %v, %v", c.off, data, ready, err)
		}
	}
	if err := w.write("x"); !errors.Is(err, errWaits) {
		t.Errorf("write to a frozen hub: %v", err)
	}
	if err := s.open("late", tree.OpenWrite).write("x"); !errors.Is(err, errWaits) {
		t.Errorf("a hub made while all stand still: %v", err)
	}
	s.ctl("melt")
	w.mustWrite("d")
	r.read("456789abcd")
	s.open("late", tree.OpenWrite).mustWrite("x")
}

// TestGlobalWordsSetAllAndTheDefault, and leave stdin in fear.
func TestGlobalWordsSetAllAndTheDefault(t *testing.T) {
	s := newServer(t, Config{})
	mode := func(path string) string {
		for line := range strings.Lines(s.cat("status")) {
			if f := strings.Fields(line); f[0] == "hub" && f[1] == path {
				return f[7]
			}
		}
		return "none"
	}
	s.mustCreate("h", "d/", "d/h")
	s.ctl("shell a")
	s.ctl("fear\ntrunc\n")
	s.mustCreate("new")
	for _, h := range []string{"h", "d/h", "new", "a0", "a1"} {
		if got := mode(h); got != "fear,trunc" {
			t.Errorf("%s: %s", h, got)
		}
	}
	s.ctl("calm\nnotrunc")
	s.mustCreate("newer")
	for h, want := range map[string]string{"h": "calm", "d/h": "calm", "newer": "calm", "a1": "calm", "a0": "fear"} {
		if got := mode(h); got != want {
			t.Errorf("%s: %s, want %s", h, got, want)
		}
	}
	s.ctl("calm a0\nfear h\nlimit d/h 5\nfreeze new\nend newer")
	for h, want := range map[string]string{"h": "fear", "d/h": "calm,limit", "new": "calm,frozen", "newer": "calm,ended", "a0": "calm"} {
		if got := mode(h); got != want {
			t.Errorf("%s: %s, want %s", h, got, want)
		}
	}
	s.ctl("nolimit d/h")
	if got := mode("d/h"); got != "calm" {
		t.Errorf("d/h: %s", got)
	}
	w := s.open("newer", tree.OpenWrite)
	if err := w.write("x"); err == nil {
		t.Error("write to an ended hub")
	}
	if _, err := s.open("d/h", tree.OpenRead).next(); errors.Is(err, io.EOF) {
		t.Error(err)
	}
}
