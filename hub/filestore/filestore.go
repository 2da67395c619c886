// Package filestore keeps a stream in a folder, as a hub.Spool.
//
// # Files
//
// The stream lies in segments, files that are named by the offset of their
// first byte, in 20 digits, so that
//
//	cat DIR/*
//
// is the transcript. Whatever else the store needs has a name with a dot: each
// segment has an index, which says how far it goes, holds a crc32c for each
// block of 64 KiB, and coarse times; a note (see SetNote) is in .hub. A segment
// is done at Options.Segment bytes, or when its index is long. Its index is
// compacted then, and says from then on that it is sealed.
//
// # Safety
//
// Bytes are Stable when they and the record that vouches for them are written:
// the death of the process costs nothing that is Stable. Under Always both are
// synced before, and so are the names of new files. Under Second they are a
// second later. Under Never nothing is synced but a note, a compacted index and
// the names that go.
//
// Open verifies what was not sealed against its checksums, and cuts it where
// they end; whatever lies behind is set aside as .OFFSET.lost, and so is a copy
// of a segment that was done and whose index is damaged; Repaired tells. What was
// sealed is taken by its size, and every block that is read is verified: bytes
// that are not those that were written are an error which names file and offset.
//
// # Blocking
//
// No method of hub.Spool waits for the disk, Close included: see Wait. Open,
// SetNote and Wait do.
//
// # Goroutines
//
// A store at rest has none. One writes while there is something to write, one
// syncs, seals and removes, a few read; Wait waits for all of them.
//
// # Memory
//
// What is not yet Stable is in memory, in the pieces that were appended, and
// so are the last Options.Tail bytes. A reader of older ones gets blocks that
// all late readers share: a few megabytes while somebody reads, and nothing a
// few seconds later.
package filestore

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"hubfs/hub"
)

// Options say how a stream is kept. The zero value is good.
type Options struct {
	FS   FS // nil: OS
	Sync Policy

	// The oldest segments go when the others hold Keep bytes, and when their
	// newest bytes are older than Age; 0: they stay. The segment that is
	// written stays always, and is made smaller than Segment to suit Keep.
	Keep int64
	Age  time.Duration

	Segment int64        // bytes; 0: 64 MiB; at most 1 GiB
	Tail    int64        // newest bytes to have in memory; 0: 1 MiB
	Log     *slog.Logger // nil: silent
}

const (
	defaultSegment = 64 << 20
	maxSegment     = 1 << 30
	minKeepSegment = 1 << 20
	defaultTail    = 1 << 20
)

// ErrClosed says that Close or Remove was called.
var ErrClosed = errors.New("store is closed")

// A Store is a stream in a folder. Its methods may be called from any
// goroutine.
type Store struct {
	dir      string        // immutable
	fs       FS            // immutable
	policy   Policy        // immutable
	tailSize int64         // immutable
	maxSize  int64         // of a segment; immutable
	log      *slog.Logger  // immutable
	repaired string        // immutable
	moments  []hub.Moment  // of the time before; immutable
	lock     io.Closer     // of the folder; immutable
	done     chan struct{} // closed when Close has come to its end
	doneErr  error         // set before done is closed

	// noteMu orders what is done to the note's file. It is held during that.
	noteMu     sync.Mutex
	note       []byte // guarded by noteMu
	noteClosed bool   // guarded by noteMu

	// The flusher's.
	round []hub.Piece

	// mu guards all that follows. No file is touched while it is held.
	mu      sync.Mutex
	changed func()
	err     error
	closed  bool
	removed bool

	// The stream is [first, next). [tailFirst(), next) is in memory, where
	// offset 0 is base; [first, stable) is in files.
	first, stable, next int64
	tail                *hub.Memory
	base                int64

	segments  []*segment // ascending and without a gap; the last ends at stable
	size      int64      // bytes in them
	discarded int64      // nobody asks for bytes before
	keep      int64
	age       time.Duration

	writer   *writer // of the last segment; nil: that is done
	begin    bool    // an empty segment is wanted, to say where the stream begins
	rotate   bool    // the last segment is to be done as soon as it has bytes
	flushing bool    // there is a flusher

	// What the keeper has to do, in this order.
	sealing []*writer
	syncing bool
	doomed  []*segment
	stuck   bool // the first of doomed cannot be removed now
	keeping bool // there is a keeper

	// The loader.
	blocks    map[int64]*block // by the offset of their first byte
	loaded    []*block         // those of them that are, in no order
	queue     []*block         // to be loaded
	loading   int              // goroutines
	clock     uint64           // ticks at each use of a block
	idleClock uint64           // the clock when idleNow looked last
	shelf     []*segment       // open for reading; the last was used last

	syncTimer, ageTimer, idleTimer timer

	workers sync.WaitGroup // flusher, keeper and loaders
}

// Open makes a store in a folder that is empty or does not exist, or goes on
// with the one that is there. It waits for the disk.
func Open(dir string, o Options) (*Store, error) {
	s := &Store{
		dir:      filepath.Clean(dir),
		fs:       o.FS,
		policy:   o.Sync,
		tailSize: o.Tail,
		maxSize:  o.Segment,
		keep:     max(o.Keep, 0),
		age:      max(o.Age, 0),
		log:      o.Log,
		done:     make(chan struct{}),
		tail:     hub.NewMemory(),
		blocks:   map[int64]*block{},
	}
	if s.fs == nil {
		s.fs = OS{}
	}
	if s.tailSize <= 0 {
		s.tailSize = defaultTail
	}
	if s.maxSize <= 0 {
		s.maxSize = defaultSegment
	}
	s.maxSize = min(s.maxSize, maxSegment)
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.log = s.log.With("store", s.dir)
	if err := s.open(); err != nil {
		return nil, fmt.Errorf("open the store %s: %w", s.dir, err)
	}
	return s, nil
}

func (s *Store) open() (err error) {
	if err := s.fs.MakeDir(s.dir); err != nil {
		return err
	}
	if s.lock, err = s.fs.Lock(s.dir); err != nil {
		return err
	}
	if err := s.recover(); err != nil {
		if s.writer != nil {
			closeFile(s.writer.data)
			closeFile(s.writer.index)
		}
		s.lock.Close()
		return err
	}
	if s.repaired != "" {
		s.log.Warn("store repaired", "what", s.repaired)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.retainLocked() // the clock went on while nobody looked
	return nil
}

// Dir returns the folder.
func (s *Store) Dir() string { return s.dir }

// Repaired says what Open had to cut, and is empty if that was nothing.
func (s *Store) Repaired() string { return s.repaired }

// Size returns how many bytes of the stream are in files.
func (s *Store) Size() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.size
}

// SetLimits changes Options.Keep and Options.Age.
func (s *Store) SetLimits(keep int64, age time.Duration) {
	s.mu.Lock()
	s.keep, s.age = max(keep, 0), max(age, 0)
	changed := s.retainLocked()
	s.mu.Unlock()
	changed.call()
}

// Notify implements hub.Spool.
func (s *Store) Notify(changed func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changed = changed
}

// Start implements hub.Spool. A store that has a history does not listen.
func (s *Store) Start(first int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next > 0 || len(s.segments) > 0 || first <= 0 {
		return
	}
	s.first, s.stable, s.next, s.base = first, first, first, first
	s.begin = true
	s.flushLocked()
}

// Append implements hub.Store.
func (s *Store) Append(p hub.Piece) (off int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return 0, ErrClosed
	case s.err != nil:
		return 0, s.err
	}
	off = s.next
	s.next += int64(len(p.Data))
	s.tail.Append(p)
	s.flushLocked()
	return off, nil
}

// Discard implements hub.Store. Whole segments go now; the rest of the bytes
// before off may be there again when the store is opened next.
func (s *Store) Discard(off int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.discarded = max(s.discarded, off)
	s.first = max(s.first, off)
	s.retainLocked()
	s.flushLocked()
}

// Bounds implements hub.Store.
func (s *Store) Bounds() (first, next int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.first, s.next
}

// Stable implements hub.Spool.
func (s *Store) Stable() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stable
}

// Err implements hub.Spool.
func (s *Store) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Moments implements hub.Spool.
func (s *Store) Moments() []hub.Moment { return s.moments }

// Close implements hub.Store: it returns at once. Wait tells when all that was
// appended is kept, and whether it is.
func (s *Store) Close() error {
	s.close(false)
	return nil
}

// Remove is Close, and the end of the store's files and of the folder, if
// nothing else is in it.
func (s *Store) Remove() error {
	s.close(true)
	return nil
}

func (s *Store) close(remove bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.closed, s.removed = true, remove
	s.changed = nil
	s.syncTimer.stop()
	s.ageTimer.stop()
	s.idleTimer.stop()
	s.flushLocked()
	go s.finish() // ends when the workers have; Wait waits for it
}

// Wait waits until Close has come to its end: everything is kept and no file is
// open. The error says what kept it from that.
func (s *Store) Wait() error {
	<-s.done
	return s.doneErr
}

// tailFirstLocked returns from where on the stream is in memory.
func (s *Store) tailFirstLocked() int64 {
	first, _ := s.tail.Bounds()
	return s.base + first
}

// A notice is a call of the function given to Notify, to be made without the
// lock.
type notice func()

func (n notice) call() {
	if n != nil {
		n()
	}
}

// fail sets why nothing more is kept.
func (s *Store) fail(err error) {
	s.mu.Lock()
	if s.err != nil {
		s.mu.Unlock()
		return
	}
	s.err = err
	changed := notice(s.changed)
	s.mu.Unlock()
	s.log.Error("store keeps nothing more", "err", err)
	changed.call()
}
