package filestore

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"

	"hubfs/hub"
)

// A life is a run of a store on a disk that fails, and what it must have kept.
type life struct {
	t       *testing.T
	disk    *disk
	o       Options
	changed chan struct{}

	all  []byte // all that was ever appended and not lost since
	safe int64  // what must be there after a kill
	sure int64  // what must be there after a crash
	note []byte // the last that SetNote said is kept; and
	next []byte // the one after, which may be
	salt byte
	torn bool // it crashed under Never: what is there may be damaged
}

func newLife(t *testing.T, seed uint64, o Options) *life {
	return &life{t: t, disk: newDisk(seed), o: o, changed: make(chan struct{}, 1)}
}

func (l *life) open() (*Store, error) {
	l.o.FS = l.disk.view()
	s, err := Open(testDir, l.o)
	if err == nil {
		s.Notify(func() { poke(l.changed) })
	}
	return s, err
}

// text returns n bytes that differ from place to place, and from life to life.
func (l *life) text(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		at := len(l.all) + i
		b[i] = byte(at^at>>8) + l.salt
	}
	return b
}

// run is the script: it opens, writes and reads, takes notes, and closes.
func (l *life) run(rnd *rand.Rand) error {
	s, err := l.open()
	if err != nil {
		return err
	}
	for i := range 12 {
		b := l.text(1 + rnd.IntN(20_000))
		if _, err := s.Append(hub.Piece{Data: b}); err != nil {
			if s.Err() == nil {
				l.t.Fatalf("Append: %v, and Err is nil", err)
			}
			break
		}
		l.all = append(l.all, b...)
		for s.Stable() < int64(len(l.all)) && s.Err() == nil {
			<-l.changed
		}
		if i%4 == 3 {
			l.next = fmt.Appendf(nil, "note %d of %d", i, l.salt)
			if err := s.SetNote(l.next); err == nil {
				l.note = l.next
			}
		}
		l.check(s, rnd.Int64N(int64(len(l.all))))
	}
	l.check(s, 0)
	l.safe = s.Stable()
	if l.o.Sync == Always {
		l.sure = l.safe
	}
	s.Close()
	err = s.Wait()
	if err == nil {
		l.safe = int64(len(l.all))
		if l.o.Sync != Never {
			l.sure = l.safe
		}
	}
	return err
}

// check reads all from off on: what was appended, or an error of the disk.
func (l *life) check(s *Store, off int64) {
	l.t.Helper()
	first, next := s.Bounds()
	if next != int64(len(l.all)) {
		l.t.Fatalf("the stream ends at %d; want %d", next, len(l.all))
	}
	for off = max(off, first); off < next; {
		pieces, err := s.Read(nil, off, 10_000)
		switch {
		case errors.Is(err, hub.ErrNotLoaded):
			<-l.changed
			continue
		case l.disk.fault != nil && (errors.Is(err, syscall.EIO) || errors.Is(err, syscall.ENOSPC)),
			l.torn && errors.As(err, new(*SumError)):
			off = min(next, off+1000) // no byte at all is no wrong byte
			continue
		case err != nil:
			l.t.Fatalf("Read at %d: %v", off, err)
		}
		for _, p := range pieces {
			if !bytes.HasPrefix(l.all[off:], p.Data) || len(p.Data) == 0 {
				l.t.Fatalf("other bytes at %d", off)
			}
			off += int64(len(p.Data))
			p.Free()
		}
	}
}

// reopen is the next life, on a disk that is good: it must find a prefix.
func (l *life) reopen(keeps int64) {
	l.t.Helper()
	l.disk.fault = nil
	s, err := l.open()
	if err != nil {
		l.t.Fatalf("Open after it: %v", err)
	}
	first, next := s.Bounds()
	if first != 0 && !l.torn || next < keeps || next > int64(len(l.all)) {
		l.t.Fatalf("Bounds = %d, %d; want 0, and between %d and %d", first, next, keeps, len(l.all))
	}
	l.all = l.all[:next]
	if got := s.Note(); !bytes.Equal(got, l.note) && !bytes.Equal(got, l.next) {
		l.t.Fatalf("Note = %q; want %q or %q", got, l.note, l.next)
	}
	l.note = s.Note()
	l.check(s, 0)
	s.Close()
	if err := s.Wait(); err != nil {
		l.t.Fatalf("Wait: %v", err)
	}
	l.salt++
}

// Every operation of the script fails in turn, in several ways. Whatever
// happens, what is read is what was written, and the next life finds a prefix
// with all that was promised.
func TestEveryOperationMayFail(t *testing.T) {
	once := func(m mishap, at, times int) func(int, string) *mishap {
		return func(n int, op string) *mishap {
			if n >= at && n < at+times {
				return &m
			}
			return nil
		}
	}
	for _, c := range []struct {
		name  string
		fault func(at int) func(int, string) *mishap
	}{
		{"EIO", func(at int) func(int, string) *mishap {
			return once(mishap{err: syscall.EIO}, at, 1)
		}},
		{"short", func(at int) func(int, string) *mishap {
			return once(mishap{err: syscall.EIO, half: true}, at, 1)
		}},
		{"dead", func(at int) func(int, string) *mishap {
			return once(mishap{err: syscall.EIO}, at, 1<<30)
		}},
		{"full", func(at int) func(int, string) *mishap {
			return func(n int, op string) *mishap {
				if n >= at && n < at+10 && (op == "write" || op == "open") {
					return &mishap{err: syscall.ENOSPC, half: op == "write"}
				}
				return nil
			}
		}},
	} {
		for _, policy := range []Policy{Always, Second, Never} {
			t.Run(fmt.Sprintf("%s/%v", c.name, policy), func(t *testing.T) {
				t.Parallel()
				o := Options{Sync: policy, Segment: 30_000, Tail: 1}
				for at := 1; ; at++ {
					l := newLife(t, uint64(at), o)
					rnd := rand.New(rand.NewPCG(uint64(at), 2))
					if at%2 == 0 { // also with a past
						if err := l.run(rnd); err != nil {
							t.Fatal(err)
						}
					}
					begin := l.disk.ops
					l.disk.fault = c.fault(begin + at)
					err := l.run(rnd)
					hit := l.disk.ops >= begin+at
					if err != nil && !hit {
						t.Fatalf("without a fault: %v", err)
					}
					if at%3 == 0 {
						l.disk.crash()
						l.torn = policy == Never
						l.reopen(l.sure)
					} else {
						l.disk.kill()
						l.reopen(l.safe)
					}
					// And once more: the repair must not have hurt.
					l.disk.crash()
					l.torn = policy == Never
					l.reopen(0)
					if !hit {
						if at < 50 {
							t.Fatalf("the script has only %d operations", at)
						}
						break
					}
				}
			})
		}
	}
}

// A recovery that fails half way, or whose machine crashes in it, loses nothing
// that the next one would have found.
func TestRecoveryMayFailHalfWay(t *testing.T) {
	for seed := range uint64(40) {
		policy := Policy(seed % 3)
		l := newLife(t, seed, Options{Sync: policy, Segment: 30_000, Tail: 1})
		l.torn = policy == Never
		rnd := rand.New(rand.NewPCG(seed, 3))
		for range 3 {
			s, err := l.open()
			if err != nil {
				t.Fatal(err)
			}
			for range 10 {
				b := l.text(1 + rnd.IntN(20_000))
				s.Append(hub.Piece{Data: b})
				l.all = append(l.all, b...)
				for s.Stable() < int64(len(l.all)) && rnd.IntN(3) > 0 {
					if err := s.Err(); err != nil {
						t.Fatalf("Err: %v", err)
					}
					<-l.changed
				}
			}
			safe := s.Stable()
			if policy != Always {
				safe = 0
			}
			l.disk.crash()
			s.Close()
			s.Wait()
			for range 5 {
				at := l.disk.ops + 1 + rnd.IntN(20)
				l.disk.fault = func(n int, op string) *mishap {
					if n >= at {
						return &mishap{err: syscall.EIO, half: true}
					}
					return nil
				}
				if s, err := l.open(); err == nil {
					s.Close()
					s.Wait()
				}
				l.disk.fault = nil
				l.disk.crash()
			}
			l.reopen(safe)
		}
	}
}

// A crash while old segments go leaves no hole, and does not take the stream
// back.
func TestCrashWhileOldSegmentsGo(t *testing.T) {
	for seed := range uint64(60) {
		d := newDisk(seed)
		o := Options{Sync: Always, Segment: 2000, Keep: 5000, Tail: 1}
		rnd := rand.New(rand.NewPCG(seed, 4))
		var last int64
		for range 4 {
			o.FS = d.view()
			s := mustOpen(t, testDir, o)
			if _, next := s.Bounds(); next != last {
				t.Fatalf("seed %d: the stream ends at %d; want %d (%s)", seed, next, last, s.Repaired())
			}
			first, _ := s.Bounds()
			if _, err := readFrom(s, first); err != nil {
				t.Fatal(err)
			}
			for range 1 + rnd.IntN(12) {
				write(t, s, 1+rnd.IntN(2000))
			}
			if rnd.IntN(2) == 0 {
				s.SetLimits(2000, 0) // several at once
			}
			last = s.Stable()
			d.crash()
			s.Close()
			s.Wait()
		}
	}
}
