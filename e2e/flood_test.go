package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"9fans.net/go/plan9"
)

// numbered are n bytes in which every place is unlike its neighbourhood.
func numbered(n int) []byte {
	var b []byte
	for i := 0; len(b) < n; i++ {
		b = append(strconv.AppendInt(b, int64(i), 10), ' ')
	}
	return b[:n]
}

// sink starts a shell whose program takes n bytes as they are typed and keeps
// them. It returns the file in which they are once the program says done-2.
func (w *world) sink(name string, n int) (file string) {
	w.tb.Helper()
	file = filepath.Join(w.dir, name)
	w.want("new", name, "--", "sh", "-c",
		fmt.Sprintf("stty raw -echo; echo ready-$((1+1)); head -c %d >%s; echo done-$((1+1))", n, file))
	return file
}

// holds checks what a sink got.
func (w *world) holds(file string, want []byte) {
	w.tb.Helper()
	got, err := os.ReadFile(file)
	if err != nil {
		w.tb.Fatal(err)
	}
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			w.tb.Fatalf("byte %d of %d is %q, want %q: …%.60q…", i, len(want), got[i], want[i], got[max(0, i-20):])
		}
	}
	if len(got) != len(want) {
		w.tb.Fatalf("%d bytes arrived of %d", len(got), len(want))
	}
}

// TestKeystrokesStayInOrder: 1,000 keys, one write each, none waiting for
// the one before.
func TestKeystrokesStayInOrder(t *testing.T) {
	const keys = 1000
	t.Run("terminal", func(t *testing.T) {
		w := newWorld(t)
		file := w.sink("typed", keys)
		term := w.terminal("attach", "typed")
		term.Expect("ready-2")
		for _, k := range numbered(keys) {
			term.Type(string(k))
		}
		term.Expect("done-2")
		w.holds(file, numbered(keys))
	})
	t.Run("requests", func(t *testing.T) {
		w := newWorld(t)
		w.serve("-s", "default")
		file := w.sink("typed", keys)
		c := w.raw("default")
		c.open(1, "typed0", plan9.OWRITE)
		var ask []*plan9.Fcall
		for i, k := range numbered(keys) {
			ask = append(ask, twrite(uint16(i), 1, []byte{k}))
		}
		c.send(ask...)
		for range ask {
			if rx := c.receive(); rx.Type != plan9.Rwrite {
				t.Fatal(rx)
			}
		}
		w.reader("typed1").until("done-2")
		w.holds(file, numbered(keys))
	})
}

// TestLargePasteArrivesWhole: the program reads when it can, the paste waits.
func TestLargePasteArrivesWhole(t *testing.T) {
	const size = 1 << 20
	w := newWorld(t)
	file := w.sink("paste", size)
	term := w.terminal("attach", "paste")
	term.Expect("ready-2")
	term.Type(string(numbered(size)))
	term.Expect("done-2")
	w.holds(file, numbered(size))
}
