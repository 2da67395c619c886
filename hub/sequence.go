package hub

// A Sequence is what one party writes into a stream where others write too: its
// bytes have offsets of their own, from 0. A party that lost its connection, and
// does not know how far it came, writes its last bytes again at their offsets
// and has written them once, whatever others wrote in between.
//
// What the sequence has already is taken for written without a look at it: the
// stream may have given it up.
type Sequence struct {
	hub  *Hub  // immutable
	next int64 // guarded by hub.mu; where its bytes end
}

// NewSequence begins a sequence. It is an address and no open: only its writers
// count, and are closed.
func (h *Hub) NewSequence() *Sequence { return &Sequence{hub: h} }

// NewWriter opens the stream for writing bytes of the sequence. The offset of
// each write is that in the sequence; a gap is a *GapError. Several writers of
// one sequence may be open, and wait, at the same time: be it the old and the
// new connection of one party.
func (s *Sequence) NewWriter() *Writer { return s.hub.newWriter(true, s) }

// Len returns how many bytes the sequence has. A write that waits is not among
// them, nor one that was cancelled while it did.
func (s *Sequence) Len() int64 {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	return s.next
}
