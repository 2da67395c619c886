package filestore

import (
	"bytes"
	"errors"
	"testing"
)

// Whatever is in a folder, Open gives an error or a store that works: what it
// has can be read or is an error, what is appended is kept, and the next Open
// finds the same.
func FuzzHostileFolder(f *testing.F) {
	d := newDisk(1)
	s, err := Open(testDir, Options{FS: d.view(), Segment: 100_000})
	if err != nil {
		f.Fatal(err)
	}
	write(f, s, 120_000)
	s.SetNote([]byte("note"))
	s.Close()
	s.Wait()
	file := func(name string) []byte { return d.names[s.path(name)].data }
	f.Add("", file(dataName(0)), file(indexName(0)), file(dataName(100_000)), file(indexName(100_000)), uint64(100_000), []byte("note"))
	f.Add("", file(dataName(0))[:70_000], file(indexName(0)), file(dataName(100_000)), file(indexName(100_000)), uint64(100_000), []byte(nil))
	f.Add(dataName(7), []byte("x"), []byte(nil), []byte("y"), []byte(nil), uint64(1), []byte(nil))
	f.Add("99999999999999999999", []byte("x"), []byte(nil), []byte("y"), []byte(nil), uint64(1<<63-2), []byte(nil))
	f.Add(".00000000000000000000.index.tmp", []byte("x"), file(indexName(0)), []byte("y"), bytes.Repeat([]byte{0xff}, 240), uint64(1<<62), []byte(nil))
	huge := appendHeader(nil, true)
	huge = record{1 << 62, 1, -1}.append(huge)
	f.Add("", []byte("data"), huge, []byte("y"), huge, uint64(1), []byte(nil))

	f.Fuzz(func(t *testing.T, odd string, data0, index0, data1, index1 []byte, first1 uint64, note []byte) {
		d := newDisk(1)
		put := func(name string, b []byte, odd bool) {
			n := &inode{data: bytes.Clone(b), safe: bytes.Clone(b), odd: odd}
			d.names[testDir+"/"+name], d.safeNames[testDir+"/"+name] = n, n
		}
		put(dataName(0), data0, false)
		put(indexName(0), index0, false)
		put(dataName(int64(first1>>1)), data1, false)
		put(indexName(int64(first1>>1)), index1, false)
		if note != nil {
			put(noteName, note, false)
		}
		if odd != "" {
			put(odd, nil, true)
		}
		s, err := Open(testDir, Options{FS: d.view(), Segment: 100_000, Tail: 1})
		if err != nil {
			if s != nil {
				t.Fatal("a store and an error")
			}
			if _, again := Open(testDir, Options{FS: d.view()}); again == nil || errors.Is(again, ErrLocked) {
				t.Fatalf("Open: %v, then %v", err, again)
			}
			return
		}
		before, readErr := readFrom(s, 0)
		if readErr != nil && !errors.As(readErr, new(*SumError)) {
			t.Fatalf("Read: %v", readErr)
		}
		_, next := s.Bounds()
		more := write(t, s, 3000)
		s.Close()
		if err := s.Wait(); err != nil {
			t.Fatalf("Wait: %v", err)
		}

		s, err = Open(testDir, Options{FS: d.view(), Segment: 100_000, Tail: 1})
		if err != nil {
			t.Fatalf("Open again: %v", err)
		}
		if s.Repaired() != "" {
			t.Fatalf("repaired once more: %s", s.Repaired())
		}
		if got, err := readFrom(s, next); err != nil || !bytes.Equal(got, more) {
			t.Fatalf("%d bytes of %d are there again: %v", len(got), len(more), err)
		}
		if readErr == nil {
			first, _ := s.Bounds()
			if got, err := readFrom(s, first); err != nil || !bytes.Equal(got, append(before, more...)) {
				t.Fatalf("%d bytes of %d are there again: %v", len(got), len(before)+len(more), err)
			}
		}
		s.Close()
		s.Wait()
	})
}

// The index is what recovery believes first: no bytes make it lie about its
// own laws.
func FuzzIndex(f *testing.F) {
	b := appendHeader(nil, false)
	for end := int64(1000); end < 200_000; end += 1000 {
		if bound := blockEnd(0, end-1000); bound < end {
			b = record{bound, 1, end}.append(b)
		}
		b = record{end, 2, end}.append(b)
	}
	f.Add(b, int64(0), int64(200_000))
	f.Fuzz(func(t *testing.T, b []byte, first, size int64) {
		first, size = first&(1<<62-1), size&(maxSegment-1)
		x, err := decodeIndex(b, first, size)
		if err != nil {
			return
		}
		end, ms := first, int64(0)
		for _, r := range x.records {
			if r.end <= end || r.end-first > size || r.ms < ms || r.end > blockEnd(first, end) {
				t.Fatalf("record %v behind %d", r, end)
			}
			end, ms = r.end, r.ms
		}
		full, _ := x.sums(first)
		if want := (end - first) / blockSize; int64(len(full)) != want {
			t.Fatalf("%d sums of %d blocks", len(full), want)
		}
		n := len(x.records)
		x.compact(first)
		y, err := decodeIndex(x.encode(true), first, size)
		if err != nil || !y.sealed || len(y.records) != len(x.records) || y.end(first) != end || len(x.records) > n {
			t.Fatalf("compacted: %d of %d records, to %d of %d, %v", len(y.records), n, y.end(first), end, err)
		}
		if again, _ := y.sums(first); len(again) != len(full) {
			t.Fatalf("%d sums after compaction, %d before", len(again), len(full))
		}
	})
}
