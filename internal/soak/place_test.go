package soak

import (
	"bytes"
	"fmt"
	"slices"
)

// Streams are made of words of eight bytes. The first byte of a word has its
// high bit set and says which hub the word belongs to; the others have seven
// bits each of a number. So a reader that comes in anywhere finds the words'
// bounds, and one that gets another hub's bytes sees it.
const (
	wordSize  = 8
	wordBits  = 7 * (wordSize - 1)
	high      = 0x80
	locatable = 2*wordSize - 1 // so many bytes always have a whole word in them
)

func putWord(p []byte, tag byte, v uint64) {
	p[0] = high | tag
	for i := 1; i < wordSize; i++ {
		p[i] = byte(v>>(7*(i-1))) &^ high
	}
}

func getWord(p []byte) (tag byte, v uint64) {
	for i := wordSize - 1; i > 0; i-- {
		v = v<<7 | uint64(p[i])
	}
	return p[0] &^ high, v
}

// In a placed hub the number of each word is its place: the stream has but one
// content, whoever writes which part of it.

// fill makes p the bytes of a placed hub from off on.
func fill(p []byte, tag byte, off int64) {
	var w [wordSize]byte
	for i := 0; i < len(p); {
		at := off + int64(i)
		putWord(w[:], tag, uint64(at/wordSize))
		i += copy(p[i:], w[at%wordSize:])
	}
}

// locate says from which offset the bytes are, if there is a word in them.
func locate(p []byte) (off int64, ok bool) {
	i := slices.IndexFunc(p, func(b byte) bool { return b&high != 0 })
	if i < 0 || i+wordSize > len(p) {
		return 0, false
	}
	_, v := getWord(p[i:])
	off = int64(v)*wordSize - int64(i)
	return off, off >= 0
}

// A checker looks at what a reader gets of one hub, read by read. Bytes may be
// missing before a read if the reader may skip, never inside of one.
type checker interface {
	take(p []byte, maySkip bool) error
	jump(to int64) // what comes next is from there
	lacks() int64  // so many bytes were missing, at least
}

// A placed is the checker of a placed hub.
type placed struct {
	tag     byte
	pos     int64 // where the next byte belongs, if no more is missing
	sure    bool  // pos was seen in the bytes or is known; else the next word tells
	began   bool  // pos was sure once: what is missing from there on counts
	missing int64 // bytes
	want    []byte
}

func (c *placed) take(p []byte, maySkip bool) error {
	if c.sure && c.is(p, c.pos) {
		c.pos += int64(len(p))
		return nil
	}
	off, ok := locate(p)
	switch {
	case c.sure && !maySkip:
		return fmt.Errorf("at %d: got %x, want %x", c.pos, clip(p), clip(c.want))
	case !ok && len(p) >= locatable:
		return fmt.Errorf("at %d: no word in %x", c.pos, clip(p))
	case !ok: // too few bytes to see where they are from
		c.sure = false
		c.pos += int64(len(p))
		return nil
	case c.began && off < c.pos:
		return fmt.Errorf("at %d: went back to %d", c.pos, off)
	case !c.is(p, off):
		return fmt.Errorf("at %d: got %x, want %x", off, clip(p), clip(c.want))
	}
	if c.began {
		c.missing += off - c.pos
	}
	c.pos, c.sure, c.began = off+int64(len(p)), true, true
	return nil
}

func (c *placed) jump(to int64) { c.pos, c.sure = to, true }
func (c *placed) lacks() int64  { return c.missing }

// is reports whether p is what belongs to off.
func (c *placed) is(p []byte, off int64) bool {
	if cap(c.want) < len(p) {
		c.want = make([]byte, len(p))
	}
	c.want = c.want[:len(p)]
	fill(c.want, c.tag, off)
	return bytes.Equal(p, c.want)
}

func clip(p []byte) []byte { return p[:min(len(p), 4*wordSize)] }

// In a mixed hub each word has its author's number, a counter of that author,
// and whether more words follow in the same write.
const (
	counterBits = 32
	maxAuthors  = 1 << (wordBits - counterBits - 1)
)

func mixedWord(author, counter uint64, more bool) uint64 {
	v := author<<counterBits | counter
	v <<= 1
	if more {
		v |= 1
	}
	return v
}

// write makes p, whole words, the write of an author.
func write(p []byte, tag byte, author, counter uint64) {
	for i := 0; i < len(p); i += wordSize {
		putWord(p[i:], tag, mixedWord(author, counter, i+wordSize < len(p)))
		counter++
	}
}

// A mixed is the checker of a mixed hub. Writes and sizes are whole words, so
// that what is missing ends at a word's end.
type mixed struct {
	hub     *ledger
	whole   bool               // it has seen all from the hub's first byte on
	aligned bool               // it has seen the beginning of a word
	part    []byte             // of a word, from the read before
	last    word               // before it
	seen    map[uint64]counter // by author
	reads   int
	hole    int   // the last read before which something may be missing
	missing int64 // bytes, of authors that were seen before and after them
}

type word struct {
	author, counter uint64
	more            bool
}

// A counter is how far a reader has come with an author.
type counter struct {
	next uint64
	read int // the one in which the last word came; 0: none
}

func newMixed(hub *ledger, whole bool) *mixed {
	return &mixed{hub: hub, whole: whole, seen: map[uint64]counter{}}
}

func (c *mixed) jump(int64)   { c.hole = c.reads + 1 }
func (c *mixed) lacks() int64 { return c.missing }

func (c *mixed) take(p []byte, maySkip bool) error {
	if c.reads++; maySkip {
		c.hole = c.reads
	}
	began := -1 // where in p the word began
	for i, b := range p {
		switch {
		case b&high == 0 && len(c.part) > 0:
		case b&high == 0 && !c.aligned:
			continue // came in in the middle of a word
		case b&high == 0:
			return fmt.Errorf("byte %d of a read: %x in no word", i, clip(p[i:]))
		case len(c.part) > 0 && (i > 0 || c.hole < c.reads):
			return fmt.Errorf("byte %d of a read: %x: a word ended after %d bytes", i, clip(p[i:]), len(c.part))
		default:
			c.missing -= int64(len(c.part)) // of a word whose end is missing
			c.part, began, c.aligned = c.part[:0], i, true
		}
		if c.part = append(c.part, b); len(c.part) < wordSize {
			continue
		}
		tag, v := getWord(c.part)
		c.part = c.part[:0]
		w := word{v >> (counterBits + 1), v >> 1 & (1<<counterBits - 1), v&1 != 0}
		if err := c.word(tag, w, began == 0 && c.hole == c.reads); err != nil {
			return fmt.Errorf("byte %d of a read: %w", i+1-wordSize, err)
		}
	}
	return nil
}

// word checks one word, before which others may be missing.
func (c *mixed) word(tag byte, w word, hole bool) error {
	seen, known := c.seen[w.author]
	switch {
	case tag != c.hub.tag:
		return fmt.Errorf("a word of hub %d in hub %d", tag, c.hub.tag)
	case w.counter >= c.hub.sent(w.author):
		return fmt.Errorf("%v was not sent", w)
	case c.last.more && w.author != c.last.author && !hole:
		return fmt.Errorf("%v inside a write: %v went before", w, c.last)
	case (known || c.whole) && w.counter < seen.next:
		return fmt.Errorf("%v for the second time", w)
	case (known || c.whole) && w.counter > seen.next:
		if seen.read >= c.hole {
			return fmt.Errorf("%v where %d was to come", w, seen.next)
		}
		c.missing += int64(w.counter-seen.next) * wordSize
	}
	c.seen[w.author], c.last = counter{w.counter + 1, c.reads}, w
	return nil
}

func (w word) String() string { return fmt.Sprintf("word %d of author %d", w.counter, w.author) }
