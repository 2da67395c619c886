package hub

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
)

// A model is what a Hub must be: all the bytes there ever were, a few numbers,
// and the laws of the package doc written down without a thought of speed.
type model struct {
	all                               []byte
	first, size                       int64
	input, fear, trunc, frozen, ended bool
	readers                           []*modelReader
	queue                             []*modelWriter // who waits, in order
	lostByClosed                      int64
	delivered, reads, writes          int64
	budgetMax, budgetOthers           int64

	// Of a hub that is or was spooled. What is before resident has to be
	// fetched, as far as it is in a store.
	spooled, old, broken   bool
	base, stable, resident int64
	fails                  int
}

type modelReader struct {
	id        uint64
	pos, lost int64
	addressed bool
	counts    bool
	marks     []int64
	parked    bool
	asFile    bool // see Reader
}

type modelWriter struct {
	addressed bool
	seq       *int64 // where its sequence ends; nil: it has none
	same      int64  // see waiter
	taken     int    // see Writer
	end       int64
}

// What came of an operation, on the Hub or on the model.
type result struct {
	data  string // of a read
	n     int    // of a write
	ready bool
	err   string
}

func (r result) String() string {
	return fmt.Sprintf("{%d bytes, n %d, ready %v, err %q}", len(r.data), r.n, r.ready, r.err)
}

func (m *model) next() int64 { return int64(len(m.all)) }

// inStore returns where the bytes end that are in a store, not in memory.
func (m *model) inStore() int64 {
	switch {
	case m.spooled:
		return m.next()
	case m.old:
		return m.base
	}
	return 0
}

// charged returns where the bytes begin that the budget is charged with.
func (m *model) charged() int64 { return max(m.first, m.inStore(), m.base) }

// loads reports whether the byte at off has to be fetched.
func (m *model) loads(off int64) bool { return off < min(m.resident, m.inStore()) }

// startAt moves the start of the stream.
func (m *model) startAt(off int64) {
	m.first = off
	m.old = m.old && off < m.base
}

// fall takes the hub to memory.
func (m *model) fall() {
	m.spooled, m.old, m.base = false, true, m.next()
	m.startAt(m.first)
}

// slowest returns where the slowest reader that counts stands.
func (m *model) slowest() (pos int64, any bool) {
	for _, r := range m.readers {
		if r.counts && (!any || r.pos < pos) {
			pos, any = r.pos, true
		}
	}
	return max(pos, m.first), any
}

// keepFrom returns where the hub starts if it ends at next.
func (m *model) keepFrom(next int64) int64 {
	if m.spooled {
		return m.first
	}
	slowest, any := m.slowest()
	keep := next - m.size
	if m.old && next-m.base <= m.size {
		keep = m.first
	}
	if any && m.fear {
		keep = min(keep, slowest)
	}
	if any && m.input {
		keep = max(keep, slowest)
	}
	if !any && m.input && m.fear {
		keep = m.first
	}
	return max(m.first, min(keep, next))
}

func (m *model) trim() {
	if !m.frozen {
		m.startAt(m.keepFrom(m.next()))
	}
}

func (m *model) newReader(at Start, lazy bool) *modelReader {
	r := &modelReader{addressed: at == Addressed, counts: !lazy, pos: m.first}
	switch {
	case at == FromEnd || at == FromOldest && m.trunc:
		r.pos = m.next()
	case at > FromEnd:
		r.pos = max(m.first, m.next()-int64(at-1))
	}
	m.readers = append(m.readers, r)
	m.trim()
	return r
}

func (m *model) closeReader(r *modelReader) {
	m.lostByClosed += m.lost(r)
	m.readers = slices.DeleteFunc(m.readers, func(o *modelReader) bool { return o == r })
	m.trim()
}

func (m *model) lost(r *modelReader) int64 {
	if r.counts && !r.addressed {
		return r.lost + max(0, m.first-r.pos)
	}
	return r.lost
}

// read answers a read; the answer alone if dry.
func (m *model) read(r *modelReader, off int64, max int, dry bool) result {
	if dry {
		copyOfM, copyOfR := *m, *r
		return copyOfM.read(&copyOfR, off, max, false)
	}
	if m.frozen && (!r.parked || r.asFile) {
		at := m.first + off
		if r.addressed {
			if at = off; at < m.first {
				r.parked, r.asFile = false, false
				return result{err: (&DiscardedError{m.first}).Error()}
			}
		}
		at = min(at, m.next())
		if at < m.next() && (at >= m.shown() || m.loads(at)) {
			r.parked, r.asFile = true, true
			return result{}
		}
		r.parked, r.asFile = false, false
		return m.give(at, clamp(at, m.shown(), at+int64(max)))
	}
	r.parked, r.asFile = false, false
	r.counts = true
	defer m.trim()
	if r.addressed {
		if off < m.first {
			return result{err: (&DiscardedError{m.first}).Error()}
		}
		r.pos = off
		for len(r.marks) > 0 && r.marks[0] < off {
			r.marks = r.marks[1:]
		}
	} else if r.pos < m.first {
		r.lost += m.first - r.pos
		r.pos = m.first
	}
	end := m.shown()
	if len(r.marks) > 0 {
		if r.marks[0] <= r.pos {
			r.marks = r.marks[1:]
			return result{ready: true}
		}
		end = min(end, r.marks[0])
	}
	if r.pos >= m.shown() {
		over := m.ended && r.pos >= m.next()
		r.parked = !over
		return result{ready: over}
	}
	if m.loads(r.pos) {
		r.parked = true
		return result{}
	}
	res := m.give(r.pos, min(end, r.pos+int64(max)))
	if !r.addressed {
		r.pos += int64(len(res.data))
	}
	return res
}

// clamp returns to, or limit if that is less, and no less than from.
func clamp(from, limit, to int64) int64 { return max(from, min(limit, to)) }

// shown returns the offset behind the last byte that readers get.
func (m *model) shown() int64 {
	if m.spooled {
		return min(m.next(), m.stable)
	}
	return m.next()
}

// give answers a read with the bytes from one offset to the other, or fewer: a
// read does not go beyond a store.
func (m *model) give(from, to int64) result {
	if m.old && from < m.base {
		to = min(to, m.base)
	}
	data := m.all[from:to]
	if len(data) > 0 {
		m.reads++
		m.delivered += int64(len(data))
	}
	return result{data: string(data), ready: true}
}

// write answers a write; the answer alone if dry. A write that must wait for
// the budget says so, for nobody wakes it when another hub makes room.
func (m *model) write(w *modelWriter, data []byte, off int64, dry bool) (res result, budget bool) {
	if !dry {
		defer func() {
			m.queue = slices.DeleteFunc(m.queue, func(o *modelWriter) bool {
				return o == w && (res.n > 0 || res.ready || res.err != "")
			})
			if res.n == 0 && !res.ready && res.err == "" && !slices.Contains(m.queue, w) {
				m.queue = append(m.queue, w)
			}
			if !slices.Contains(m.queue, w) {
				w.same = 0
			}
		}()
	}
	if w.taken > 0 {
		return m.stage(w, dry), false
	}
	whole := result{n: len(data), ready: true}
	switch {
	case m.ended:
		return result{err: ErrEnded.Error()}, false
	case len(m.queue) > 0 && m.queue[0] != w, m.frozen:
		return result{}, false
	}
	switch {
	case w.seq != nil:
		if off > *w.seq {
			return result{err: (&GapError{*w.seq}).Error()}, false
		}
		data = data[min(int64(len(data)), *w.seq-off):]
	case w.addressed:
		if off > m.next() {
			return result{err: (&GapError{m.next()}).Error()}, false
		}
		there := min(int64(len(data)), m.next()-off)
		same := max(w.same, min(m.first-off, there))
		if same < there && m.loads(off+same) {
			return result{}, false
		}
		for ; same < there; same++ {
			if at := off + same; m.all[at] != data[same] {
				return result{err: (&ConflictError{at}).Error()}, false
			}
		}
		if !dry {
			w.same = same
		}
		data = data[there:]
	}
	n := int64(len(data))
	if n == 0 {
		return m.done(w, whole, off, dry), false
	}
	slowest, any := m.slowest()
	if !any && m.input {
		slowest, any = m.first, true
	}
	if !m.spooled && m.fear && any && slowest < m.next() && m.next()+n-slowest > m.size {
		return result{}, false
	}
	if m.spooled && m.broken {
		if dry {
			copyOfM := *m
			m = &copyOfM
		}
		m.fall()
		m.fails++
	}
	if m.spooled {
		if !dry {
			m.append(w, data)
		}
		return m.done(w, whole, off, dry), false
	}

	from := m.charged()
	keep := min(m.keepFrom(m.next()+n), m.next())
	drop := max(keep, from) - from
	free := m.budgetMax - m.budgetOthers - (m.next() - from)
	if more := min(n-drop-free, n-drop); more > 0 {
		spare := m.next() - from
		if m.fear && any {
			spare = max(min(slowest, m.next()), from) - from
		}
		switch _, readers := m.slowest(); {
		case drop+more <= spare:
			keep = from + drop + more
		case m.fear && readers && slowest < m.next():
			return result{}, true
		default:
			return result{err: ErrNoSpace.Error()}, false
		}
	}
	if !dry {
		m.startAt(keep)
		m.append(w, data)
		m.trim()
	}
	return whole, false
}

// append puts bytes into the stream, and into the writer's sequence.
func (m *model) append(w *modelWriter, data []byte) {
	m.all = append(m.all, data...)
	m.writes++
	if w.seq != nil {
		*w.seq += int64(len(data))
	}
}

// done answers a write whose bytes are in the stream: when they are stable.
func (m *model) done(w *modelWriter, whole result, off int64, dry bool) result {
	if !m.spooled {
		return whole
	}
	end := m.next()
	if w.addressed {
		end = off + int64(whole.n)
	}
	if m.stable >= end {
		return whole
	}
	if !dry {
		w.taken, w.end = whole.n, end
	}
	return result{n: whole.n}
}

// stage asks after a write whose bytes are in the stream.
func (m *model) stage(w *modelWriter, dry bool) result {
	res := result{n: w.taken, ready: !m.spooled || m.stable >= w.end}
	if res.ready && !dry {
		w.taken = 0
	}
	return res
}

func (m *model) eof() {
	for _, r := range m.readers {
		r.marks = append(slices.Clip(r.marks), m.next())
	}
}

// check compares the Hub's own words with the model.
func (m *model) check(h *Hub) error {
	s := h.Status()
	slowest, any := m.slowest()
	if !any {
		slowest = m.next()
	}
	lost := m.lostByClosed
	for _, r := range m.readers {
		lost += m.lost(r)
	}
	want := Status{
		First: m.first, Next: m.next(), Size: m.size, Slowest: min(slowest, m.next()), Lost: lost,
		Delivered: m.delivered, Reads: m.reads, Writes: m.writes, WritersWait: s.WritersWait,
		Readers: len(m.readers), Writers: s.Writers,
		WaitingReaders: s.WaitingReaders, WaitingWriters: s.WaitingWriters, Spooled: m.spooled, SpoolErr: s.SpoolErr,
		Input: m.input, Fear: m.fear, Trunc: m.trunc, Frozen: m.frozen, Ended: m.ended,
		EndStatus: s.EndStatus, Modified: s.Modified,
	}
	if s != want {
		return fmt.Errorf("Status:\n got %+v\nwant %+v", s, want)
	}
	for i, got := range h.Readers() {
		r := m.readers[i]
		at := max(r.pos, m.first)
		want := ReaderStatus{
			ID: r.id, Offset: r.pos, Lost: m.lost(r), Addressed: r.addressed, Waiting: r.parked,
			Slowest: m.fear && !m.spooled && r.counts && at == slowest && at < m.next(), Stalls: got.Stalls,
		}
		if !r.addressed {
			want.Offset = at
		}
		if got.Stalls > 0 && s.WaitingWriters == 0 {
			return fmt.Errorf("reader %d stalls nobody for %v", i, got.Stalls)
		}
		if got != want {
			return fmt.Errorf("reader %d:\n got %+v\nwant %+v", i, got, want)
		}
	}
	return checkInside(h)
}

// checkInside checks what a Hub holds to be true of itself.
func checkInside(h *Hub) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	counting, at := 0, 0
	for i, r := range h.readers {
		switch {
		case r.index != i:
			return fmt.Errorf("reader %d has index %d", i, r.index)
		case r.wait.in != nil && !r.parked:
			return errors.New("a reader is queued and does not wait")
		case !r.counts:
			continue
		case r.pos < h.slowest:
			return fmt.Errorf("a reader at %d is behind the slowest, %d", r.pos, h.slowest)
		case r.pos == h.slowest:
			at++
		}
		counting++
	}
	if counting != h.counting || counting > 0 && at != h.atSlowest {
		return fmt.Errorf("%d count, %d are slowest; want %d, %d", h.counting, h.atSlowest, counting, at)
	}
	for i, m := range h.marks {
		if i > 0 && (m.off <= h.marks[i-1].off || m.upto <= h.marks[i-1].upto) {
			return fmt.Errorf("marks out of order: %v", h.marks)
		}
	}
	for off := h.first; off < h.next; {
		pieces, n, err := h.piecesLocked(nil, off, int(h.next-off))
		freeAll(pieces)
		switch {
		case errors.Is(err, ErrNotLoaded):
			return nil
		case err != nil:
			return err
		case n == 0 || h.old == nil && n != h.next-off:
			return fmt.Errorf("the store has %d bytes at %d, not %d", n, off, h.next-off)
		}
		off += n
	}
	return nil
}

// held is what a reader has not freed yet, and what it must still be.
type held struct {
	pieces []Piece
	want   string
}

func (x held) check() error {
	if !bytes.Equal(joined(x.pieces), []byte(x.want)) {
		return errors.New("bytes that were held have changed")
	}
	return nil
}

func joined(pieces []Piece) (b []byte) {
	for _, p := range pieces {
		b = append(b, p.Data...)
	}
	return b
}

func freeAll(pieces []Piece) {
	for _, p := range pieces {
		p.Free()
	}
}
