package feed

// A chunk is memory that is read into. Its segments are in the queue until the
// hub has them.
type chunk struct {
	buf  []byte
	refs int // guarded by Feed.mu: segments, who reads into it, and who sends of it
}

const (
	// chunkSize is also the most that one read brings.
	chunkSize = 1 << 20
	// leastRoom is the least that is offered to a read.
	leastRoom = 64 << 10
	// A segment is written to the hub at a time, and many are under way. It takes
	// effect whole, so that it is to be small beside what the hub retains: else
	// those who watch miss what they had no time to read. A spooled hub retains
	// all, and answers each write when it is kept: there large ones are better.
	mostSegment    = 256 << 10
	leastSegment   = 4 << 10
	spooledSegment = 1 << 20
	// segmentCost is what a segment takes besides its bytes. A job that writes
	// single bytes by turns to two outputs shall not cost a hundred times what
	// it writes.
	segmentCost = 64
	// spareChunks are kept to be used again.
	spareChunks = 32
)

// A segment is bytes that lie together in memory and in the stream.
type segment struct {
	data  []byte
	off   int64 // in the hub
	took  int   // so many of its first bytes are answered
	chunk *chunk
}

// A queue holds what the hub is not known to have: what is under way, and
// behind it what is to be sent. Feed.mu guards it.
type queue struct {
	segs  []segment
	sent  int   // so many of segs are under way
	unit  int   // most bytes of a segment
	bytes int   // what they cost
	end   int64 // the offset behind the last
	spare []*chunk
}

// room reports whether n more bytes may wait where limit is the most. A write
// larger than that passes alone.
func (q *queue) room(n, limit int) bool {
	return q.bytes == 0 || q.bytes+n+segmentCost <= limit
}

// add puts bytes at the end.
func (q *queue) add(c *chunk, p []byte) {
	q.bytes += len(p)
	if n := len(q.segs); n > q.sent {
		// The last is not under way: what lies right behind it joins it.
		last := &q.segs[n-1]
		have := len(last.data)
		m := min(len(p), q.unit-have)
		if last.chunk == c && m > 0 && cap(last.data) > have && &last.data[:have+1][have] == &p[0] {
			last.data = last.data[:have+m]
			q.end += int64(m)
			p = p[m:]
		}
	}
	for len(p) > 0 {
		m := min(len(p), q.unit)
		q.segs = append(q.segs, segment{data: p[:m], off: q.end, chunk: c})
		c.refs++
		q.bytes += segmentCost
		q.end += int64(m)
		p = p[m:]
	}
}

// next returns what is to be sent next, if anything is: ok. It is under way
// then, and its chunk is held until it is released.
func (q *queue) next() (s segment, ok bool) {
	for q.sent < len(q.segs) {
		s = q.segs[q.sent]
		q.sent++
		if s.took < len(s.data) {
			s.data, s.off = s.data[s.took:], s.off+int64(s.took)
			s.chunk.refs++
			return s, true
		} // else an answer came before those of the segments in front of it
	}
	return segment{}, false
}

// answered notes that the hub has n bytes from off on.
func (q *queue) answered(off int64, n int) {
	for i := range q.segs[:q.sent] {
		s := &q.segs[i]
		if from := s.off + int64(s.took); off == from && n <= len(s.data)-s.took {
			s.took += n
			break
		}
	}
	done := 0
	for done < q.sent && q.segs[done].took == len(q.segs[done].data) {
		q.remove(&q.segs[done])
		done++
	}
	q.segs = q.segs[done:]
	q.sent -= done
}

// answeredTo returns the offset before which the hub has everything.
func (q *queue) answeredTo() int64 {
	if len(q.segs) == 0 {
		return q.end
	}
	return q.segs[0].off + int64(q.segs[0].took)
}

// rewind says that nothing is under way: what is not answered is to be sent
// again.
func (q *queue) rewind() { q.sent = 0 }

// renumber takes out what was answered behind what was not, and gives the rest
// offsets without gaps, from at on.
func (q *queue) renumber(at int64) {
	rest := q.segs[:0]
	q.end = at
	for _, s := range q.segs {
		if s.took == len(s.data) {
			q.remove(&s)
			continue
		}
		q.bytes -= s.took
		s.data, s.took, s.off = s.data[s.took:], 0, q.end
		q.end += int64(len(s.data))
		rest = append(rest, s)
	}
	clear(q.segs[len(rest):])
	q.segs, q.sent = rest, 0
}

// drop forgets everything.
func (q *queue) drop() {
	for i := range q.segs {
		q.remove(&q.segs[i])
	}
	q.segs, q.sent, q.spare = nil, 0, nil
}

func (q *queue) remove(s *segment) {
	q.bytes -= len(s.data) + segmentCost
	q.release(s.chunk)
	*s = segment{}
}

// release gives up a hold on a chunk.
func (q *queue) release(c *chunk) {
	c.refs--
	if c.refs == 0 && len(q.spare) < spareChunks {
		q.spare = append(q.spare, c)
	}
}

// chunk returns one that nobody else holds.
func (q *queue) chunk() *chunk {
	if n := len(q.spare); n > 0 {
		c := q.spare[n-1]
		q.spare = q.spare[:n-1]
		c.refs = 1
		return c
	}
	return &chunk{buf: make([]byte, chunkSize), refs: 1}
}

// An Intake is where one output of the job comes in. It is used by one
// goroutine.
type Intake struct {
	f     *Feed
	chunk *chunk
	used  int // bytes of the chunk that were added
}

// Intake returns one more.
func (f *Feed) Intake() *Intake { return &Intake{f: f} }

// Room returns memory to read into.
func (in *Intake) Room() []byte {
	if in.chunk != nil && len(in.chunk.buf)-in.used >= leastRoom {
		return in.chunk.buf[in.used:]
	}
	in.f.mu.Lock()
	defer in.f.mu.Unlock()
	if in.chunk != nil {
		in.f.queue.release(in.chunk)
	}
	in.chunk, in.used = in.f.queue.chunk(), 0
	return in.chunk.buf
}

// Add gives the first n bytes of the room to the hub.
func (in *Intake) Add(n int) {
	p := in.chunk.buf[in.used : in.used+n]
	in.used += n
	in.f.add(in.chunk, p)
}
