package filestore

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"hubfs/hub"
)

// write appends n bytes and waits until they are stable.
func write(t testing.TB, s *Store, n int) []byte {
	t.Helper()
	changed := make(chan struct{}, 1)
	s.Notify(func() { poke(changed) })
	_, next := s.Bounds()
	b := make([]byte, n)
	for i := range b {
		at := int(next) + i
		b[i] = byte(at ^ at>>8 ^ at>>16)
	}
	if _, err := s.Append(hub.Piece{Data: b}); err != nil {
		t.Fatal(err)
	}
	for s.Stable() < next+int64(n) {
		if err := s.Err(); err != nil {
			t.Fatal(err)
		}
		<-changed
	}
	return b
}

// readFrom reads all from off on, or as far as it can be read.
func readFrom(s *Store, off int64) (got []byte, err error) {
	changed := make(chan struct{}, 1)
	s.Notify(func() { poke(changed) })
	for _, next := s.Bounds(); off < next; {
		pieces, err := s.Read(nil, off, 100_000)
		if errors.Is(err, hub.ErrNotLoaded) {
			<-changed
			continue
		}
		if err != nil {
			return got, err
		}
		for _, p := range pieces {
			got = append(got, p.Data...)
			off += int64(len(p.Data))
			p.Free()
		}
	}
	return got, nil
}

func closeAndWait(t testing.TB, s *Store) {
	t.Helper()
	s.Close()
	if err := s.Wait(); err != nil {
		t.Fatal(err)
	}
}

// The folder is the transcript, for who knows nothing of stores.
func TestFolderIsTheTranscript(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	s := mustOpen(t, dir, Options{Segment: 10_000})
	var want []byte
	for range 30 {
		want = append(want, write(t, s, 1234)...)
	}
	if err := s.SetNote([]byte("a note")); err != nil {
		t.Fatal(err)
	}
	closeAndWait(t, s)
	names, err := filepath.Glob(filepath.Join(dir, "[^.]*"))
	if err != nil || len(names) != 4 {
		t.Fatalf("%d segments: %v, %v", len(names), names, err)
	}
	var got []byte
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, b...)
	}
	if !bytes.Equal(got, want) {
		t.Fatal("cat gives other bytes")
	}
	for name, mode := range map[string]os.FileMode{dir: 0o700, names[0]: 0o600, filepath.Join(dir, ".hub"): 0o600} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: mode %v, %v; want %v", name, info.Mode(), err, mode)
		}
	}
}

func TestTornWriteIsCutWithANote(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir, Options{})
	want := write(t, s, 8192)
	closeAndWait(t, s)
	f, err := os.OpenFile(filepath.Join(dir, dataName(0)), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteString("seventeen bytes..")
	f.Close()
	var log bytes.Buffer
	s = mustOpen(t, dir, Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	const note = "cut 17 bytes of a torn write at 8192"
	if got := s.Repaired(); got != note {
		t.Errorf("Repaired = %q; want %q", got, note)
	}
	if !strings.Contains(log.String(), note) {
		t.Errorf("logged: %q", log.String())
	}
	if got, err := readFrom(s, 0); err != nil || !bytes.Equal(got, want) {
		t.Errorf("read %d bytes, %v", len(got), err)
	}
	closeAndWait(t, s)
	s = mustOpen(t, dir, Options{})
	if got := s.Repaired(); got != "" {
		t.Errorf("Repaired = %q the second time", got)
	}
	closeAndWait(t, s)
}

// A byte that the disk has changed is an error that names the place, and what
// is around it can be read.
func TestChangedByteIsAnErrorNotAByte(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir, Options{Segment: 1 << 20, Tail: 1})
	want := write(t, s, 3<<20)
	closeAndWait(t, s)
	name := filepath.Join(dir, dataName(1<<20))
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	const bad = 3*blockSize + 5
	f.WriteAt([]byte{^want[1<<20+bad]}, bad)
	f.Close()

	s = mustOpen(t, dir, Options{Segment: 1 << 20, Tail: 1})
	got, err := readFrom(s, 0)
	var sum *SumError
	if !errors.As(err, &sum) || sum.Name != name || sum.From != 3*blockSize || sum.To != 4*blockSize {
		t.Errorf("err = %v", err)
	}
	if !bytes.Equal(got, want[:1<<20+3*blockSize]) {
		t.Errorf("%d bytes before the bad block", len(got))
	}
	from := 1<<20 + 4*blockSize
	if got, err := readFrom(s, int64(from)); err != nil || !bytes.Equal(got, want[from:]) {
		t.Errorf("behind the bad block: %d bytes, %v", len(got), err)
	}
	closeAndWait(t, s)
}

// Who waits for bytes that turn out to be bad hears of it, through a hub too,
// which looks whether they are there before it wakes anybody.
func TestWaitingReaderHearsOfBadBytes(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir, Options{Segment: 1 << 20, Tail: 1})
	write(t, s, 2<<20)
	closeAndWait(t, s)
	f, err := os.OpenFile(filepath.Join(dir, dataName(0)), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteAt([]byte("other"), 5*blockSize)
	f.Close()

	s = mustOpen(t, dir, Options{Segment: 1 << 20, Tail: 1})
	h := hub.New(hub.Options{Store: s})
	r := h.NewReader(hub.FromOldest, hub.ReaderOptions{})
	var got int
	var sum *SumError
	for buf := make([]byte, 1<<20); ; {
		n, err := r.ReadContext(t.Context(), buf)
		if got += n; err != nil {
			if !errors.As(err, &sum) || got != 5*blockSize {
				t.Errorf("%d bytes, then %v", got, err)
			}
			break
		}
	}
	h.Close()
	if err := s.Wait(); err != nil {
		t.Error(err)
	}
}

// A hole ends the stream, and what is behind it is not deleted.
func TestHoleEndsTheStream(t *testing.T) {
	dir := t.TempDir()
	o := Options{Segment: 10_000}
	s := mustOpen(t, dir, o)
	want := write(t, s, 45_000)
	closeAndWait(t, s)
	os.Remove(filepath.Join(dir, dataName(20_000)))
	s = mustOpen(t, dir, o)
	if got, err := readFrom(s, 0); err != nil || !bytes.Equal(got, want[:20_000]) {
		t.Errorf("read %d bytes, %v", len(got), err)
	}
	if got, want := s.Repaired(), "set aside 15000 bytes from 30000 on, which nothing vouches for"; got != want {
		t.Errorf("Repaired = %q; want %q", got, want)
	}
	if b, err := os.ReadFile(filepath.Join(dir, lostName(30_000))); err != nil || !bytes.Equal(b, want[30_000:40_000]) {
		t.Errorf("set aside: %d bytes, %v", len(b), err)
	}
	closeAndWait(t, s)
}

// Segments without their indexes, as a plain cp leaves them, are not destroyed.
func TestUnvouchedBytesAreKeptAside(t *testing.T) {
	dir := t.TempDir()
	first := filepath.Join(dir, dataName(5000))
	os.WriteFile(first, []byte("one"), 0o600)
	os.WriteFile(filepath.Join(dir, dataName(5003)), []byte("two"), 0o600)
	s := mustOpen(t, dir, Options{})
	if f, n := s.Bounds(); f != 5000 || n != 5000 {
		t.Errorf("Bounds = %d, %d", f, n)
	}
	write(t, s, 10)
	closeAndWait(t, s)
	for first, want := range map[int64]string{5000: "one", 5003: "two"} {
		if b, err := os.ReadFile(filepath.Join(dir, lostName(first))); err != nil || string(b) != want {
			t.Errorf("set aside: %q, %v", b, err)
		}
	}
}

func TestFolderHasOneServer(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir, Options{})
	if _, err := Open(dir, Options{}); !errors.Is(err, ErrLocked) {
		t.Errorf("second Open: %v", err)
	}
	closeAndWait(t, s)
	closeAndWait(t, mustOpen(t, dir, Options{}))
}

// Names that are a segment's or an index's must be plain files: a link or a
// fifo that took the place of one is refused, and nobody waits for it.
// A process that is just being started has the lock of who starts it, until it
// is another program.
func TestLockIsWaitedForAMoment(t *testing.T) {
	dir := t.TempDir()
	before, err := OS{}.Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer time.AfterFunc(lockMax/5, func() { before.Close() }).Stop()
	s := mustOpen(t, dir, Options{})
	closeAndWait(t, s)
}

func TestOddFilesAreRefused(t *testing.T) {
	for _, name := range []string{dataName(0), indexName(0), noteName, noteTmpName, lostName(3)} {
		for _, odd := range []struct {
			kind string
			make func(name string) error
		}{
			{"symlink", func(name string) error { return os.Symlink("/etc/passwd", name) }},
			{"dangling symlink", func(name string) error { return os.Symlink("nowhere", name) }},
			{"fifo", func(name string) error { return syscall.Mkfifo(name, 0o600) }},
			{"folder", func(name string) error { return os.Mkdir(name, 0o700) }},
		} {
			dir := t.TempDir()
			if err := odd.make(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
			s, err := Open(dir, Options{})
			if err == nil {
				closeAndWait(t, s)
				t.Errorf("%s as a %s was taken", name, odd.kind)
			} else if !strings.Contains(err.Error(), name) {
				t.Errorf("%s as a %s: %v", name, odd.kind, err)
			}
		}
	}
}

func TestIndexOfANewerVersionIsRefused(t *testing.T) {
	dir := t.TempDir()
	closeAndWait(t, func() *Store { s := mustOpen(t, dir, Options{}); write(t, s, 10); return s }())
	x := appendHeader(nil, false)
	x[8] = version + 1
	x = appendSum(x[:20], 0)
	f, err := os.OpenFile(filepath.Join(dir, indexName(0)), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteAt(x, 0)
	f.Close()
	if _, err := Open(dir, Options{}); !errors.Is(err, errNewer) {
		t.Fatalf("Open: %v", err)
	}
}

func TestRemoveLeavesWhatIsNotOurs(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "spool")
	s := mustOpen(t, dir, Options{Segment: 1000})
	write(t, s, 10_000)
	s.SetNote([]byte("note"))
	other := filepath.Join(dir, "README")
	os.WriteFile(other, []byte("mine"), 0o600)
	s.Remove()
	if err := s.Wait(); err != nil {
		t.Fatal(err)
	}
	if found, _ := os.ReadDir(dir); len(found) != 1 || found[0].Name() != "README" {
		t.Errorf("left: %v", found)
	}
	os.Remove(other)
	s = mustOpen(t, dir, Options{})
	write(t, s, 10)
	s.Append(hub.Piece{Data: make([]byte, 100_000)}) // perhaps still queued
	s.Remove()
	if err := s.Wait(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder is still there: %v", err)
	}
}

func TestNotes(t *testing.T) {
	d := newDisk(1)
	s := mustOpen(t, testDir, Options{FS: d.view()})
	if s.Note() != nil {
		t.Errorf("Note = %q of a new store", s.Note())
	}
	s.SetNote([]byte("one"))
	s.SetNote([]byte("two"))
	if err := s.SetNote(make([]byte, maxNote+1)); err == nil {
		t.Error("a note without end was taken")
	}
	d.crash()
	s.Close()
	s.Wait()
	s = mustOpen(t, testDir, Options{FS: d.view()})
	if got := string(s.Note()); got != "two" {
		t.Errorf("Note = %q after a crash", got)
	}
	closeAndWait(t, s)
	if err := s.SetNote(nil); err == nil {
		t.Error("a closed store took a note")
	}
}

func TestKeepDropsTheOldest(t *testing.T) {
	d := newDisk(1)
	o := Options{FS: d.view(), Segment: 10_000, Keep: 35_000, Tail: 1}
	s := mustOpen(t, testDir, o)
	for range 100 {
		write(t, s, 1000)
		first, next := s.Bounds()
		if next > 50_000 && (next-first < 35_000 || next-first > 46_000) {
			t.Fatalf("Bounds = %d, %d; want 35000 and a segment", first, next)
		}
		if s.Size() != next-first {
			t.Fatalf("Size = %d; want %d", s.Size(), next-first)
		}
	}
	if _, err := s.Read(nil, 0, 1); !errors.Is(err, hub.ErrNotLoaded) {
		t.Errorf("Read of what is gone: %v", err)
	}
	s.SetLimits(5000, 0)
	if first, next := s.Bounds(); next-first != 10_000 {
		t.Errorf("Bounds = %d, %d after SetLimits", first, next)
	}
	closeAndWait(t, s)
	entries, _ := d.view().List(testDir)
	if len(entries) != 2 {
		t.Errorf("left: %v", entries)
	}
}

// A damaged index of a segment that was complete ends the stream, as it must, but
// destroys nothing: the bytes may be good.
func TestDamagedIndexDestroysNothing(t *testing.T) {
	for _, segment := range []int64{0, 1 << 20} { // the first of three, and the last, which is sealed
		dir := t.TempDir()
		s := mustOpen(t, dir, Options{Segment: 1 << 20})
		want := write(t, s, 2<<20)
		if segment == 0 {
			want = append(want, write(t, s, 1<<20)...)
		}
		closeAndWait(t, s)
		x, err := os.OpenFile(filepath.Join(dir, indexName(segment)), os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		if segment > 0 { // as if it had been done
			x.WriteAt(appendHeader(nil, true), 0)
		}
		x.WriteAt([]byte("damaged"), 5*recordSize)
		x.Close()

		s = mustOpen(t, dir, Options{Segment: 1 << 20})
		if _, next := s.Bounds(); next != segment+4*blockSize {
			t.Errorf("next = %d", next)
		}
		if got := s.Repaired(); !strings.Contains(got, "set aside a copy") {
			t.Errorf("Repaired = %q", got)
		}
		closeAndWait(t, s)
		got, err := os.ReadFile(filepath.Join(dir, lostName(segment)))
		if err != nil || !bytes.Equal(got, want[segment:segment+1<<20]) {
			t.Errorf("aside: %d bytes, %v", len(got), err)
		}
	}
}

// Bytes go when they are old, whether or not new ones come, and the stream
// keeps its place.
func TestAgeDropsTheOldest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk(1)
		s := mustOpen(t, testDir, Options{FS: d.view(), Age: time.Hour, Tail: 1})
		write(t, s, 1000)
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		write(t, s, 1000)
		if first, _ := s.Bounds(); first != 0 {
			t.Errorf("first = %d after half the time", first)
		}
		time.Sleep(31 * time.Minute)
		synctest.Wait()
		if first, next := s.Bounds(); first != 1000 || next != 2000 {
			t.Errorf("Bounds = %d, %d; the oldest are too old", first, next)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if first, next := s.Bounds(); first != 2000 || next != 2000 {
			t.Errorf("Bounds = %d, %d; all are too old", first, next)
		}
		closeAndWait(t, s)
		s = mustOpen(t, testDir, Options{FS: d.view(), Age: time.Hour})
		if first, next := s.Bounds(); first != 2000 || next != 2000 {
			t.Errorf("Bounds = %d, %d; the stream has lost its place", first, next)
		}
		closeAndWait(t, s)
	})
}

// Bytes of a time that is still to come, since the clock was ahead, go at the age
// as if they were of now.
func TestAgeAfterTheClockWasPutBack(t *testing.T) {
	d := newDisk(1)
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(1000 * time.Hour)
		s := mustOpen(t, testDir, Options{FS: d.view(), Segment: 1000, Tail: 1})
		write(t, s, 3500)
		closeAndWait(t, s)
	})
	synctest.Test(t, func(t *testing.T) { // begins at the same time
		s := mustOpen(t, testDir, Options{FS: d.view(), Segment: 1000, Age: time.Hour, Tail: 1})
		if first, _ := s.Bounds(); first != 0 {
			t.Errorf("first = %d at once", first)
		}
		time.Sleep(90 * time.Minute)
		synctest.Wait()
		if first, next := s.Bounds(); first < 3000 || next != 3500 {
			t.Errorf("Bounds = %d, %d; the oldest are too old", first, next)
		}
		closeAndWait(t, s)
	})
}

// Under Second, what is a second old survives a crash, and a store at rest
// syncs nothing.
func TestSecondIsASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk(1)
		o := Options{FS: d.view(), Sync: Second}
		s := mustOpen(t, testDir, o)
		write(t, s, 100_000)
		time.Sleep(time.Second)
		synctest.Wait()
		ops := d.ops
		time.Sleep(time.Hour)
		synctest.Wait()
		if d.ops != ops {
			t.Errorf("%d operations at rest", d.ops-ops)
		}
		d.crash()
		s.Close()
		s.Wait()
		o.FS = d.view()
		s = mustOpen(t, testDir, o)
		if _, next := s.Bounds(); next != 100_000 {
			t.Errorf("%d bytes are left", next)
		}
		closeAndWait(t, s)
	})
}

// A store at rest has no goroutine, no open segment but the one that is
// written, and no block.
func TestStoreAtRestHoldsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := mustOpen(t, testDir, Options{FS: newDisk(1).view(), Segment: 100_000, Tail: 1})
		write(t, s, 1_000_000)
		if _, err := readFrom(s, 0); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		s.mu.Lock()
		if s.flushing || s.keeping || s.loading > 0 || len(s.blocks) > 0 || len(s.shelf) > 0 {
			t.Errorf("flushing %v, keeping %v, %d loading, %d blocks, %d files",
				s.flushing, s.keeping, s.loading, len(s.blocks), len(s.shelf))
		}
		s.mu.Unlock()
		if got, err := readFrom(s, 0); err != nil || len(got) != 1_000_000 {
			t.Errorf("read %d bytes, %v", len(got), err)
		}
		closeAndWait(t, s)
	})
}

// The index of a segment that was written a byte at a time stays small, and
// keeps times.
func TestSealedIndexIsSmall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk(1)
		o := Options{FS: d.view(), Segment: 5000}
		s := mustOpen(t, testDir, o)
		for range 5001 {
			write(t, s, 1)
			time.Sleep(time.Second)
		}
		closeAndWait(t, s)
		if n := len(d.names[s.path(indexName(0))].data); n > (sealedTimes+2)*recordSize {
			t.Errorf("the index has %d bytes", n)
		}
		s = mustOpen(t, testDir, o)
		if n := len(s.Moments()); n < sealedTimes/2 || n > maxMoments {
			t.Errorf("%d moments", n)
		}
		if got, err := readFrom(s, 0); err != nil || len(got) != 5001 {
			t.Errorf("read %d bytes, %v", len(got), err)
		}
		closeAndWait(t, s)
	})
}

// Many late readers at many places all get on, in bounded memory.
func TestManyLateReaders(t *testing.T) {
	s := mustOpen(t, testDir, Options{FS: newDisk(1).view(), Segment: 20 << 20, Tail: 1})
	want := write(t, s, 48<<20)
	const readers = 300
	changed := make(chan struct{}, 1)
	s.Notify(func() { poke(changed) })
	var offs [readers]int64
	for i := range offs {
		offs[i] = int64(i) * (40 << 20) / readers
	}
	for left := readers; left > 0; {
		left = 0
		for i, off := range offs {
			if end := int64(i)*(40<<20)/readers + 2*unit; off >= end {
				continue
			}
			left++
			pieces, err := s.Read(nil, off, unit)
			if errors.Is(err, hub.ErrNotLoaded) {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range pieces {
				if !bytes.Equal(p.Data, want[offs[i]:][:len(p.Data)]) {
					t.Fatal("other bytes")
				}
				offs[i] += int64(len(p.Data))
				p.Free()
			}
		}
		s.mu.Lock()
		if len(s.blocks) > mostUnits+readers*(1+aheadFirst) {
			t.Fatalf("%d blocks", len(s.blocks))
		}
		s.mu.Unlock()
	}
	closeAndWait(t, s)
}

// More readers than there are units in memory all get on, each at a place of
// its own.
func TestMoreReadersThanUnits(t *testing.T) {
	disk := &countingFS{}
	s := mustOpen(t, t.TempDir(), Options{FS: disk, Sync: Never, Tail: 1})
	const readers = 2 * mostUnits
	want := write(t, s, readers*unit)
	waiting := map[int]bool{}
	for i := range readers {
		waiting[i] = true
	}
	changed := make(chan struct{}, 1)
	s.Notify(func() { poke(changed) })
	for ; len(waiting) > 0; <-changed {
		for i := range waiting {
			off := i*unit + 7*i
			pieces, err := s.Read(nil, int64(off), 1)
			if errors.Is(err, hub.ErrNotLoaded) {
				continue
			}
			if err != nil || pieces[0].Data[0] != want[off] {
				t.Fatalf("at %d: %v", off, err)
			}
			pieces[0].Free()
			delete(waiting, i)
		}
		s.mu.Lock()
		if n := len(s.loaded); n > mostUnits {
			t.Fatalf("%d units in memory", n)
		}
		s.mu.Unlock()
		poke(changed)
	}
	closeAndWait(t, s)
	if n := disk.reads.Load(); n > 2*readers {
		t.Errorf("%d units fetched for %d readers", n, readers)
	}
}

// A countingFS counts what is read.
type countingFS struct {
	OS
	reads atomic.Int64
}

func (c *countingFS) Open(name string, flag int) (File, error) {
	f, err := c.OS.Open(name, flag)
	return countingFile{f, c}, err
}

type countingFile struct {
	File
	fs *countingFS
}

func (f countingFile) ReadAt(p []byte, off int64) (int, error) {
	f.fs.reads.Add(1)
	return f.File.ReadAt(p, off)
}

// Descriptors that have run out are waited for, but not for ever.
func TestDescriptorsAreWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries, free := 0, 20
		open := func() (*os.File, error) {
			if tries++; tries <= free {
				return nil, &os.PathError{Op: "open", Path: "segment", Err: syscall.EMFILE}
			}
			return os.Open(os.DevNull)
		}
		f, err := patiently(open)
		if err != nil || tries != free+1 {
			t.Fatalf("%d tries: %v", tries, err)
		}
		f.Close()
		free = 1 << 30
		if _, err := patiently(open); !errors.Is(err, syscall.EMFILE) {
			t.Errorf("no descriptor ever: %v", err)
		}
		tries = 0
		if _, err := patiently(func() (*os.File, error) { tries++; return nil, syscall.ENOSPC }); tries != 1 {
			t.Errorf("%d tries on a full disk: %v", tries, err)
		}
	})
}

func TestPolicies(t *testing.T) {
	for _, p := range []Policy{Always, Second, Never} {
		if got, err := ParsePolicy(p.String()); err != nil || got != p {
			t.Errorf("%v: %v, %v", p, got, err)
		}
	}
	if _, err := ParsePolicy("sometimes"); err == nil {
		t.Error("sometimes was taken")
	}
}
