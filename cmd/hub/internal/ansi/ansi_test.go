package ansi

import (
	"bytes"
	"testing"
)

func TestSequencesAreFoundWhole(t *testing.T) {
	for _, tt := range []struct {
		in    string
		at, n int
		kind  byte
		body  string
		final byte
	}{
		{"plain", -1, 0, 0, "", 0},
		{"a\x1b[?25hb", 1, 6, '[', "?25", 'h'},
		{"\x1b[m", 0, 3, '[', "", 'm'},
		{"\x1b[2 q", 0, 5, '[', "2 ", 'q'},
		{"\x1b]0;title\x07x", 0, 10, ']', "0;title", 0},
		{"\x1b]0;title\x1b\\x", 0, 11, ']', "0;title", 0},
		{"\x1bP+q544e\x1b\\", 0, 10, 'P', "+q544e", 0},
		{"\x1b(B", 0, 3, 0, "(", 'B'},
		{"\x1b=", 0, 2, 0, "", '='},
		{"\x1b", 0, 0, 0, "", 0},
		{"\x1b[?25", 0, 0, 0, "", 0},
		{"\x1b]0;ti", 0, 0, 0, "", 0},
		{"\x1b(", 0, 0, 0, "", 0},
		{"\x1b[1\x1b[2J", 0, 3, 0, "", 0},
	} {
		at, n, q := nextSequence([]byte(tt.in))
		if at != tt.at || n != tt.n || q.kind != tt.kind || string(q.body) != tt.body || q.final != tt.final {
			t.Errorf("%q: at %d n %d %c %q %c", tt.in, at, n, q.kind, q.body, q.final)
		}
	}
}

func TestHistoryAsksTheTerminalNothing(t *testing.T) {
	for _, q := range []string{
		"\x1b[c", "\x1b[0c", "\x1b[>c", "\x1b[=c", "\x1b[6n", "\x1b[?6n", "\x1b[?2026$p", "\x1b[>q", "\x1b[?u",
		"\x1b[14t", "\x1b[18t", "\x1b]11;?\x07", "\x1b]10;?\x1b\\", "\x1b]4;1;?\x07", "\x1b]52;c;aGVsbG8=\x07",
		"\x1bP+q544e\x1b\\", "\x1bP$qm\x1b\\", "\x05", "\x07", "\x1bZ", "\x1b]9;done\x07", "\x1b_Ga=q\x1b\\",
	} {
		if got := Quiet([]byte("a" + q + "b")); string(got) != "ab" {
			t.Errorf("%q: %q", q, got)
		}
	}
	for _, keep := range []string{
		"\x1b[31mred\x1b[m", "\x1b]0;title\x07", "\x1b[2J\x1b[H", "\x1b[?1049h", "\x1b[22;0;0t", "\x1b[2 q",
		"\x1b]8;;http://x/\x1b\\link\x1b]8;;\x1b\\", "é\r\n", "\x1b[!p", "\x1b[5", "\x1b[>1u",
	} {
		if got := Quiet([]byte(keep)); string(got) != keep {
			t.Errorf("%q became %q", keep, got)
		}
	}
}

func TestLastLines(t *testing.T) {
	for _, tt := range []struct {
		in     string
		n      int
		tail   string
		enough bool
	}{
		{"", 5, "", false},
		{"a\nb\nc\n", 2, "b\nc\n", true},
		{"a\nb\nc", 2, "b\nc", true},
		{"a\nb\nc", 3, "a\nb\nc", false},
		{"a\nb\n", 0, "", true},
		{"a\nb$ ", 1, "b$ ", true},
		{"a\nb\n", -1, "a\nb\n", false},
		{"a\nb\n", 9, "a\nb\n", false},
	} {
		tail, enough := LastLines([]byte(tt.in), tt.n)
		if string(tail) != tt.tail || enough != tt.enough {
			t.Errorf("LastLines(%q, %d) = %q, %v", tt.in, tt.n, tail, enough)
		}
	}
}

func TestTerminalIsPutBack(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"nothing to do", "ls\r\n", ""},
		{"a prompt", "$ ", "\r\n"},
		{"an editor", "\x1b[?1049h\x1b[?25l\x1b[?1002;1006h\x1b[?2004h\x1b=\x1b[1;24rtext",
			"\x1b>\x1b7\x1b[r\x1b8\x1b[?25h\x1b[?1002l\x1b[?1006l\x1b[?2004l\x1b[?1049l\r\n"},
		{"an editor that was left", "\x1b[?1049h\x1b[?25lx\x1b[?25h\x1b[?1049l\n", ""},
		{"colours", "\x1b[1;31mred\n", "\x1b[m"},
		{"colours off", "\x1b[31mred\x1b[0m\n", ""},
		{"kitty keyboard", "\x1b[>1u\x1b[>5u\x1b[<u\n", "\x1b[<1u"},
		{"modifyOtherKeys", "\x1b[>4;2m\n", "\x1b[>4;0m"},
		{"modifyOtherKeys off", "\x1b[>4;2m\x1b[>4;0m\n", ""},
		{"cursor shape", "\x1b[5 q\n", "\x1b[0 q"},
		{"reset", "\x1b[?1000h\x1b=\x1bc\n", ""},
	} {
		m := &Modes{}
		m.See([]byte(tt.in))
		if got := m.Undo(); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
		// However the bytes are cut.
		m = &Modes{}
		for _, c := range []byte(tt.in) {
			m.See([]byte{c})
		}
		if got := m.Undo(); got != tt.want {
			t.Errorf("%s, a byte at a time: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func FuzzQuietKeepsOrderAndEnds(f *testing.F) {
	f.Add([]byte("a\x1b[6nb\x1b]11;?\x07c\x1b[1\x1b"))
	f.Add(bytes.Repeat([]byte("\x1b]"), 5000))
	f.Fuzz(func(t *testing.T, p []byte) {
		out := Quiet(p)
		i := 0
		for _, c := range out { // a subsequence of p
			for i < len(p) && p[i] != c {
				i++
			}
			if i == len(p) {
				t.Fatalf("Quiet(%q) = %q", p, out)
			}
			i++
		}
		m := &Modes{}
		m.See(p)
		m.Undo()
	})
}
