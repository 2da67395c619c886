package hubfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"hubfs/hub/filestore"
	"hubfs/internal/lex"
	"hubfs/tree"
)

// A disk is a folder of a test, and the servers that use it one after the
// other.
type disk struct {
	t     *testing.T
	state string
	log   strings.Builder // of the server that runs
}

func newDisk(t *testing.T) *disk {
	return &disk{t: t, state: filepath.Join(t.TempDir(), "state", "test")}
}

// serve returns a server that has found what is on the disk.
func (d *disk) serve() *server { return d.serveWith(func(*FS) {}) }

func (d *disk) serveWith(set func(*FS)) *server {
	d.t.Helper()
	d.log.Reset()
	s := newServer(d.t, Config{State: d.state, Log: slog.New(slog.NewTextHandler(&d.log, nil))})
	set(s.FS)
	if err := s.Restore(d.t.Context()); err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { s.stop() })
	return s
}

// stop ends a server in order.
func (s *server) stop() {
	s.t.Helper()
	if err := s.Shutdown(context.Background()); err != nil {
		s.t.Errorf("shutdown: %v", err)
	}
}

// lines returns the lines of /status that begin so.
func (s *server) lines(with string) string {
	s.t.Helper()
	var b strings.Builder
	for line := range strings.Lines(s.cat("status")) {
		if strings.HasPrefix(line, with) {
			b.WriteString(line)
		}
	}
	return b.String()
}

// put writes to a file, and waits until that is answered.
func (f *file) put(data string) {
	f.t.Helper()
	woken := make(chan struct{}, 1)
	h := f.h.(tree.StreamWriter)
	for {
		n, ready, err := h.WriteStream(tree.Piece{Data: []byte(data)}, 0, func() { woken <- struct{}{} })
		switch {
		case err != nil:
			f.t.Fatalf("write to %s: %v", f.path, err)
		case ready && n == len(data):
			return
		case ready:
			f.t.Fatalf("write to %s: %d of %d", f.path, n, len(data))
		}
		<-woken
	}
}

// get reads a hub until it has what is wanted.
func (f *file) get(want string) {
	f.t.Helper()
	got := ""
	for len(got) < len(want) {
		s := f.await(1 << 20)
		if s == "" {
			break
		}
		got += s
	}
	if got != want {
		f.t.Fatalf("read %s: %s, want %s", f.path, lex.Clip(got), lex.Clip(want))
	}
}

// content is what a folder holds for cat FOLDER/*.
func content(t *testing.T, dir string) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	all := ""
	for _, name := range names { // sorted
		if strings.HasPrefix(filepath.Base(name), ".") { // as a shell has it
			continue
		}
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all += string(b)
	}
	return all
}

// TestASpooledHubIsThereAgain after the server was stopped: its bytes, offsets,
// owner, mode, times and end, and the directories that it lies in.
func TestASpooledHubIsThereAgain(t *testing.T) {
	d := newDisk(t)
	s := d.serve()
	s.mustCreate("ci/", "first")
	if err := s.create(alice, "ci/a b"); err != nil {
		t.Fatal(err)
	}
	events := s.open("events", tree.OpenRead)
	w := s.openAs(bob, "ci/a b", tree.OpenWrite)
	w.put("before ")
	s.ctl("spool 'ci/a b' -k 1G -a 3600 -f always")
	dir := filepath.Join(d.state, "ci%2Fa b")
	events.read("hub spool 'ci/a b' " + lex.Quote(dir) + "\n")
	w.put("and after")
	if got, want := s.lines("hub 'ci"), "hub 'ci/a b' 0 16 1048576 0 1 spool 0\n"; got != want {
		t.Errorf("status %q, want %q", got, want)
	}
	if got, want := s.lines("spool"), "spool 'ci/a b' "+lex.Quote(dir)+" 16 always 1073741824 3600\n"; got != want {
		t.Errorf("status %q, want %q", got, want)
	}
	if got := content(t, dir); got != "before and after" {
		t.Errorf("on disk: %q", got)
	}
	mode := uint32(0o640)
	if err := s.node("ci/a b").(tree.Changer).Change(alice, tree.Change{Mode: &mode}); err != nil {
		t.Fatal(err)
	}
	s.ctl("spool first\nend 'ci/a b' exit 3")
	events.read("hub spool first " + d.state + "/first\nhub end 'ci/a b' 'exit 3'\n")
	was := s.node("ci/a b").Stat()
	s.stop()

	s = d.serve()
	is := s.node("ci/a b").Stat()
	if is.UID != "alice" || is.Mode != 0o640 || !is.Atime.Equal(was.Atime) || is.Length != 16 || is.Mtime.Sub(was.Mtime).Abs() > 2*time.Second {
		t.Errorf("stat %+v, was %+v", is, was)
	}
	if got, want := s.lines("hub"), "hub 'ci/a b' 0 16 1048576 0 0 spool,ended 0 'exit 3'\nhub first 0 0 1048576 0 0 spool 0\n"; got != want {
		t.Errorf("status %q, want %q", got, want)
	}
	if a, b := s.node("first").Stat().Path, is.Path; a > b {
		t.Errorf("the first made has path %d, the other %d", a, b)
	}
	r := s.open("ci/a b", tree.OpenRead)
	r.get("before and after")
	r.ends()
	back := s.open("ci/a b@-5", tree.OpenRead)
	back.get("after")
	if s.cat("ci/a b@times") == "" {
		t.Error("the times are gone")
	}

	// It goes on where it stood, and comes back again.
	s.ctl("reopen 'ci/a b'")
	s.open("ci/a b", tree.OpenWrite).put(", and on")
	r.get(", and on")
	s.stop()
	s = d.serve()
	f := s.open("ci/a b", tree.OpenRead)
	f.get("before and after, and on")
	f.waits()
	if d.log.Len() > 0 {
		t.Errorf("log:\n%s", &d.log)
	}
}

// TestAnAnsweredWriteSurvivesAKill: the folder as it is at any moment after the
// answer is that of a server that was killed then.
func TestAnAnsweredWriteSurvivesAKill(t *testing.T) {
	for _, policy := range []string{"always", "second", "never"} {
		t.Run(policy, func(t *testing.T) {
			d := newDisk(t)
			s := d.serve()
			s.mustCreate("h")
			s.ctl("spool h -f " + policy)
			w := s.open("h", tree.OpenWrite)
			want := ""
			for i := range 10 {
				line := fmt.Sprintf("line %d of a job that a kill cuts short\n", i)
				w.put(line)
				want += line
			}
			dead := &disk{t: t, state: filepath.Join(t.TempDir(), "dead")}
			if err := os.CopyFS(dead.state, os.DirFS(d.state)); err != nil {
				t.Fatal(err)
			}
			os.Chmod(dead.state, 0o700)
			w.put("what came later")

			s = dead.serve()
			f := s.open("h", tree.OpenRead)
			f.get(want)
			f.waits()
			s.open("h", tree.OpenWrite).put("goes on")
			f.get("goes on")
		})
	}
}

// TestATornWriteIsCutAndLogged: half a write that a kill left behind is no part
// of the stream.
func TestATornWriteIsCutAndLogged(t *testing.T) {
	d := newDisk(t)
	s := d.serve()
	s.mustCreate("h")
	s.ctl("spool h")
	s.open("h", tree.OpenWrite).put("whole")
	s.stop()
	segment := filepath.Join(d.state, "h", strings.Repeat("0", 20))
	f, err := os.OpenFile(segment, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(f, "tor")
	f.Close()
	s = d.serve()
	r := s.open("h", tree.OpenRead)
	r.get("whole")
	r.waits()
	if got := d.log.String(); !strings.Contains(got, "store repaired") || !strings.Contains(got, "3 bytes") {
		t.Errorf("log: %s", got)
	}
}

// TestAnEndIsOnDiskWhenItIsAnswered, and so is what takes it back.
func TestAnEndIsOnDiskWhenItIsAnswered(t *testing.T) {
	d := newDisk(t)
	s := d.serve()
	s.mustCreate("h")
	s.ctl("spool h")
	note := func() spoolNote {
		t.Helper()
		b, err := filestore.ReadNote(filestore.OS{}, filepath.Join(d.state, "h"))
		if err != nil {
			t.Fatal(err)
		}
		n, _, err := decodeNote(b)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	s.ctl("end h exit 7")
	if n := note(); !n.Ended || n.Status != "exit 7" {
		t.Errorf("note %+v", n)
	}
	s.ctl("reopen h")
	if n := note(); n.Ended {
		t.Errorf("note %+v", n)
	}
	s.ctl("spool h -k 2M -a 60")
	if n := note(); n.Keep != 2<<20 || n.Age != 60 {
		t.Errorf("note %+v", n)
	}
	if got := s.lines("spool"); !strings.HasSuffix(got, " 0 second 2097152 60\n") {
		t.Errorf("status %q", got)
	}
}

// TestARenamedHubComesBackUnderItsName, with the directory it is in.
func TestARenamedHubComesBackUnderItsName(t *testing.T) {
	d := newDisk(t)
	s := d.serve()
	s.mustCreate("a/", "a/h", "x")
	s.ctl("spool a/h\nspool x")
	rename := func(path, to string) {
		t.Helper()
		if err := s.node(path).(tree.Changer).Change(glenda, tree.Change{Name: &to}); err != nil {
			t.Fatal(err)
		}
	}
	rename("a/h", "g")
	rename("a", "b")
	rename("x", "h")
	s.stop()
	s = d.serve()
	if got := s.lines("hub"); !strings.HasPrefix(got, "hub b/g 0") || !strings.Contains(got, "\nhub h 0") || strings.Count(got, "\n") != 2 {
		t.Errorf("status:\n%s", got)
	}
	// The name that is free again gets a folder besides the old one.
	s.mustCreate("x")
	s.ctl("spool x")
	if got := s.lines("spool x"); !strings.Contains(got, d.state+"/x~2 ") {
		t.Errorf("status: %s", got)
	}
}

// TestRmRemovesTheFolder, when nobody has the hub open any more.
func TestRmRemovesTheFolder(t *testing.T) {
	d := newDisk(t)
	s := d.serve()
	s.mustCreate("h", "open")
	s.ctl("spool h\nspool open")
	for range 20 { // whoever is faster, the note or the store that goes
		s.mustCreate("x")
		s.ctl("spool x\nrm x")
	}
	s.open("h", tree.OpenWrite).put("x")
	r, w := s.open("open", tree.OpenRead), s.open("open", tree.OpenWrite)
	w.put("one")
	dead := &disk{t: t, state: filepath.Join(t.TempDir(), "dead")}
	s.ctl("rm open")
	if err := os.CopyFS(dead.state, os.DirFS(d.state)); err != nil {
		t.Fatal(err)
	}
	w.put("two")
	r.get("onetwo")
	r.close()
	w.close()
	s.stop()
	if _, err := os.Stat(filepath.Join(d.state, "open")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder: %v", err)
	}
	if got := content(t, filepath.Join(d.state, "h")); got != "x" {
		t.Errorf("the other hub: %q", got)
	}

	// A server that was killed before they closed it finds no hub, and tidies up.
	os.Chmod(dead.state, 0o700)
	s = dead.serve()
	if got := s.lines("hub"); !strings.HasPrefix(got, "hub h ") {
		t.Errorf("status: %s", got)
	}
	s.stop()
	if _, err := os.Stat(filepath.Join(dead.state, "open")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder: %v", err)
	}
}

// TestNospoolLeavesTheFiles, and no server finds the hub there.
func TestNospoolLeavesTheFiles(t *testing.T) {
	d := newDisk(t)
	s := d.serve()
	s.mustCreate("h")
	events := s.open("events", tree.OpenRead)
	s.ctl("spool h")
	w := s.open("h", tree.OpenWrite)
	w.put("kept ")
	s.ctl("nospool h")
	events.read("hub spool h " + d.state + "/h\nhub nospool h\n")
	w.put("and not")
	s.open("h", tree.OpenRead).get("kept and not")
	s.ctlFails("nospool h", tree.ErrNotExist, "h is not spooled")
	if got := s.lines("spool"); got != "" {
		t.Errorf("status %s", got)
	}
	s.ctl("spool h") // another time, another folder, for what is in memory
	s.stop()
	if got := content(t, filepath.Join(d.state, "h~2")); got != "and not" {
		t.Errorf("second folder: %q", got)
	}
	if got := content(t, filepath.Join(d.state, "h")); got != "kept " {
		t.Errorf("first folder: %q", got)
	}
	s = d.serve()
	s.open("h", tree.OpenRead).get("and not")
	if got := s.lines("hub"); !strings.HasPrefix(got, "hub h 5 12 ") {
		t.Errorf("status %s", got)
	}
	if d.log.Len() > 0 {
		t.Errorf("log: %s", &d.log)
	}
}

// TestAFolderElsewhere is registered by a link, and outlives the hub.
func TestAFolderElsewhere(t *testing.T) {
	d := newDisk(t)
	s := d.serve()
	out := filepath.Join(t.TempDir(), "out")
	s.mustCreate("h", "g")
	s.ctl("spool h " + out)
	s.open("h", tree.OpenWrite).put("far away")
	checkError(t, "spool", s.ctlAs(glenda, "spool g "+out), tree.ErrExist, "is not empty")
	s.stop()
	if to, err := os.Readlink(filepath.Join(d.state, "h")); err != nil || to != out {
		t.Errorf("link to %q, %v", to, err)
	}
	s = d.serve()
	r := s.open("h", tree.OpenRead)
	r.get("far away")
	r.close()
	s.ctl("rm h")
	if _, err := os.Lstat(filepath.Join(d.state, "h")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("link: %v", err)
	}
	s.stop()
	if got := content(t, out); got != "far away" {
		t.Errorf("the files: %q", got)
	}
	s = d.serve()
	if got := s.lines("hub"); got != "" {
		t.Errorf("status %s", got)
	}
}

// TestOutputOfAShellIsATranscript: it is kept for its own sake, and is no hub
// of the next server.
func TestOutputOfAShellIsATranscript(t *testing.T) {
	d := newDisk(t)
	s := d.serve()
	s.ctl("shell a\nspool a1")
	s.proc("a").print("said")
	s.ctlFails("spool a0", tree.ErrInvalid, "what people type")
	s.proc("a").exit(statusCode(0))
	s.waitFor("a")
	s.ctl("rm a")
	s.stop()
	if got := content(t, filepath.Join(d.state, "a1")); got != "said" {
		t.Errorf("transcript %q", got)
	}
	s = d.serve()
	if got := s.lines("hub"); got != "" || d.log.Len() > 0 {
		t.Errorf("status %s\nlog %s", got, &d.log)
	}
}

// A fullDisk takes no more when it is full.
type fullDisk struct {
	filestore.FS
	full atomic.Bool
}

func (d *fullDisk) Open(name string, flag int) (filestore.File, error) {
	f, err := d.FS.Open(name, flag)
	if err != nil {
		return nil, err
	}
	return fullFile{f, d}, nil
}

type fullFile struct {
	filestore.File
	disk *fullDisk
}

func (f fullFile) WriteAt(p []byte, off int64) (int, error) {
	if f.disk.full.Load() {
		n, _ := f.File.WriteAt(p[:len(p)/2], off)
		return n, syscall.ENOSPC
	}
	return f.File.WriteAt(p, off)
}

// TestAFullDiskTurnsAHubToMemory: it goes on, loses nothing that readers have
// not had, and says so; the next server does not take half a history for it.
func TestAFullDiskTurnsAHubToMemory(t *testing.T) {
	d := newDisk(t)
	full := &fullDisk{FS: filestore.OS{}}
	s := d.serveWith(func(fs *FS) { fs.disk = full })
	s.mustCreate("h", "other")
	s.ctl("spool h\nspool other")
	events := s.open("events", tree.OpenRead)
	w, r := s.open("h", tree.OpenWrite), s.open("h", tree.OpenRead)
	w.put("on disk, ")
	full.full.Store(true)
	w.put("no room, ")
	w.put("and on")
	r.get("on disk, no room, and on")
	line := events.await(1 << 10)
	if !strings.HasPrefix(line, "hub nospool h '") || !strings.Contains(line, "no space left") {
		t.Errorf("event %q", line)
	}
	if got := s.lines("hub h "); !strings.HasSuffix(got, " calm,nospool 0\n") {
		t.Errorf("status %s", got)
	}
	// Nothing else is harmed, and an end is an end though it cannot be noted.
	checkError(t, "end", s.ctlAs(glenda, "end other"), syscall.ENOSPC, "done, but not noted on disk")
	if got := s.lines("hub other "); !strings.Contains(got, "spool,ended") {
		t.Errorf("status %s", got)
	}
	s.ctlFails("spool h", syscall.ENOSPC, "spool: ")
	full.full.Store(false)
	s.ctl("end other") // the same again: now it can be noted
	s.stop()

	s = d.serve()
	if got := s.lines("hub"); !strings.HasPrefix(got, "hub other ") || !strings.Contains(got, "spool,ended") {
		t.Errorf("status after a restart: %s", got)
	}
	if got := content(t, filepath.Join(d.state, "h")); !strings.HasPrefix(got, "on disk, ") {
		t.Errorf("the files: %q", got)
	}
}

// TestAHostileStateFolder: what is no hub is logged and left alone, and the hubs
// are there.
func TestAHostileStateFolder(t *testing.T) {
	d := newDisk(t)
	s := d.serve()
	s.mustCreate("good", "two", "gone", "d/", "d/h")
	s.ctl("spool good\nspool two\nspool gone\nspool d/h")
	s.open("good", tree.OpenWrite).put("good")
	s.stop()
	at := func(path ...string) string { return filepath.Join(append([]string{d.state}, path...)...) }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	note, err := os.ReadFile(at("good", ".hub"))
	must(err)
	change := func(from, to string) []byte {
		t.Helper()
		out := strings.Replace(string(note), from, to, 1)
		if out == string(note) {
			t.Fatalf("the note has no %s", from)
		}
		return []byte(out)
	}
	must(os.WriteFile(at("a file"), nil, 0o600))
	must(os.Mkdir(at("empty"), 0o700))
	must(os.Symlink("relative", at("link1")))
	must(os.Symlink("/no/such/folder", at("link2")))
	must(os.Symlink(at("good"), at("link3"))) // twice the same
	must(syscall.Mkfifo(at("fifo"), 0o600))
	must(os.Mkdir(at("notefifo"), 0o700))
	must(syscall.Mkfifo(at("notefifo", ".hub"), 0o600))
	must(os.MkdirAll(at("notedir", ".hub"), 0o700))
	must(os.Rename(at("gone"), at("moved"))) // its name does not matter
	for name, b := range map[string][]byte{
		"nojson":  []byte("{"),
		"zero":    {},
		"huge":    []byte(strings.Repeat(" ", 2<<20)),
		"version": change(`"version": 1`, `"version": 2`),
		"path":    change(`"name": "good"`, `"name": "../../etc"`),
		"ctl":     change(`"name": "good"`, `"name": "ctl"`),
		"same":    note, // two of one name, and as old: the first in the folder has it
		"under": []byte(strings.NewReplacer(`"good"`, `"two/x"`, `"owner"`, `"dirs": [{"owner": "o", "mode": 511}], "owner"`, `"made": "20`, `"made": "21`).
			Replace(string(note))), // two is a hub
		"nodirs": change(`"name": "good"`, `"name": "x/y"`),
		"mode":   change(`"mode": 438`, `"mode": 4026531840`),
		"sync":   change(`"sync": "second"`, `"sync": "sometimes"`),
		"owner":  change(`"owner": "glenda"`, `"owner": "`+strings.Repeat("x", 300)+`"`),
		"status": change(`"made"`, `"ended": true, "status": "a\nb", "made"`),
		"keep":   change(`"made"`, `"keep": -1, "made"`),
		"age":    change(`"made"`, `"age": 9223372036854775807, "made"`),
	} {
		must(os.Mkdir(at(name), 0o700))
		must(os.WriteFile(at(name, ".hub"), b, 0o600))
	}
	s = d.serve()
	if got := strings.Join(strings.Fields(hubNames(s.lines("hub"))), " "); got != "d/h gone good two" {
		t.Errorf("hubs: %s\nlog: %s", got, &d.log)
	}
	s.open("good", tree.OpenRead).get("good")
	for _, name := range []string{"a file", "link1", "link2", "fifo", "notefifo", "notedir", "nojson", "zero", "huge",
		"version", "path", "ctl", "same", "under", "nodirs", "mode", "sync", "owner", "status", "keep", "age"} {
		if !strings.Contains(d.log.String(), at(name)) {
			t.Errorf("nothing is said of %s", name)
		}
		if _, err := os.Lstat(at(name)); err != nil {
			t.Error(err)
		}
	}
	if strings.Contains(d.log.String(), at("empty")) { // files for their own sake
		t.Errorf("log:\n%s", &d.log)
	}
}

func hubNames(lines string) (names string) {
	for line := range strings.Lines(lines) {
		names += strings.Fields(line)[1] + " "
	}
	return names
}

// TestTheStateFolderIsOneServersAndItsUsersAlone
func TestTheStateFolderIsOneServersAndItsUsersAlone(t *testing.T) {
	d := newDisk(t)
	first := d.serve()
	first.mustCreate("h")
	first.ctl("spool h")
	first.open("h", tree.OpenWrite).put("x")

	second := newServer(t, Config{State: d.state})
	over, cancel := context.WithCancel(t.Context())
	cancel()
	checkError(t, "restore", second.Restore(over), context.Canceled, "in use by another server")

	// Who waits gets it when the first is done, with all that it wrote.
	restored := make(chan error)
	go func() { restored <- second.Restore(t.Context()) }() // ends when first does
	first.stop()
	if err := <-restored; err != nil {
		t.Fatal(err)
	}
	second.open("h", tree.OpenRead).get("x")
	second.stop()

	if err := os.Chmod(d.state, 0o777); err != nil {
		t.Fatal(err)
	}
	third := newServer(t, Config{State: d.state})
	checkError(t, "restore", third.Restore(t.Context()), nil, "others may write to it")
}

// TestAServerIsNotInUseForWhatIsOnDisk once that has ended and nobody has it
// open.
func TestAServerIsNotInUseForWhatIsOnDisk(t *testing.T) {
	s := newDisk(t).serve()
	in := func(want bool, when string) {
		t.Helper()
		if got := s.InUse(); got != want {
			t.Errorf("%s: in use %v", when, got)
		}
	}
	changes := func(when string, do func()) {
		t.Helper()
		ch := s.Changed()
		do()
		select {
		case <-ch:
		default:
			t.Errorf("%s: nobody was told", when)
		}
	}
	s.mustCreate("h")
	s.ctl("spool h")
	in(true, "it flows")
	changes("end", func() { s.ctl("end h") })
	in(false, "it has ended")
	var f *file
	changes("open", func() { f = s.open("h", tree.OpenRead) })
	in(true, "somebody reads")
	changes("close", func() { f.close() })
	in(false, "nobody does")
	changes("reopen", func() { s.ctl("reopen h") })
	in(true, "it flows again")
	s.ctl("end h")
	changes("nospool", func() { s.ctl("nospool h") })
	in(true, "it is in memory")
	changes("rm", func() { s.ctl("rm h") })
	in(false, "it is gone")
}

// TestSpoolWords are refused with the reason, and nothing is left behind.
func TestSpoolWords(t *testing.T) {
	d := newDisk(t)
	s := d.serve()
	s.mustCreate("h", "x")
	s.ctl("spool x")
	s.ctl("shell sh")
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		who  *tree.Caller
		line string
		want error
		say  string
	}{
		{glenda, "spool", nil, "expected spool HUB [-f always|second|never] [-k BYTES] [-a SECONDS] [DIR]"},
		{glenda, "spool -k 5", nil, "no hub: expected"},
		{glenda, "spool h -k", nil, "-k wants an argument: expected"},
		{glenda, "spool h -k 0", nil, `"0" is not a number of bytes`},
		{glenda, "spool h -k 5T", nil, `"5T" is not a number of bytes`},
		{glenda, "spool h -k 9999999999G", nil, "not a number of bytes"},
		{glenda, "spool h -a never", nil, "not a number of 1 or more"},
		{glenda, "spool h -f daily", nil, `-f "daily": expected spool`},
		{glenda, "spool h -z", nil, `unexpected "-z"`},
		{glenda, "spool h /a /b", nil, `unexpected "/b"`},
		{glenda, "spool nosuch", tree.ErrNotExist, "no hub"},
		{glenda, "spool sh0", tree.ErrInvalid, "what people type"},
		{glenda, "spool h rel", tree.ErrInvalid, "not absolute"},
		{glenda, "spool h " + d.state + "/x", tree.ErrInvalid, "server's own folder"},
		{glenda, "spool h " + file, nil, "not a directory"},
		{glenda, "spool x -f always", tree.ErrExist, "x is spooled already"},
		{glenda, "spool x /tmp/x", tree.ErrExist, "x is spooled already"},
		{alice, "spool h /tmp/x", tree.ErrPermission, "only the server's own user may say where"},
		{alice, "spool h", tree.ErrPermission, "only glenda, the owner"},
		{alice, "nospool x", tree.ErrPermission, "only glenda, the owner"},
		{glenda, "nospool h", tree.ErrNotExist, "h is not spooled"},
		{glenda, "nospool", nil, "expected nospool HUB"},
	} {
		before := s.lines("hub") + s.lines("spool")
		checkError(t, c.line, s.ctlAs(c.who, c.line), c.want, c.say)
		if after := s.lines("hub") + s.lines("spool"); after != before {
			t.Errorf("%q was refused and did something:\n%s", c.line, after)
		}
	}
	if found, _ := os.ReadDir(d.state); len(found) != 1 {
		t.Errorf("the state folder holds %v", found)
	}
	none := newServer(t, Config{})
	none.mustCreate("h")
	none.ctlFails("spool h", tree.ErrInvalid, "no folder of its own (--state)")
	none.ctl("spool h " + filepath.Join(t.TempDir(), "dir"))
	none.open("h", tree.OpenWrite).put("x")
	none.stop()
}

func TestParseBytes(t *testing.T) {
	for in, want := range map[string]int64{
		"1": 1, "65536": 65536, "64K": 64 << 10, "64k": 64 << 10, "1M": 1 << 20, "2g": 2 << 30, "8589934591G": 8589934591 << 30,
		"": 0, "K": 0, "0": 0, "-1": 0, "1KB": 0, "1.5M": 0, "M1": 0, "8589934592G": 0, "9223372036854775808": 0,
	} {
		got, err := parseBytes(in)
		if want == 0 && err == nil || want != 0 && (err != nil || got != want) {
			t.Errorf("%q: %d, %v", in, got, err)
		}
	}
}

func TestEntryNames(t *testing.T) {
	for in, want := range map[string]string{
		"build": "build", "ci/build-17": "ci%2Fbuild-17", ".hidden": "%2Ehidden", "a.b": "a.b", "-x": "%2Dx",
		"a%2Fb": "a%252Fb", "x~2": "x%7E2", "ärger→": "ärger→", "a b": "a b",
		strings.Repeat("→", 300): strings.Repeat("→", 66),
	} {
		if got := entryName(in); got != want || len(got) > maxEntryName {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// TestManySpoolsAtOnce, for the race detector: words, writers, renames and
// removals, and in the end the next server finds what is there.
func TestManySpoolsAtOnce(t *testing.T) {
	d := newDisk(t)
	s := d.serve()
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() { // ends after its rounds
			name, other := fmt.Sprint("n", i%2), fmt.Sprint("m", i%2)
			for range 15 {
				s.create(glenda, name)
				s.ctlAs(glenda, "spool "+name)
				if n, err := s.walk(glenda, name); err == nil {
					if h, err := n.(tree.File).Open(glenda, tree.OpenRDWR); err == nil {
						f := &file{t: t, h: h}
						f.write("0123456789")
						f.try(0, 10)
						f.close()
					}
					n.(tree.Changer).Change(glenda, tree.Change{Name: &other})
				}
				s.ctlAs(glenda, "end "+other)
				s.cat("status")
				s.InUse()
				s.ctlAs(glenda, "nospool "+other)
				s.ctlAs(glenda, "rm "+other)
				s.ctlAs(glenda, "rm "+name)
			}
		})
	}
	all.Wait()
	s.mustCreate("last")
	s.ctl("spool last")
	want := hubNames(s.lines("hub"))
	s.stop()
	s = d.serve()
	if got := hubNames(s.lines("hub")); !strings.Contains(got, "last") || len(got) > len(want) {
		t.Errorf("hubs %s, were %s\nlog: %s", got, want, &d.log)
	}
}

// TestANewHubGetsTheFolderOfItsName, when one of the same name and its files
// were removed just before: hub tee does so each time.
func TestANewHubGetsTheFolderOfItsName(t *testing.T) {
	d := newDisk(t)
	s := d.serve()
	for i := range 50 {
		s.mustCreate("build")
		s.ctl("spool build")
		if got, want := s.lines("spool"), "spool build "+d.state+"/build 0 "; !strings.HasPrefix(got, want) {
			t.Fatalf("time %d: status %q, want %s", i, got, want)
		}
		w := s.open("build", tree.OpenWrite)
		w.put("something")
		w.close()
		s.ctl("rm build")
	}
}

// A slowDisk takes its time to remove the bytes of a stream.
type slowDisk struct{ filestore.FS }

func (d slowDisk) Remove(name string) error {
	if !strings.HasPrefix(filepath.Base(name), ".") {
		time.Sleep(20 * time.Millisecond) // this is how long the disk takes, not the test
	}
	return d.FS.Remove(name)
}

// TestWhatWasRemovedDoesNotComeBack: when rm is answered no server finds the hub
// again, whether the note or the end of the store came first.
func TestWhatWasRemovedDoesNotComeBack(t *testing.T) {
	d := newDisk(t)
	s := d.serveWith(func(fs *FS) { fs.disk = slowDisk{filestore.OS{}} })
	for i := range 20 {
		name := fmt.Sprint("h", i)
		s.mustCreate(name)
		s.ctl("spool " + name)
		f := s.open(name, tree.OpenWrite)
		f.put("x")
		f.close()
		s.ctl("rm " + name)
		b, err := filestore.ReadNote(filestore.OS{}, filepath.Join(d.state, name))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if n, _, nerr := decodeNote(b); err != nil || nerr != nil || !n.Removed {
			t.Fatalf("%s: note %s: %v, %v", name, b, err, nerr)
		}
	}
}

// TestASpooledHubCanBeSpooled: who wants a hub to be on disk need not know that
// it is, which it may be from the time of another server.
func TestASpooledHubCanBeSpooled(t *testing.T) {
	d := newDisk(t)
	s := d.serve()
	s.mustCreate("h")
	s.ctl("spool h -k 2M")
	s.stop()
	s = d.serve()
	s.ctl("spool h\nspool h -f second")
	if got := s.lines("spool"); !strings.HasSuffix(got, " second 2097152 0\n") {
		t.Errorf("status %q", got)
	}
}

// A guest may own a hub because it has made it. The disk is not its own for that:
// what says that a hub is kept there takes the role of an owner.
func TestWhoMadeAHubDoesNotOwnTheDisk(t *testing.T) {
	d := newDisk(t)
	s := d.serve()
	eve := guest("e", bounds{"e": lWrite})
	if err := s.create(eve, "e"); err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"spool e", "spool e -k 10", "spool e " + t.TempDir()} {
		if err := s.ctlAs(eve, word); !errors.Is(err, tree.ErrPermission) {
			t.Errorf("%s: %v", word, err)
		}
	}
	s.ctl("spool e")
	if err := s.ctlAs(eve, "nospool e"); !errors.Is(err, tree.ErrPermission) {
		t.Errorf("nospool: %v", err)
	}
	if err := s.ctlAs(guest("o", bounds{"e": lOwn}), "spool e -k 10M"); err != nil {
		t.Errorf("an owner: %v", err)
	}
}
