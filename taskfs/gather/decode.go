package gather

import (
	"errors"
	"fmt"

	"hubfs/taskfs/ranks"
)

// A Decoder is the other end of a Relay. One goroutine may use it at a time.
type Decoder struct {
	size   int
	sets   ring
	window window
	whole  []byte // scratch: a piece of several parts
}

// NewDecoder returns the other end of a new Relay of tasks [0, size).
func NewDecoder(size int) *Decoder { return &Decoder{size: size} }

// Decode calls each for what is in a body, which the Relay's Next has made, and
// in that order. p is shared, not to be changed, and good until each returns. After
// an error the two ends have not the same any more: the link is of no use.
func (d *Decoder) Decode(body []byte, each func(set ranks.Set, s Stream, p []byte)) error {
	pieces, output := 0, 0
	for len(body) > 0 {
		head := body[0]
		st := Stream(head &^ (known | plain))
		if st != Stdout && st != Stderr {
			return fmt.Errorf("output frame: a piece of kind %d, expected 1 or 2", head)
		}
		if pieces++; pieces > maxPieces {
			return fmt.Errorf("output frame: more than %d pieces", maxPieces)
		}
		set, rest, err := d.set(body[1:], head&known != 0)
		if err != nil {
			return err
		}
		size, rest, err := uvarint(rest, "output", uint64(maxOutput-output))
		if err != nil {
			return err
		}
		if size == 0 {
			return errors.New("output frame: a piece of no bytes")
		}
		p, rest, err := d.piece(rest, int(size), head&plain == 0)
		if err != nil {
			return err
		}
		output += len(p)
		each(set, st, p)
		body = rest
	}
	return nil
}

// set takes a set from the front of b.
func (d *Decoder) set(b []byte, remembered bool) (set ranks.Set, rest []byte, err error) {
	if !remembered {
		set, rest, err = takeSet(b, d.size)
		if err == nil {
			d.sets.add(set, len(b)-len(rest))
		}
		return set, rest, err
	}
	if len(b) == 0 {
		return set, nil, errShort
	}
	if int(b[0]) >= setRing || d.sets.sets[b[0]].Empty() {
		return set, nil, fmt.Errorf("output frame: the set %d, which was not sent", b[0])
	}
	return d.sets.sets[b[0]], b[1:], nil
}

// piece takes the parts of size bytes from the front of b.
func (d *Decoder) piece(b []byte, size int, remember bool) (p, rest []byte, err error) {
	d.whole = d.whole[:0]
	parts := 0
	for done := 0; done < size; parts++ {
		v, after, err := uvarint(b, "length", uint64(size-done)<<1|1)
		if err != nil {
			return nil, nil, err
		}
		n := int(v >> 1)
		var part []byte
		switch {
		case n == 0 || n > size-done:
			return nil, nil, fmt.Errorf("output frame: a part of %d bytes, expected 1 to %d", n, size-done)
		case v&1 != 0:
			var back uint64
			if back, after, err = uvarint(after, "distance", 2*generation); err != nil {
				return nil, nil, err
			}
			part = d.window.from(d.window.end() - int64(back))
			if len(part) < n {
				return nil, nil, fmt.Errorf("output frame: %d bytes of which only %d are remembered", n, len(part))
			}
			part = part[:n]
		case n > maxPart:
			return nil, nil, fmt.Errorf("output frame: a part of %d bytes, expected at most %d", n, maxPart)
		case n > len(after):
			return nil, nil, errShort
		default:
			part, after = after[:n], after[n:]
			if remember {
				d.window.add(part)
			}
		}
		b = after
		if done == 0 && n == size {
			return part, b, nil
		}
		d.whole = append(d.whole, part...)
		done += n
	}
	if remember && parts >= manyParts && size <= maxPart {
		d.window.add(d.whole)
	}
	return d.whole, b, nil
}
