package frame

import "bytes"

// Room for what comes begins with least, doubles while it is filled up, to at
// most batch if no frame is longer than that, and an inbox that has fallen empty
// keeps no more than idle of it, unless much comes.
const (
	least = 4 << 10
	idle  = 64 << 10
)

// An inbox is bytes that have come, and have not been made frames of.
type inbox struct {
	buf  []byte
	off  int  // what is before is done with
	came int  // bytes, the last time
	full bool // they were all that there was room for
}

// next takes a frame, if there is a whole one. want is else how many bytes there
// have to be.
func (b *inbox) next() (f Frame, ok bool, want int, err error) {
	f, n, want, err := Next(b.buf[b.off:])
	if err != nil || n == 0 {
		return Frame{}, false, want, err
	}
	f.Body = bytes.Clone(f.Body)
	b.off += n
	if b.off == len(b.buf) {
		b.buf, b.off = b.buf[:0], 0
		if cap(b.buf) > idle && b.came < idle/2 {
			b.buf = nil
		}
	}
	return f, true, want, nil
}

// len returns how many bytes there are.
func (b *inbox) len() int { return len(b.buf) - b.off }

// put appends p.
func (b *inbox) put(p []byte) {
	b.compact()
	b.buf = append(b.buf, p...)
	b.came = len(p)
}

// space returns room for more: for what is wanted, as far as that has been earned,
// so that memory grows with what has come and not with what a length says will.
func (b *inbox) space(want int) []byte {
	b.compact()
	room := min(want-len(b.buf), len(b.buf))
	if b.full {
		room = max(room, min(2*b.came, batch))
	}
	room = max(room, least)
	if free := cap(b.buf) - len(b.buf); free < room && (b.full || free < least/8) {
		grown := make([]byte, len(b.buf), len(b.buf)+room)
		copy(grown, b.buf)
		b.buf = grown
	}
	return b.buf[len(b.buf):cap(b.buf)]
}

// filled says how much of what space returned has been filled.
func (b *inbox) filled(n int) {
	b.buf = b.buf[:len(b.buf)+n]
	b.came, b.full = n, len(b.buf) == cap(b.buf)
}

func (b *inbox) compact() {
	if b.off > 0 {
		b.buf = b.buf[:copy(b.buf, b.buf[b.off:])]
		b.off = 0
	}
}
