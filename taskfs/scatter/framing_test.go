package scatter

import (
	"slices"
	"strings"
	"testing"
)

func TestParseFraming(t *testing.T) {
	for in, want := range map[string]string{
		`sep=\n`:       `sep=\n`,
		"sep=\n":       `sep=\n`,
		`sep=\0`:       `sep=\x00`,
		`sep=\\0`:      `sep=\\0`,
		`sep=--`:       `sep=--`,
		`sep="`:        `sep="`,
		`sep=\xff\r\n`: `sep=\xff\r\n`,
		"len":          "len",
		"n=512":        "n=512",
	} {
		f, err := ParseFraming(in)
		if err != nil || f.String() != want {
			t.Errorf("%q: %s, %v; want %s", in, f, err, want)
		}
		if g, err := ParseFraming(f.String()); err != nil || g != f {
			t.Errorf("%q: read back %s, %v", in, g, err)
		}
	}
	if got := (Framing{}).String(); got != `sep=\n` {
		t.Errorf("without a word: %s", got)
	}
	for _, in := range []string{"", "lines", "sep", "sep=", `sep=\q`, "sep=" + strings.Repeat("x", 257),
		"n=", "n=0", "n=-1", "n=1073741825", "n=x", "len=4"} {
		if _, err := ParseFraming(in); err == nil || !strings.Contains(err.Error(), "expected sep=X") {
			t.Errorf("%q: %v", in, err)
		}
	}
}

// cutUp returns the records of p that the splitter finds if p comes in pieces of
// these lengths, the last of which is repeated.
func cutUp(f Framing, p []byte, pieces ...int) (out []string) {
	s, rec := splitter{f: f}, ""
	for i := 0; len(p) > 0; i++ {
		piece := p[:min(len(p), pieces[min(i, len(pieces)-1)])]
		p = p[len(piece):]
		for len(piece) > 0 {
			n, end := s.next(piece)
			rec += string(piece[:n])
			piece = piece[n:]
			if end {
				out, rec = append(out, rec), ""
			}
		}
	}
	if rec != "" {
		out = append(out, rec+"|")
	}
	return out
}

func framing(t testing.TB, text string) Framing {
	f, err := ParseFraming(text)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestRecords: where they end, in whatever pieces the stream comes.
func TestRecords(t *testing.T) {
	for _, c := range []struct{ f, in, want string }{
		{`sep=\n`, "a\n\nbc\nd", "a\n;\n;bc\n;d|"},
		{`sep=ab`, "aabxabab", "aab;xab;ab"},
		{`sep=aab`, "aaab1aab", "aaab;1aab"},
		{`sep=abab`, "abaabab--ababab", "abaabab;--abab;ab|"},
		{"n=3", "abcdefgh", "abc;def;gh|"},
		{"len", "\x00\x00\x00\x02ab\x00\x00\x00\x00\x00\x00\x00\x01c\x00\x00", "\x00\x00\x00\x02ab;\x00\x00\x00\x00;\x00\x00\x00\x01c;\x00\x00|"},
		{"len", "\x00\x00\x00\x09ab", "\x00\x00\x00\x09ab|"},
	} {
		for size := 1; size <= len(c.in); size++ {
			if got := strings.Join(cutUp(framing(t, c.f), []byte(c.in), size), ";"); got != c.want {
				t.Errorf("%s in pieces of %d: %q, want %q", c.f, size, got, c.want)
			}
		}
	}
}

// FuzzRecords: no byte is lost, and the pieces make no difference.
func FuzzRecords(f *testing.F) {
	f.Add("sep=ab", "aabxabab", 1, 2)
	f.Add("len", "\x00\x00\x00\x02ab\x00\x00", 3, 1)
	f.Add("n=3", "abcdefgh", 2, 5)
	f.Fuzz(func(t *testing.T, text, in string, a, b int) {
		fr, err := ParseFraming(text)
		if err != nil || a < 1 || b < 1 {
			return
		}
		whole := cutUp(fr, []byte(in), len(in)+1)
		if got := cutUp(fr, []byte(in), a, b); !slices.Equal(got, whole) {
			t.Fatalf("in pieces %q, at once %q", got, whole)
		}
		if got := strings.TrimSuffix(strings.Join(whole, ""), "|"); got != in && got+"|" != in {
			t.Fatalf("records %q of %q", whole, in)
		}
		if fr.length || fr.size > 0 {
			return
		}
		for i, rec := range whole[:max(len(whole)-1, 0)] {
			if j := strings.Index(rec, fr.separator()); j != len(rec)-len(fr.separator()) {
				t.Fatalf("record %d of %q has the separator at %d", i, whole, j)
			}
		}
	})
}
