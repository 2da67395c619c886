package gather

import (
	"bytes"
	"encoding/binary"
	"testing"

	"hubfs/taskfs/ranks"
)

// FuzzDecode gives a Decoder anything, in several bodies: what it hands out is
// within bounds, and so is what it remembers.
func FuzzDecode(f *testing.F) {
	r := NewRelay(func() {})
	r.Output(ranks.Span(0, 3), Stdout, []byte("hello, hello, hello\n"))
	r.Output(one(5), Stderr, []byte("no\n"))
	body, _ := r.Next(1 << 20)
	f.Add(body, body)
	r.Output(one(3), Stdout, []byte("hello, hello, hello\n"))
	again, _ := r.Next(1 << 20)
	f.Add(body, again)
	var odd []int
	for i := 0; i < 60; i += 2 {
		odd = append(odd, i)
	}
	r.Output(ranks.Of(odd...), Stdout, []byte("odd\n"))
	r.Output(one(9), Stdout, []byte("odd\n"))
	r.Output(ranks.Of(odd...), Stderr, []byte("odd\n"))
	set, _ := r.Next(1 << 20)
	f.Add(set, set)
	f.Add([]byte{}, []byte{1})
	f.Add([]byte{1, 1, 0, 0, 1, 2, 'x'}, []byte{5, 0, 1, 3, 1})
	f.Fuzz(func(t *testing.T, a, b []byte) {
		const size = 60
		d := NewDecoder(size)
		for _, body := range [][]byte{a, b, a} {
			output, pieces := 0, 0
			err := d.Decode(body, func(set ranks.Set, s Stream, p []byte) {
				if set.Empty() || set.Min() < 0 || set.Max() >= size {
					t.Fatalf("tasks %s of %d", set, size)
				}
				if s != Stdout && s != Stderr || len(p) == 0 {
					t.Fatalf("%d bytes of stream %d", len(p), s)
				}
				output += len(p)
				pieces++
			})
			if output > maxOutput || pieces > maxPieces || len(d.window.cur) > generation || len(d.window.old) > generation {
				t.Fatalf("%d bytes, %d pieces, %d and %d remembered", output, pieces, len(d.window.cur), len(d.window.old))
			}
			if err != nil {
				return
			}
		}
	})
}

// FuzzRelay has tasks say what a text tells them to, and bodies be taken at any
// time: what comes out is what was said.
func FuzzRelay(f *testing.F) {
	f.Add([]byte("0hello\n1hello\n2hel!2lo\n0x0y1x1y3hello\nx"), uint8(0))
	f.Add([]byte("0aaaaaaaaaaaaaaaa1aaaaaaaaaaaaaaaa!2aaaaaaaaaaaaaaaabbbbbbbbbbbbbb3aaaaaaaaaaaaaaaabbbbb!"), uint8(1))
	f.Add([]byte("0aaaaaaaaaaaaaaaa1aaaaaaaaaaaaaaaa!2aaaaaaaaaaaaaaaa"), uint8(201))
	f.Fuzz(func(t *testing.T, script []byte, small uint8) {
		script = script[:min(len(script), 2000)] // the queue is looked at after each step
		const tasks = 10
		limit := 1 << 20
		if small%2 == 1 {
			limit = minBody
		}
		l := newLine(tasks)
		if small > 200 {
			l.Alone() // as far as output goes, it may be said at any time
		}
		said, got := make([]bytes.Buffer, tasks), make([]bytes.Buffer, tasks)
		task, stream := 0, Stdout
		for len(script) > 0 {
			n := bytes.IndexAny(script, "0123456789!%")
			if n < 0 {
				n = len(script)
			}
			if n > 0 {
				// Both streams of a task have one order: it is checked as one.
				l.Output(one(task), stream, script[:n])
				said[task].Write(script[:n])
				l.queue.check(t)
			} else {
				n = 1
				switch c := script[0]; c {
				case '!':
					body, _ := l.Next(limit)
					if err := l.dec.Decode(body, collect(got)); err != nil {
						t.Fatal(err)
					}
				case '%':
					stream ^= Stdout ^ Stderr
				default:
					task = int(c - '0')
				}
			}
			script = script[n:]
		}
		l.carry(t, limit, collect(got))
		for r := range tasks {
			if !bytes.Equal(said[r].Bytes(), got[r].Bytes()) {
				t.Fatalf("task %d: %q, want %q", r, got[r].Bytes(), said[r].Bytes())
			}
		}
	})
}

// TestDecoderSaysWhatIsWrong has one broken body for each way to break one.
func TestDecoderSaysWhatIsWrong(t *testing.T) {
	piece := func(b ...byte) []byte { return b }
	many := binary.AppendUvarint(nil, 1<<40)
	for _, c := range []struct {
		body []byte
		err  string
	}{
		{piece(9, 1, 0, 0, 2, 2, 'x', 3, 1), "1 bytes of which only 0 are remembered"},
		{piece(0), "a piece of kind 0, expected 1 or 2"},
		{piece(3), "a piece of kind 3"},
		{piece(0x81), "a piece of kind 129"},
		{piece(1), "ends within a piece"},
		{piece(1, 0, 1, 2, 'x'), "no task"},
		{piece(1, 1, 10, 0, 1, 2, 'x'), "rank 10, expected less than 10"},
		{piece(1, 1, 0, 10, 1, 2, 'x'), "rank 10, expected less than 10"},
		{piece(1, 1, 11, 0, 1, 2, 'x'), "rank above 10"},
		{append(piece(1), many...), "number of spans above"},
		{piece(1, 2, 9, 0, 0, 0, 1, 2, 'x'), "rank 10"},
		{piece(1, 1, 0, 0, 0, 0, 0), "a piece of no bytes"},
		{append(piece(1, 1, 0, 0), many...), "output above 1048576"},
		{piece(1, 1, 0, 0, 1, 2), "ends within a piece"},
		{piece(1, 1, 0, 0, 1, 0, 'x'), "a part of 0 bytes, expected 1 to 1"},
		{piece(1, 1, 0, 0, 1, 4, 'x', 'y'), "length above 3"},
		{piece(1, 1, 0, 0, 1, 3, 0), "1 bytes of which only 0 are remembered"},
		{piece(1, 1, 0, 0, 1, 3, 1), "1 bytes of which only 0 are remembered"},
		{append(piece(1, 1, 0, 0, 1, 3), many...), "distance above"},
		{append(piece(1, 1, 0, 0, 0x81, 0x80, 4, 0x82, 0x80, 8), make([]byte, maxPart+1)...), "a part of 65537 bytes, expected at most 65536"},
		{append(halfMiB(), append(halfMiB(), 1, 1, 0, 0, 1, 2, 'x')...), "output above 0"},
		{piece(5), "ends within a piece"},
		{piece(5, 0, 1, 2, 'x'), "the set 0, which was not sent"},
		{piece(5, 99, 1, 2, 'x'), "the set 99, which was not sent"},
		{bytes.Repeat(piece(1, 1, 0, 0, 1, 2, 'x'), maxPieces+1), "more than 4096 pieces"},
	} {
		err := NewDecoder(10).Decode(c.body, func(ranks.Set, Stream, []byte) {})
		if err == nil || !bytes.Contains([]byte(err.Error()), []byte(c.err)) {
			t.Errorf("%.20x: %v, want an error with %q", c.body, err, c.err)
		}
	}
}

// halfMiB is a piece of half a MiB, most of it by reference.
func halfMiB() []byte {
	b := []byte{1, 1, 0, 0}
	b = binary.AppendUvarint(b, maxOutput/2)
	b = binary.AppendUvarint(b, maxPart<<1)
	b = append(b, make([]byte, maxPart)...)
	for n := maxPart; n < maxOutput/2; n += maxPart {
		b = binary.AppendUvarint(b, maxPart<<1|1)
		b = binary.AppendUvarint(b, maxPart)
	}
	return b
}
