package storetest

import (
	"testing"

	"hubfs/hub"
)

// A Place is where one stream is kept from life to life.
type Place interface {
	// Open makes the Spool, or opens the one that is there. Not before the
	// last one's Close is done.
	Open() (hub.Spool, error)
	// Kill ends the process that has the Spool open, whatever it is doing.
	Kill()
	// Crash ends the machine: what was not safe may be lost.
	Crash()
}

// RunSpool runs the suite of what outlives a Spool. Each call of place returns
// an empty Place. If always is set, the store promises that what is Stable
// outlives a crash.
func RunSpool(t *testing.T, always bool, place func(t *testing.T) Place) {
	for _, law := range []struct {
		name string
		test func(*testing.T, *spool)
	}{
		{"AllBecomesStable", allBecomesStable},
		{"StableNeverGoesBack", stableNeverGoesBack},
		{"StartSaysWhere", startSaysWhere},
		{"ReopenedIsTheSame", reopenedIsTheSame},
		{"GoesOnWhereItStood", goesOnWhereItStood},
		{"MomentsAscend", momentsAscend},
		{"KillKeepsWhatIsStable", killKeepsWhatIsStable},
		{"CrashKeepsAPrefix", crashKeepsAPrefix},
	} {
		t.Run(law.name, func(t *testing.T) {
			s := &spool{place: place(t), always: always}
			s.stream = &stream{t: t}
			s.open()
			law.test(t, s)
			s.close()
		})
	}
}

// A spool is a stream that is opened again and again.
type spool struct {
	*stream
	place  Place
	always bool
}

// open begins a life of the store, with what it must hold from before.
func (s *spool) open() {
	s.t.Helper()
	store, err := s.place.Open()
	if err != nil {
		s.t.Fatalf("Open: %v", err)
	}
	before := s.stream
	s.stream = newStream(s.t, store)
	s.all, s.first = before.all, before.first
	// Bytes at the same place in another life are others: none of what was cut
	// may come back.
	s.salt = before.salt + 1
}

func (s *spool) write(n int) { s.append(hub.Piece{Data: s.text(n)}) }

// settle waits until all is stable.
func (s *spool) settle() {
	s.t.Helper()
	for s.spool.Stable() < s.next() {
		if err := s.spool.Err(); err != nil {
			s.t.Fatalf("Err: %v", err)
		}
		<-s.changed
	}
}

// lose takes the store as it came back from a kill or a crash: a prefix, of
// safe bytes at least.
func (s *spool) lose(safe int64) {
	s.t.Helper()
	first, next := s.store.Bounds()
	if first != s.first || next < safe || next > s.next() {
		s.t.Fatalf("Bounds = %d, %d; want %d, and between %d and %d", first, next, s.first, safe, s.next())
	}
	s.all = s.all[:next]
	if stable := s.spool.Stable(); stable != next {
		s.t.Fatalf("Stable = %d of a store that was opened just now; want %d", stable, next)
	}
	s.readAll(100_000)
}

func allBecomesStable(t *testing.T, s *spool) {
	for _, n := range []int{1, 100, 64 << 10, 1, 300 << 10} {
		s.write(n)
		s.settle()
		s.readAll(50_000)
	}
}

func stableNeverGoesBack(t *testing.T, s *spool) {
	var last int64
	for i := range 500 {
		s.write(1 + i*37%5000)
		stable := s.spool.Stable()
		if stable < last || stable > s.next() {
			t.Fatalf("Stable = %d after %d, of %d bytes", stable, last, s.next())
		}
		last = stable
	}
	s.settle()
}

func startSaysWhere(t *testing.T, s *spool) {
	const start = 5_000_000_000
	s.spool.Start(start)
	if first, next := s.store.Bounds(); first != start || next != start {
		t.Fatalf("Bounds = %d, %d; want %d", first, next, int64(start))
	}
	s.closeAndOpen() // also of a store with no byte
	off, err := s.store.Append(hub.Piece{Data: []byte("hello")})
	if err != nil || off != start {
		t.Fatalf("Append = %d, %v; want %d", off, err, int64(start))
	}
	s.closeAndOpen()
	if first, next := s.store.Bounds(); first != start || next != start+5 {
		t.Fatalf("Bounds = %d, %d; want %d, %d", first, next, int64(start), int64(start+5))
	}
	pieces, err := s.load(nil, start+1, 100)
	if got := join(pieces); err != nil || string(got) != "ello" {
		t.Fatalf("Read = %q, %v", got, err)
	}
	free(pieces)
}

func (s *spool) closeAndOpen() {
	s.t.Helper()
	s.close()
	s.open()
}

func reopenedIsTheSame(t *testing.T, s *spool) {
	for i := range 20 {
		s.write(1 + i*7919%100_000)
		if i%2 == 0 {
			s.settle()
		}
		s.closeAndOpen()
		s.checkBounds()
		s.lose(s.next())
	}
}

func goesOnWhereItStood(t *testing.T, s *spool) {
	for range 5 {
		for i := range 50 {
			s.write(1 + i*97%9000)
		}
		s.closeAndOpen()
	}
	s.readAll(1 << 20)
	s.readAll(1000)
}

func momentsAscend(t *testing.T, s *spool) {
	for range 3 {
		for range 30 {
			s.write(2000)
			s.settle()
		}
		s.closeAndOpen()
	}
	moments := s.spool.Moments()
	if len(moments) == 0 {
		t.Fatal("no moments of 90 writes")
	}
	var last hub.Moment
	for _, m := range moments {
		if m.Offset <= last.Offset || m.Offset > s.next() || m.Time.Before(last.Time) {
			t.Fatalf("moment %v follows %v", m, last)
		}
		last = m
	}
	if last.Offset != s.next() {
		t.Errorf("the last moment is of %d; want of the end, %d", last.Offset, s.next())
	}
}

func killKeepsWhatIsStable(t *testing.T, s *spool) {
	s.end(s.place.Kill, true)
}

func crashKeepsAPrefix(t *testing.T, s *spool) {
	s.end(s.place.Crash, s.always)
}

// end ends many lives, in the middle of writing.
func (s *spool) end(end func(), keeps bool) {
	for i := range 30 {
		for k := range 1 + i*3%10 {
			s.write(1 + (i*7+k)*7919%40_000)
			if k%4 == 1 {
				s.settle()
			}
		}
		var safe int64
		if keeps {
			safe = s.spool.Stable()
		}
		end()
		s.open()
		s.lose(safe)
	}
	if keeps && s.next() == 0 {
		s.t.Fatal("nothing was kept at all")
	}
}
