package gather

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hubfs/taskfs/ranks"
)

// A line is a Relay and its Decoder.
type line struct {
	*Relay
	dec     *Decoder
	traffic int
}

func newLine(size int) *line {
	return &line{Relay: NewRelay(func() {}), dec: NewDecoder(size)}
}

// carry brings what waits in a line, in bodies of at most limit bytes, to each. It
// returns how many bodies it were.
func (l *line) carry(t testing.TB, limit int, each func(ranks.Set, Stream, []byte)) (bodies int) {
	t.Helper()
	for {
		body, n := l.Next(limit)
		if body == nil {
			if n != 0 || l.Queued() != 0 {
				t.Fatalf("nothing waits, but %d bytes: %d are queued", n, l.Queued())
			}
			return bodies
		}
		if len(body) > max(limit, minBody) {
			t.Fatalf("a body of %d bytes, at most %d", len(body), limit)
		}
		bodies++
		l.traffic += len(body)
		total := 0
		err := l.dec.Decode(body, func(set ranks.Set, s Stream, p []byte) {
			total += len(p)
			each(set, s, p)
		})
		if err != nil {
			t.Fatal(err)
		}
		if total != n {
			t.Fatalf("a body stands for %d bytes, Next says %d", total, n)
		}
	}
}

// text is what pieces are, one after the other.
func (l *line) text(t *testing.T) string {
	var b strings.Builder
	l.carry(t, 1<<20, func(set ranks.Set, s Stream, p []byte) { fmt.Fprintf(&b, "%s/%d %q; ", set, s, p) })
	return b.String()
}

func TestEqualOutputIsOnePiece(t *testing.T) {
	l := newLine(10)
	for r := range 10 {
		l.Output(one(r), Stdout, []byte("hello\n"))
	}
	is(t, "equal", l.text(t), `0-9/1 "hello\n"; `)
	for r := range 10 {
		l.Output(one(r), Stdout, []byte("hel"))
		l.Output(one(r), Stdout, []byte("lo\nwor"))
		l.Output(one(r), Stdout, []byte("ld\n"))
	}
	is(t, "equal, in pieces", l.text(t), `0-9/1 "hello\nworld\n"; `)
	l.Output(ranks.Span(0, 4), Stdout, []byte("a\nb\nc\n"))
	l.Output(ranks.Span(4, 8), Stdout, []byte("a\nb\n"))
	l.Output(ranks.Span(4, 6), Stdout, []byte("c\nd\n"))
	l.Output(one(9), Stdout, []byte("a\nx\n"))
	is(t, "with a common beginning", l.text(t), `0-7,9/1 "a\n"; 0-7/1 "b\n"; 0-5/1 "c\n"; 4-5/1 "d\n"; 9/1 "x\n"; `)
	l.Output(one(0), Stdout, []byte("all\nnode1\n"))
	l.Output(one(1), Stdout, []byte("all\nnode2\n"))
	is(t, "with lines that begin alike", l.text(t), `0-1/1 "all\n"; 0/1 "node1\n"; 1/1 "node2\n"; `)
}

func TestStreamsOfATaskKeepTheirOrder(t *testing.T) {
	l := newLine(3)
	l.Output(one(0), Stdout, []byte("a\n"))
	l.Output(one(1), Stdout, []byte("b\n"))
	l.Output(one(1), Stderr, []byte("e\n"))
	l.Output(one(1), Stdout, []byte("a\n")) // not with 0's: b comes before
	l.Output(one(0), Stderr, []byte("e\n"))
	l.Output(one(2), Stderr, []byte("e\n"))
	is(t, "order", l.text(t), `0/1 "a\n"; 1/1 "b\n"; 1/2 "e\n"; 1/1 "a\n"; 0/2 "e\n"; 2/2 "e\n"; `)
}

// TestWhatWasSentIsNotSentAgain has tasks say the same one after the other, in
// pieces of their own, and each with something of its own in between.
func TestWhatWasSentIsNotSentAgain(t *testing.T) {
	var text strings.Builder
	for i := range 200 {
		fmt.Fprintf(&text, "line %d of what everybody says\n", i*i)
	}
	noLines := strings.Repeat(strings.ReplaceAll(text.String(), "\n", ";"), 2)
	for name, say := range map[string]string{"lines": text.String(), "no lines": noLines} {
		t.Run(name, func(t *testing.T) {
			l := newLine(100)
			r := rand.New(rand.NewPCG(1, 1))
			got := make([]bytes.Buffer, 100)
			first := 0
			for task := range 100 {
				for p := []byte(say); len(p) > 0; {
					n := min(len(p), 1+r.IntN(3000))
					l.Output(one(task), Stdout, p[:n])
					p = p[n:]
					if r.IntN(3) == 0 {
						l.carry(t, 1<<20, collect(got))
					}
				}
				l.carry(t, 1<<20, collect(got))
				if task == 0 {
					first = l.traffic
				}
				if got[task].String() != say {
					t.Fatalf("task %d said something else", task)
				}
			}
			if rest := (l.traffic - first) / 99; rest > 100 || first < len(say) {
				t.Errorf("the first task took %d bytes, each other %d", first, rest)
			}
		})
	}
	t.Run("own lines between", func(t *testing.T) {
		l := newLine(100)
		for task := range 100 {
			l.Output(one(task), Stdout, fmt.Appendf(nil, "I am %d\n%s", task, text.String()))
			l.carry(t, 1<<20, func(ranks.Set, Stream, []byte) {})
		}
		if most := text.Len() + 100*80; l.traffic > most {
			t.Errorf("%d bytes, expected at most %d", l.traffic, most)
		}
	})
}

// collect returns what adds pieces to the output of each task.
func collect(got []bytes.Buffer) func(ranks.Set, Stream, []byte) {
	return func(set ranks.Set, _ Stream, p []byte) {
		for r := range set.All() {
			got[r].Write(p)
		}
	}
}

// TestSmallBodies has what waits not fit: neither the output nor the set.
func TestSmallBodies(t *testing.T) {
	const tasks = 4000
	l := newLine(tasks)
	var odd []int
	for r := 1; r < tasks; r += 2 {
		odd = append(odd, r)
	}
	set := ranks.Of(odd...)
	long := bytes.Repeat([]byte("0123456789 ab\n"), 3000)
	got := make([]bytes.Buffer, tasks)
	for range 2 {
		l.Output(set, Stdout, long)
		l.Output(one(1), Stdout, []byte("more"))
		l.Output(one(3), Stdout, []byte("more"))
		// Output comes while half of an item is sent.
		body, _ := l.Next(1 << 10)
		if err := l.dec.Decode(body, collect(got)); err != nil {
			t.Fatal(err)
		}
		l.Output(set, Stdout, []byte("!"))
		l.Output(one(1), Stdout, []byte("\n"))
		if l.carry(t, 1<<10, collect(got)) < 2 {
			t.Error("everything in one body")
		}
	}
	for r := range tasks {
		want := ""
		switch {
		case r == 1:
			want = string(long) + "more!\n"
		case r == 3:
			want = string(long) + "more!"
		case r%2 == 1:
			want = string(long) + "!"
		}
		if got[r].String() != want+want {
			t.Fatalf("task %d: %d bytes, want %d", r, got[r].Len(), 2*len(want))
		}
	}
}

func TestAloneNothingIsRemembered(t *testing.T) {
	l := newLine(1)
	l.Alone()
	text := output(300)
	var got bytes.Buffer
	for i := 0; i < len(text); i += 999 {
		l.Output(one(0), Stdout, text[i:min(i+999, len(text))])
		l.carry(t, minBody, func(_ ranks.Set, _ Stream, p []byte) { got.Write(p) })
	}
	if !bytes.Equal(got.Bytes(), text) {
		t.Error("other bytes")
	}
	if l.enc.window.end() != 0 || l.dec.window.end() != 0 {
		t.Errorf("%d and %d bytes are remembered", l.enc.window.end(), l.dec.window.end())
	}
}

func TestWaits(t *testing.T) {
	l := newLine(3)
	expect := func(set ranks.Set, want bool) {
		t.Helper()
		if l.Waits(set) != want {
			t.Errorf("output of %s waits: %v, want %v", set, !want, want)
		}
	}
	l.Output(one(1), Stdout, bytes.Repeat([]byte("long"), minBody))
	expect(ranks.Of(0, 2), false)
	expect(ranks.Span(0, 3), true)
	l.Next(minBody)
	expect(one(1), true)
	l.carry(t, 1<<20, func(ranks.Set, Stream, []byte) {})
	expect(ranks.Span(0, 3), false)
}

// TestHalfOfASetIsSent has a set that fits into no body, and as many of its tasks
// go on as are left when some are sent.
func TestHalfOfASetIsSent(t *testing.T) {
	const tasks = 2400
	l := newLine(tasks)
	var odd []int
	for r := 1; r < tasks; r += 2 {
		odd = append(odd, r)
	}
	for goOn := range 12 {
		n := 100 * (goOn + 1)
		l.Output(ranks.Of(odd...), Stdout, []byte("all\n"))
		l.Output(ranks.Of(odd[:n]...), Stdout, []byte("some\n"))
		got := make([]bytes.Buffer, tasks)
		l.carry(t, minBody, collect(got))
		for i, r := range odd {
			want := "all\n"
			if i < n {
				want += "some\n"
			}
			if got[r].String() != want {
				t.Fatalf("%d go on: task %d says %q", n, r, got[r].String())
			}
		}
	}
}

func TestASetIsSentOnce(t *testing.T) {
	l := newLine(10000)
	var odd []int
	for r := 1; r < 10000; r += 2 {
		odd = append(odd, r)
	}
	set := ranks.Of(odd...)
	for i := range 50 {
		l.Output(set, Stdout, fmt.Appendf(nil, "%d\n", i))
		l.carry(t, 1<<20, func(ranks.Set, Stream, []byte) {})
	}
	if l.traffic > 11000 {
		t.Errorf("%d bytes for a set that is sent 50 times", l.traffic)
	}
}

// TestNoMoreThanTheWindowIsRemembered sends much that is different, and then what
// is in the window and what is not any more.
func TestNoMoreThanTheWindowIsRemembered(t *testing.T) {
	l := newLine(2)
	nobody := func(ranks.Set, Stream, []byte) {}
	r := rand.New(rand.NewPCG(3, 3))
	say := func(task, n int, seed uint64) {
		g := rand.New(rand.NewPCG(seed, seed))
		for range n / 1000 {
			b := make([]byte, 1000)
			for i := range b {
				b[i] = byte('a' + g.IntN(26))
			}
			b[999] = '\n'
			l.Output(one(task), Stdout, b)
			if r.IntN(4) == 0 {
				l.carry(t, 1<<20, nobody)
			}
		}
		l.carry(t, 1<<20, nobody)
	}
	say(0, 4*generation, 1)
	if w := l.enc.window; len(w.cur)+len(w.old) > 2*generation || len(l.dec.window.cur) != len(w.cur) || l.dec.window.base != w.base {
		t.Errorf("the windows hold %d and %d bytes", len(w.cur)+len(w.old), len(l.dec.window.cur)+len(l.dec.window.old))
	}
	before := l.traffic
	say(1, generation, 1)
	if n := l.traffic - before; n < generation*9/10 {
		t.Errorf("%d bytes for what is long forgotten", n)
	}
	before = l.traffic
	say(0, generation, 1)
	if n := l.traffic - before; n > generation/10 {
		t.Errorf("%d bytes for what was just sent", n)
	}
	say(1, generation/2, 5) // the older half has what was sent before
	before = l.traffic
	say(0, generation, 1)
	if n := l.traffic - before; n > generation/2 {
		t.Errorf("%d bytes for what is in the older half", n)
	}
}

// TestOldAndNewLinesTogether sends lines of which some are new and some were sent
// before, in pieces in which the window turns at any place.
func TestOldAndNewLinesTogether(t *testing.T) {
	l := newLine(50)
	r := rand.New(rand.NewPCG(9, 9))
	var lines [][]byte
	repeated := 0
	for range 3000 {
		var p []byte
		for range 1 + r.IntN(20) {
			if n := len(lines); n > 0 && r.IntN(2) == 0 {
				line := lines[max(0, n-1-r.IntN(6000))]
				repeated += len(line)
				p = append(p, line...)
				continue
			}
			line := fmt.Appendf(nil, "%x %x\n", r.Uint64(), r.Uint64())
			if r.IntN(50) == 0 {
				line = append(bytes.Repeat(line[:30], 1+r.IntN(3000)), '\n')
			}
			lines = append(lines, line)
			p = append(p, line...)
		}
		var got bytes.Buffer
		l.Output(one(r.IntN(50)), Stdout, p)
		l.carry(t, 1<<20, func(_ ranks.Set, _ Stream, p []byte) { got.Write(p) })
		if !bytes.Equal(got.Bytes(), p) {
			t.Fatal("other bytes")
		}
	}
	if l.enc.window.end() < 5*generation {
		t.Errorf("%d bytes: the window has hardly turned", l.enc.window.end())
	}
}

// TestTheFirstBytesGoAtOnce, and those after a body wait a moment for more.
func TestTheFirstBytesGoAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var woken []time.Duration
		start := time.Now()
		r := NewRelay(func() { woken = append(woken, time.Since(start)) })
		expect := func(what string, want ...time.Duration) {
			t.Helper()
			synctest.Wait()
			if fmt.Sprint(woken) != fmt.Sprint(want) {
				t.Fatalf("%s: woken at %v, want %v", what, woken, want)
			}
		}
		take := func() {
			t.Helper()
			if body, _ := r.Next(1 << 20); body == nil {
				t.Fatal("nothing waits")
			}
		}
		r.Output(one(0), Stdout, []byte("a"))
		r.Output(one(1), Stdout, []byte("b"))
		expect("the first", 0)
		take()
		time.Sleep(time.Millisecond)
		r.Output(one(0), Stdout, []byte("c"))
		expect("soon after a body", 0)
		time.Sleep(500 * time.Microsecond)
		r.Output(one(1), Stdout, []byte("d"))
		time.Sleep(time.Millisecond)
		expect("2 ms after the body", 0, 2*time.Millisecond)
		take()
		r.Output(one(1), Stdout, bytes.Repeat([]byte("d"), much))
		expect("much", 0, 2*time.Millisecond, 2500*time.Microsecond)
		take()
		r.Output(one(1), Stdout, []byte("e"))
		take() // without being woken
		time.Sleep(10 * time.Millisecond)
		expect("nothing is left", 0, 2*time.Millisecond, 2500*time.Microsecond)
		r.Output(one(1), Stdout, []byte("f"))
		expect("after a while", 0, 2*time.Millisecond, 2500*time.Microsecond, 12500*time.Microsecond)
	})
}
