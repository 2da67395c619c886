package session

import (
	"testing"
)

func TestParsePrefix(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want Prefix
	}{
		{`^\`, 0x1c}, {`C-\`, 0x1c}, {`Ctrl-\`, 0x1c}, {`ctrl+\`, 0x1c},
		{"^A", 1}, {"^a", 1}, {"C-a", 1}, {"c-A", 1}, {"^@", 0}, {"C- ", 0},
		{"^?", 0x7f}, {"^_", 0x1f}, {"~", '~'}, {"^", '^'}, {"none", NoPrefix},
	} {
		got, err := ParsePrefix(tt.in)
		if err != nil || got != tt.want {
			t.Errorf("ParsePrefix(%q) = %v, %v; want %v", tt.in, got, err, tt.want)
		}
	}
	for _, in := range []string{"", "ab", "^ab", "C-", "é", "^1", "F1"} {
		if got, err := ParsePrefix(in); err == nil {
			t.Errorf("ParsePrefix(%q) = %v, want an error", in, got)
		}
	}
}

func TestPrefixReadsAsWritten(t *testing.T) {
	for p := Prefix(0); p < 0x80; p++ {
		got, err := ParsePrefix(p.String())
		if err != nil || got != p {
			t.Errorf("ParsePrefix(%q) = %v, %v; want %d", p, got, err, p)
		}
	}
}

// typed runs the reads through a scanner and returns what the shell got, and
// the keys that were ours.
func typed(p Prefix, reads ...string) (data string, keys []rune) {
	s := &keyScanner{prefix: p}
	for _, r := range reads {
		rest := []byte(r)
		for len(rest) > 0 {
			var d []byte
			var k rune
			d, k, rest = s.scan(rest)
			data += string(d)
			if k != 0 {
				keys = append(keys, k)
			}
		}
	}
	return data, keys
}

func TestPrefixIsFoundAndNothingElseIsTouched(t *testing.T) {
	for _, tt := range []struct {
		name  string
		reads []string
		data  string
		keys  string
	}{
		{"plain", []string{"ls\r"}, "ls\r", ""},
		{"alone", []string{"\x1cd"}, "", "d"},
		{"two reads", []string{"ab\x1c", "dcd"}, "abcd", "d"},
		{"in the middle", []string{"a\x1c%b\x1cnc"}, "abc", "%n"},
		{"itself", []string{"\x1c\x1c"}, "", "\x1c"},
		{"escape is not held back", []string{"\x1b", "[A"}, "\x1b[A", ""},
		{"other sequences pass", []string{"\x1b[A\x1b[200~x\x1b[201~\x1b[13;5u"}, "\x1b[A\x1b[200~x\x1b[201~\x1b[13;5u", ""},
		{"kitty", []string{"a\x1b[92;5ud"}, "a", "d"},
		{"kitty with event and locks", []string{"a\x1b[92;69:1ud"}, "a", "d"},
		{"kitty, second key too", []string{"\x1b[92;5u\x1b[100;1u"}, "", "d"},
		{"kitty, shifted", []string{"\x1c\x1b[37;2u"}, "", "%"},
		{"modifyOtherKeys", []string{"a\x1b[27;5;92~d"}, "a", "d"},
		{"let go", []string{"\x1b[92;5:3u"}, "\x1b[92;5:3u", ""},
		{"an arrow after the prefix is no key", []string{"\x1c\x1b[Ax"}, "x", "�"},
	} {
		data, keys := typed(DefaultPrefix, tt.reads...)
		if data != tt.data || string(keys) != tt.keys {
			t.Errorf("%s: data %q keys %q; want %q, %q", tt.name, data, string(keys), tt.data, tt.keys)
		}
	}
}

func TestWithoutPrefixEveryKeyIsTheShells(t *testing.T) {
	data, keys := typed(NoPrefix, "a\x1cd\x1b[92;5u")
	if data != "a\x1cd\x1b[92;5u" || len(keys) != 0 {
		t.Errorf("data %q keys %q", data, string(keys))
	}
}

func FuzzWithoutPrefixNothingChanges(f *testing.F) {
	f.Add([]byte("a\x1b[92;5u\x1b[27;5;92~"), byte(3))
	f.Add([]byte("\x1b[\x1b[92;5"), byte(1))
	f.Add([]byte("\x1b[92;"), byte(6))
	f.Fuzz(func(t *testing.T, p []byte, cut byte) {
		s := &keyScanner{prefix: DefaultPrefix}
		n := min(int(cut), len(p))
		var got []byte
		for _, r := range [][]byte{p[:n], p[n:]} {
			if at, _ := s.find(r); at >= 0 {
				return
			}
			data, key, rest := s.scan(r)
			if key != 0 || len(rest) > 0 {
				t.Fatalf("key %q in %q", key, r)
			}
			got = append(got, data...)
		}
		if string(got) != string(p) {
			t.Fatalf("%q became %q", p, got)
		}
	})
}

func FuzzScanEnds(f *testing.F) {
	f.Add([]byte("a\x1cd\x1b[92;5u\x1b[27;5;92~\x1c"))
	f.Fuzz(func(t *testing.T, p []byte) {
		s := &keyScanner{prefix: DefaultPrefix}
		for rest := p; len(rest) > 0; {
			data, _, r := s.scan(rest)
			if len(r) >= len(rest) || len(data)+len(r) > len(rest) {
				t.Fatalf("scan(%q) left %q and %q", rest, data, r)
			}
			rest = r
		}
	})
}
