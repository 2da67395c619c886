package shellctl

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hubfs/pipes"
)

func TestMarkEndsTheInputOfAProgram(t *testing.T) {
	feeds(t, func(t *testing.T, source func(*keyboard) pipes.Source) {
		for name, mark := range map[string]error{"mark": io.EOF, "end": errEnded{}} {
			t.Run(name, func(t *testing.T) {
				both(t, func(t *testing.T, spec Spec) {
					out := newScreen()
					in := newKeyboard("one\n", "two\n", mark)
					s := sh(t, spec, Streams{Stdin: source(in), Stdout: out}, `echo lines=$(wc -l)`)
					if st := end(t, s); st.Code != 0 || strings.TrimSpace(out.after(t, "lines=")) != "2" {
						t.Errorf("status %v, output %q", st, out)
					}
				})
			})
		}
	})
}

// On a terminal the input goes on after a mark: the next program reads it.
func TestInputGoesOnAfterAMark(t *testing.T) {
	feeds(t, func(t *testing.T, source func(*keyboard) pipes.Source) {
		out := newScreen()
		in := newKeyboard()
		sh(t, Spec{}, Streams{Stdin: source(in), Stdout: out}, `stty -echo eof ^X; echo ready; wc -l; wc -l; echo end=`)
		out.after(t, "ready")
		for _, key := range []any{"one\n", io.EOF, "two\n", "three\n", io.EOF} {
			in.keys <- key
		}
		out.after(t, "end=")
		if f := strings.Fields(out.String()); len(f) < 3 || f[1] != "1" || f[2] != "2" {
			t.Errorf("output %q", out)
		}
	})
}

// A program that has switched the character off has no end of file.
func TestNoMarkWithoutItsCharacter(t *testing.T) {
	feeds(t, func(t *testing.T, source func(*keyboard) pipes.Source) {
		out := newScreen()
		in := newKeyboard()
		s := sh(t, Spec{}, Streams{Stdin: source(in), Stdout: out}, `stty -echo eof undef; echo ready; read x; echo x=$x`)
		out.after(t, "ready")
		in.keys <- io.EOF
		in.keys <- "a\n"
		end(t, s)
		if x := out.after(t, "x="); x != "a" {
			t.Errorf("read %q", x)
		}
	})
}

func TestWaitingSourceDoesNotHoldTheEnd(t *testing.T) {
	feeds(t, func(t *testing.T, source func(*keyboard) pipes.Source) {
		both(t, func(t *testing.T, spec Spec) {
			s := sh(t, spec, Streams{Stdin: source(newKeyboard()), Stdout: newScreen()}, `exit 2`)
			if st := end(t, s); st.Code != 2 {
				t.Errorf("status %v", st)
			}
		})
	})
}

func TestKeysArriveInOrder(t *testing.T) {
	feeds(t, func(t *testing.T, source func(*keyboard) pipes.Source) {
		out := newScreen()
		in := keyboardOf(1000)
		s := sh(t, Spec{}, Streams{Stdin: source(in), Stdout: out}, `stty raw -echo; echo ready; head -c 1000`)
		out.after(t, "ready")
		var want strings.Builder
		for i := range 1000 {
			key := string(rune('a' + i%26))
			want.WriteString(key)
			in.keys <- key
		}
		end(t, s)
		if got := strings.TrimPrefix(out.String(), "ready\n"); got != want.String() {
			t.Errorf("got %q", got)
		}
	})
}

// lines is text of n bytes with lines that a terminal takes in one piece.
func lines(n int) string {
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "%06d %s\n", i, strings.Repeat("x", i*37%3000))
	}
	return b.String()[:n-1] + "\n"
}

func TestPasteArrivesWhole(t *testing.T) {
	feeds(t, func(t *testing.T, source func(*keyboard) pipes.Source) {
		paste := lines(1 << 20)
		for name, script := range map[string]string{
			"lines":   `echo ready; cat >"$1"`,
			"no echo": `stty -echo; echo ready; cat >"$1"`,
			"raw":     `stty raw -echo; echo ready; head -c 1048576 >"$1"`,
			"slow":    `stty raw -echo; echo ready; dd bs=512 count=2048 iflag=fullblock of="$1" 2>/dev/null || head -c 1048576 >"$1"`,
		} {
			t.Run(name, func(t *testing.T) {
				file := filepath.Join(t.TempDir(), "f")
				out := newScreen()
				in := newKeyboard()
				s := sh(t, Spec{}, Streams{Stdin: source(in), Stdout: out}, script, file)
				out.after(t, "ready")
				in.keys <- paste
				in.keys <- io.EOF
				if st := end(t, s); st.Code != 0 {
					t.Errorf("status %v", st)
				}
				got, err := os.ReadFile(file)
				if err != nil || !bytes.Equal(got, []byte(paste)) {
					t.Errorf("%d bytes arrived of %d (%v)", len(got), len(paste), err)
				}
			})
		}
	})
}

// A program does not read what is typed: everything else goes on, and when it
// reads at last, nothing is missing.
func TestProgramThatDoesNotReadHoldsNothingUp(t *testing.T) {
	feeds(t, func(t *testing.T, source func(*keyboard) pipes.Source) {
		both(t, func(t *testing.T, spec Spec) {
			gate, file := newFifo(t), filepath.Join(t.TempDir(), "f")
			out := newScreen()
			paste := lines(1 << 20)
			in := newKeyboard()
			s := sh(t, spec, Streams{Stdin: source(in), Stdout: out}, `
			stty raw -echo 2>/dev/null
			trap "" USR1; cat "$1" </dev/null &
			trap "echo usr1=yes" USR1; echo ready
			while ! wait $!; do :; done
			stty size 2>/dev/null; head -c 1048576 >"$2"`, gate, file)
			out.after(t, "ready")
			in.keys <- paste
			if err := s.Resize(11, 99); err != nil {
				t.Error(err)
			}
			if err := s.Signal("USR1"); err != nil {
				t.Error(err)
			}
			out.after(t, "usr1=yes")
			if err := os.WriteFile(gate, nil, 0); err != nil { // the cat ends
				t.Fatal(err)
			}
			if st := end(t, s); st.Code != 0 {
				t.Errorf("status %v", st)
			}
			if !spec.Pipe {
				out.after(t, "11 99")
			}
			got, err := os.ReadFile(file)
			if err != nil || !bytes.Equal(got, []byte(paste)) {
				t.Errorf("%d bytes arrived of %d (%v)", len(got), len(paste), err)
			}
		})
	})
}

func TestFullTerminalDoesNotHoldTheEnd(t *testing.T) {
	feeds(t, func(t *testing.T, source func(*keyboard) pipes.Source) {
		both(t, func(t *testing.T, spec Spec) {
			out := newScreen()
			in := newKeyboard(lines(1 << 20))
			s := sh(t, spec, Streams{Stdin: source(in), Stdout: out}, `stty raw -echo 2>/dev/null; echo ready; exec sleep 1000`)
			out.after(t, "ready")
			s.Kill(0)
			if st := end(t, s); st.Signal == "" {
				t.Errorf("status %v", st)
			}
		})
	})
}

// A program on pipes that closes its input lives on, and may still write.
func TestClosedInputIsNoEnd(t *testing.T) {
	feeds(t, func(t *testing.T, source func(*keyboard) pipes.Source) {
		out := newScreen()
		in := newKeyboard()
		s := sh(t, Spec{Pipe: true}, Streams{Stdin: source(in), Stdout: out}, `exec <&-; trap 'echo usr1=yes; kill $!; exit 7' USR1; sleep 1000 & echo ready; wait`)
		out.after(t, "ready")
		in.keys <- "to nobody"
		if err := s.Signal("USR1"); err != nil {
			t.Fatal(err)
		}
		if st := end(t, s); st.Code != 7 || out.after(t, "usr1=") != "yes" {
			t.Errorf("status %v, output %q", st, out)
		}
	})
}
