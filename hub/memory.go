package hub

import "sort"

// Memory is a Store whose bytes lie in memory, in chunks that readers share.
type Memory struct {
	chunks      []*chunk // chunks[head:] are ascending and without gaps
	head        int
	class       int // of the next chunk to copy into
	first, next int64
}

// NewMemory returns an empty Memory.
func NewMemory() *Memory { return &Memory{} }

// Append implements Store. It never fails.
func (m *Memory) Append(p Piece) (int64, error) {
	off := m.next
	if p.Owner != nil && len(p.Data) >= adoptMin && len(p.Data) >= cap(p.Data)/2 {
		m.push(adopt(p))
		// Small writes between large ones must not cost a large chunk each.
		m.class = 0
		return off, nil
	}
	for b := p.Data; len(b) > 0; {
		c := m.tail()
		if c == nil || c.room() == 0 {
			c = newChunk(max(m.class, classFor(len(b))))
			m.class = min(int(c.class)+1, classes-1)
			m.push(c)
		}
		n := min(len(b), c.room())
		c.data = append(c.data, b[:n]...)
		m.next += int64(n)
		b = b[n:]
	}
	p.Free()
	return off, nil
}

// Read implements Store. It never fails.
func (m *Memory) Read(dst []Piece, off int64, max int) ([]Piece, error) {
	live := m.chunks[m.head:]
	i := sort.Search(len(live), func(i int) bool { return live[i].end() > off })
	for ; i < len(live) && max > 0; i++ {
		c := live[i]
		from := int(off - c.off)
		n := min(max, len(c.data)-from)
		dst = append(dst, c.piece(from, from+n))
		off += int64(n)
		max -= n
	}
	return dst, nil
}

// Discard implements Store.
func (m *Memory) Discard(off int64) {
	m.first = max(m.first, off)
	for m.head < len(m.chunks) && m.chunks[m.head].end() <= m.first {
		m.chunks[m.head].Free()
		m.chunks[m.head] = nil
		m.head++
	}
	if m.head == len(m.chunks) {
		m.chunks, m.head, m.class = m.chunks[:0], 0, 0
	}
}

// Bounds implements Store.
func (m *Memory) Bounds() (first, next int64) { return m.first, m.next }

// Close implements Store.
func (m *Memory) Close() error {
	m.Discard(m.next)
	m.chunks = nil
	return nil
}

func (m *Memory) tail() *chunk {
	if m.head == len(m.chunks) {
		return nil
	}
	return m.chunks[len(m.chunks)-1]
}

// push adds c, with the bytes it holds already, to the end.
func (m *Memory) push(c *chunk) {
	if len(m.chunks) == cap(m.chunks) && m.head > len(m.chunks)/2 {
		// The front half is free: move down instead of growing for ever.
		n := copy(m.chunks, m.chunks[m.head:])
		clear(m.chunks[n:])
		m.chunks, m.head = m.chunks[:n], 0
	}
	c.off = m.next
	m.next += int64(len(c.data))
	m.chunks = append(m.chunks, c)
}
