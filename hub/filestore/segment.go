package filestore

import (
	"slices"
	"sort"
)

// A segment is a run of the stream in a file. The last one may be appended to.
type segment struct {
	first int64 // immutable

	// Guarded by Store.mu.
	end        int64 // of what is written
	born, last int64 // Unix times in milliseconds of the first and last bytes
	gone       bool  // no longer of the store
	open       *opened
}

// An opened is what there is to read a segment by. Whoever holds it may read
// the file without the lock.
type opened struct {
	file File
	refs int // guarded by Store.mu; 0: closed

	// Guarded by Store.mu.
	sums []uint32 // of the full blocks; never changed, only appended to
	part uint32   // of the block behind them
}

// releaseLocked lets go of o, and returns the file if it is to be closed, which
// is done without the lock.
func (o *opened) releaseLocked() File {
	if o.refs--; o.refs == 0 {
		return o.file
	}
	return nil
}

// find returns the segment that holds off, which is written.
func find(segments []*segment, off int64) *segment {
	i := sort.Search(len(segments), func(i int) bool { return segments[i].end > off })
	return segments[i]
}

// shelved is how many files are kept open for reading besides the one that is
// written.
const shelved = 8

// shelveLocked keeps seg open for the next reader, in place of whichever was
// not used for the longest time. It takes over one hold on seg.open, and
// returns a file to close.
func (s *Store) shelveLocked(seg *segment) File {
	if seg.gone {
		o := seg.open
		seg.open = nil
		return o.releaseLocked()
	}
	s.shelf = append(s.shelf, seg)
	s.armIdleLocked()
	if len(s.shelf) > shelved {
		return s.unshelveLocked(0)
	}
	return nil
}

// touchLocked says that seg was used just now.
func (s *Store) touchLocked(seg *segment) {
	if i := slices.Index(s.shelf, seg); i >= 0 {
		s.shelf = append(slices.Delete(s.shelf, i, i+1), seg)
	}
}

// unshelveLocked takes the segment at i off the shelf, and returns a file to
// close.
func (s *Store) unshelveLocked(i int) File {
	seg := s.shelf[i]
	s.shelf = slices.Delete(s.shelf, i, i+1)
	o := seg.open
	seg.open = nil
	return o.releaseLocked()
}

// closeFile closes a file that was read or is synced: nothing can be lost.
func closeFile(f File) {
	if f != nil {
		f.Close()
	}
}
