package e2e

import (
	"bytes"
	"fmt"
	"os/exec"
	"testing"
	"time"
)

// BenchmarkKeystrokeEcho measures from a key typed to the key seen, through a
// terminal that holds a client, its server, and a terminal that holds cat(1);
// bare is cat(1) on a terminal and nothing between.
//
// Goal: hub/dtach 1.0, not above 1.2; hub/tmux below 1.
func BenchmarkKeystrokeEcho(b *testing.B) {
	const strokes = 50 // each in its turn
	typists := []*typist{bareTypist(b)}
	for _, m := range plexers(b, "dtach", "tmux", "screen") {
		typists = append(typists, newTypist(b, m))
	}
	for b.Loop() {
		for _, t := range typists {
			for range strokes {
				t.stroke(key)
			}
		}
	}
	noTimes(b)
	median := map[string]float64{}
	for _, t := range typists {
		if stray := t.stroke(mark); stray > 0 {
			b.Errorf("%s: %d keys more than were typed: its times are not the echo's", t.name, stray)
		}
		median[t.name] = t.took.us()
		b.ReportMetric(t.took.us(), t.name+"-us")
	}
	for _, peer := range []string{"bare", "dtach", "tmux", "screen"} {
		ratio(b, "hub", peer, median["hub"], median[peer])
	}
}

// A typist types at one terminal and waits for the echo of each key.
type typist struct {
	*screenful
	name   string
	column int
	took   samples
}

// echoScript is a program that answers each key with that key. It writes to
// the fifo when the terminal itself does not answer any more.
func echoScript(f fifo) string {
	return fmt.Sprintf("stty raw -echo; echo >%s; exec cat", f)
}

func bareTypist(b *testing.B) *typist {
	w := newPeerWorld(b)
	f := w.fifo("ready")
	s := onTerminal(b, w.command("sh", "-c", echoScript(f)))
	f.wait(b)
	return warm(&typist{screenful: s, name: "bare"})
}

func newTypist(b *testing.B, m multiplexer) *typist {
	f := m.world.fifo("ready")
	m.start(echoScript(f))
	f.wait(b)
	return warm(&typist{screenful: onTerminal(b, m.attach()), name: m.name})
}

// Two keys that no escape sequence and no status line has in it.
const (
	key  = '#'
	mark = '&'
)

// warm types what does not count. With the mark back, all before it is too.
func warm(t *typist) *typist {
	for range 80 {
		t.stroke(key)
	}
	t.stroke(mark)
	t.took = nil
	return t
}

// stroke types k and waits for it. At the end of the line it goes back to the
// beginning, so that nobody has to scroll. It returns how many keys came back
// before k.
func (t *typist) stroke(k byte) (stray int) {
	in := []byte{k}
	if t.column++; t.column == 70 {
		t.column = 1
		in = []byte{'\r', k}
	}
	start := time.Now()
	t.write(in)
	for {
		out := t.read()
		if i := bytes.IndexByte(out, k); i >= 0 {
			t.took.add(time.Since(start))
			return stray + bytes.Count(out[:i], []byte{key})
		}
		stray += bytes.Count(out, []byte{key})
	}
}

// BenchmarkAttach measures from the exec of an attaching client to the first
// byte on its terminal (first), and to the sight of what the program had
// written before (shown; dtach keeps nothing to show).
//
// Goal: hub-shown and hub-first not above tmux's.
func BenchmarkAttach(b *testing.B) {
	// Not screen: its client sometimes waits a whole second for the terminal
	// of the one before, which was killed.
	all := plexers(b, "dtach", "tmux")
	first, shown := map[string]*samples{}, map[string]*samples{}
	for _, m := range all {
		f := m.world.fifo("ready")
		m.start(fmt.Sprintf("echo READY; echo >%s; exec cat", f))
		f.wait(b)
		first[m.name], shown[m.name] = new(samples), new(samples)
	}
	for b.Loop() {
		for _, m := range all {
			f, s := timeAttach(b, m.attach(), m.shows)
			first[m.name].add(f)
			if m.shows {
				shown[m.name].add(s)
			}
		}
	}
	noTimes(b)
	for _, m := range all {
		b.ReportMetric(first[m.name].us(), m.name+"-first-us")
		if m.shows {
			b.ReportMetric(shown[m.name].us(), m.name+"-shown-us")
		}
	}
	if t := first["tmux"]; t != nil {
		ratio(b, "hub-first", "tmux-first", first["hub"].us(), t.us())
		ratio(b, "hub-shown", "tmux-shown", shown["hub"].us(), shown["tmux"].us())
	}
}

func timeAttach(b *testing.B, cmd *exec.Cmd, shows bool) (first, shown time.Duration) {
	b.Helper()
	start := time.Now()
	s := onTerminal(b, cmd)
	var seen []byte
	for {
		seen = append(seen, s.read()...)
		if first == 0 {
			first = time.Since(start)
		}
		if !shows || bytes.Contains(seen, []byte("READY")) {
			break
		}
	}
	shown = time.Since(start)
	s.end()
	return first, shown
}
