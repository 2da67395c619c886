package hub

import (
	"bytes"
	"errors"
)

// knownLocked returns how many of the bytes of a write to offset at, of the
// sequence or of the stream, are there already, and more; negative is a gap.
func (h *Hub) knownLocked(seq *Sequence, at int64) int64 {
	switch {
	case at == cursor:
		return 0
	case seq != nil:
		return seq.next - at
	}
	return h.next - at
}

// sameLocked compares the bytes of a write to offset at that are there already
// with those that are retained, from the one with index same on. It returns how
// many are the same, or are not retained; with an error, those before it.
func (h *Hub) sameLocked(data []byte, at, same int64) (int64, error) {
	there := min(int64(len(data)), h.next-at)
	for {
		same = max(same, min(h.first-at, there))
		if same >= there {
			return there, nil
		}
		pieces, _, err := h.piecesLocked(nil, at+same, int(there-same))
		switch {
		case err == nil:
		case !errors.Is(err, ErrNotLoaded) && h.followLocked(): // it may be gone just now
			continue
		default:
			return same, err
		}
		differs := false
		for _, p := range pieces {
			if !differs {
				n := common(data[same:], p.Data)
				same += int64(n)
				differs = n < len(p.Data)
			}
			p.Free()
		}
		if differs {
			return same, &ConflictError{Offset: at + same}
		}
	}
}

// common returns how many of the first bytes of a and b are the same.
func common(a, b []byte) int {
	n := min(len(a), len(b))
	if bytes.Equal(a[:n], b[:n]) {
		return n
	}
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}
