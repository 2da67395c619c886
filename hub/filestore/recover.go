package filestore

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"time"
)

// recover takes what is in the folder: the longest stream, from its oldest
// segment on, that is without a hole and can be vouched for. What it changes is
// on disk before anything is written behind it; if it fails, or the machine
// does, the next one comes to the same.
func (s *Store) recover() error {
	data, err := s.survey()
	if err != nil {
		return err
	}
	r := &recovery{Store: s}
	for i, e := range data {
		good, err := r.take(e, i == len(data)-1)
		if err == nil && !good {
			err = r.setAside(data[i:])
		}
		if err != nil {
			return err
		}
		if !good {
			break
		}
	}
	if n := len(s.segments); n > 0 {
		s.first, s.stable = s.segments[0].first, s.segments[n-1].end
	}
	s.next, s.base = s.stable, s.stable
	s.moments = r.times.moments()
	s.repaired = strings.Join(r.notes, "; ")
	// The life before may have ended with bytes and names that only the system
	// had. No crash must take back what this one has seen.
	if s.writer != nil && s.policy != Never {
		if err := s.writer.sync(); err != nil {
			return err
		}
	}
	if err := s.fs.SyncDir(s.dir); err != nil {
		return err
	}
	if s.writer != nil {
		s.writer.fresh = false
	}
	return nil
}

// survey looks at the folder, clears up what was begun or was to go when the
// life before ended, and returns the segments in their order.
func (s *Store) survey() (data []Entry, err error) {
	entries, err := s.fs.List(s.dir)
	if err != nil {
		return nil, err
	}
	firsts := map[int64]bool{}
	for _, e := range entries {
		k, first := nameOf(e.Name)
		if k != foreign && !e.Plain {
			return nil, fmt.Errorf("%s is not a plain file", s.path(e.Name))
		}
		switch k {
		case segmentData:
			if e.Size > maxSegment || first > math.MaxInt64-maxSegment-unit {
				return nil, fmt.Errorf("%s: no segment is so large (%d bytes)", s.path(e.Name), e.Size)
			}
			firsts[first] = true
			data = append(data, e)
		case note:
			if err := s.readNote(); err != nil {
				return nil, err
			}
		}
	}
	for _, e := range entries {
		if k, first := nameOf(e.Name); k == temporary || k == segmentIndex && !firsts[first] {
			if err := s.remove(e.Name); err != nil {
				return nil, err
			}
		}
	}
	slices.SortFunc(data, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	return data, nil
}

// A recovery is what recover knows while it goes through the segments.
type recovery struct {
	*Store
	times thinner
	notes []string
}

func (r *recovery) tell(format string, args ...any) {
	r.notes = append(r.notes, fmt.Sprintf(format, args...))
}

// take adds a segment to the stream, as far as it is good. It returns false,
// and adds nothing, if there is a hole before it, or nothing in it is good and
// it cannot be begun again.
func (r *recovery) take(e Entry, last bool) (good bool, err error) {
	_, first := nameOf(e.Name)
	if n := len(r.segments); n > 0 {
		switch end := r.segments[n-1].end; {
		case first < end:
			return false, fmt.Errorf("%s begins before the end of the one before it, %d", r.path(e.Name), end)
		case first > end:
			return false, nil
		}
	}
	x, err := r.readIndex(first, e.Size)
	if err == nil && !x.sealed {
		err = r.verify(e.Name, first, &x)
	}
	if err != nil {
		return false, err
	}
	end := x.end(first)
	torn := e.Size - (end - first)
	if end == first && (torn > 0 || !last || x.sealed) {
		return false, nil
	}
	switch {
	case torn > 0 && (x.sealed || !last):
		// No write was torn here: the index is damaged, and the bytes behind
		// what is left of it may be good. They are not ours to destroy.
		if err := r.copyAside(e); err != nil {
			return false, err
		}
		r.tell("set aside a copy of %s, of which nothing vouches for %d bytes from %d on", r.path(e.Name), torn, end)
	case torn > 0:
		r.tell("cut %d bytes of a torn write at %d", torn, end)
	}
	now := time.Now().UnixMilli()
	seg := &segment{first: first, end: end, born: now, last: now}
	if n := len(x.records); n > 0 {
		seg.born, seg.last = x.records[0].ms, x.records[n-1].ms
	}
	for _, rec := range x.records {
		r.times.add(rec)
	}
	r.segments = append(r.segments, seg)
	r.size += end - first

	clean := torn == 0 && x.headed && x.size == int64(len(x.records)+1)*recordSize
	switch {
	case clean && x.sealed:
		return true, nil
	case last && !x.sealed:
		r.writer, err = r.reopen(seg, x, clean)
		return true, err
	}
	return true, r.finishSegment(seg, x, clean)
}

// verify keeps the records of x that the data bears out.
func (s *Store) verify(name string, first int64, x *index) error {
	if len(x.records) == 0 {
		return nil
	}
	f, err := s.fs.Open(s.path(name), os.O_RDONLY)
	if err != nil {
		return err
	}
	defer f.Close()
	b := newBlock()
	defer b.Free()
	var buf []byte // what was read and not yet compared
	at := first    // of buf
	var sum uint32 // of the block, as far as at
	for i, r := range x.records {
		for at < r.end {
			if len(buf) == 0 {
				n, err := f.ReadAt(b.buf[:min(unit, x.end(first)-at)], at-first)
				if n == 0 {
					if errors.Is(err, io.EOF) {
						err = io.ErrUnexpectedEOF
					}
					return fmt.Errorf("read %s: %w", s.path(name), err)
				}
				buf = b.buf[:n]
			}
			n := min(int64(len(buf)), r.end-at)
			sum = crc32.Update(sum, table(), buf[:n])
			buf, at = buf[n:], at+n
		}
		if sum != r.sum {
			x.records = x.records[:i]
			return nil
		}
		if (at-first)%blockSize == 0 {
			sum = 0
		}
	}
	return nil
}

// reopen opens the files of the last segment, to be appended to, and brings
// them to what is good.
func (s *Store) reopen(seg *segment, x index, clean bool) (*writer, error) {
	w := &writer{
		seg:     seg,
		name:    s.path(dataName(seg.first)),
		fresh:   true, // perhaps: whoever made them may not have come to that
		end:     seg.end,
		at:      int64(len(x.records)+1) * recordSize,
		records: len(x.records),
	}
	if n := len(x.records); n > 0 {
		w.ms = x.records[n-1].ms
	}
	err := w.openFiles(s, x, clean)
	if err != nil {
		closeFile(w.data)
		closeFile(w.index)
		return nil, err
	}
	seg.open = &opened{file: w.data, refs: 1}
	seg.open.sums, seg.open.part = x.sums(seg.first)
	w.part = seg.open.part
	return w, nil
}

func (w *writer) openFiles(s *Store, x index, clean bool) (err error) {
	if w.data, err = s.fs.Open(w.name, os.O_RDWR); err != nil {
		return err
	}
	if w.index, err = s.fs.Open(s.path(indexName(w.seg.first)), os.O_RDWR|os.O_CREATE); err != nil {
		return err
	}
	if clean {
		return nil
	}
	if err := w.data.Truncate(w.end - w.seg.first); err != nil {
		return fmt.Errorf("cut %s: %w", w.name, err)
	}
	if err := w.index.Truncate(w.at); err != nil {
		return fmt.Errorf("cut the index of %s: %w", w.name, err)
	}
	if !x.headed {
		if err := writeAt(w.index, appendHeader(nil, false), 0); err != nil {
			return fmt.Errorf("write the index of %s: %w", w.name, err)
		}
	}
	return s.syncWithName(w)
}

// finishSegment seals a segment that the life before has not, or not rightly.
func (s *Store) finishSegment(seg *segment, x index, clean bool) error {
	w, err := s.reopen(seg, x, clean)
	if err != nil {
		return err
	}
	defer closeFile(w.data)
	defer closeFile(w.index)
	seg.open = nil
	return s.seal(w)
}

// setAside takes files out of the way that hold bytes the stream cannot have,
// because of a hole before them, or because nothing vouches for them.
func (r *recovery) setAside(data []Entry) error {
	_, first := nameOf(data[0].Name)
	var n int64
	for _, e := range data {
		n += e.Size
	}
	// If nothing is left of the stream but where it began, the first name has
	// to stay: it says so, and as long as the others are not gone for good it
	// is what makes them be behind a hole.
	var begin *Entry
	if len(r.segments) == 0 {
		begin, data = &data[0], data[1:]
	}
	for _, e := range data {
		if err := r.hide(e); err != nil {
			return err
		}
	}
	if begin != nil {
		if err := r.copyAside(*begin); err != nil {
			return err
		}
	}
	if err := r.fs.SyncDir(r.dir); err != nil {
		return err
	}
	if begin != nil {
		now := time.Now().UnixMilli()
		seg := &segment{first: first, end: first, born: now, last: now}
		w, err := r.reopen(seg, index{}, false)
		if err != nil {
			return err
		}
		r.writer = w
		r.segments = append(r.segments, seg)
	}
	r.tell("set aside %d bytes from %d on, which nothing vouches for", n, first)
	return nil
}

// hide gives the data of a segment a name that is not of the stream.
func (s *Store) hide(e Entry) error {
	_, first := nameOf(e.Name)
	if e.Size == 0 {
		if err := s.remove(e.Name); err != nil {
			return err
		}
	} else if err := s.fs.Rename(s.path(e.Name), s.path(lostName(first))); err != nil {
		return err
	}
	return s.remove(indexName(first))
}

// copyAside copies the data of a segment, which is to be emptied.
func (s *Store) copyAside(e Entry) (err error) {
	_, first := nameOf(e.Name)
	from, err := s.fs.Open(s.path(e.Name), os.O_RDONLY)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := s.fs.Open(s.path(lostName(first)), os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	defer to.Close()
	b := newBlock()
	defer b.Free()
	for at := int64(0); ; {
		n, err := from.ReadAt(b.buf[:], at)
		if n > 0 {
			if err := writeAt(to, b.buf[:n], at); err != nil {
				return fmt.Errorf("write %s: %w", s.path(lostName(first)), err)
			}
			at += int64(n)
		}
		switch {
		case err == io.EOF:
			return to.Sync()
		case err != nil:
			return err
		}
	}
}
