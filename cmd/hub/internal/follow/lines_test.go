package follow

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"hubfs/shellctl"
)

// split splits blocks that follow one another, or at "!" miss 100 bytes.
func split(blocks ...string) (lines []string) {
	var s Splitter
	off := int64(0)
	take := func(t Text) error {
		end := "|"
		if t.Whole {
			end = "$"
		}
		line := string(t.Line)
		if len(line) > 100 {
			line = fmt.Sprintf("%d bytes", len(line))
		}
		lines = append(lines, fmt.Sprintf("%d:%s%s", t.Off, line, end))
		return nil
	}
	for _, b := range blocks {
		if b == "!" {
			off += 100
			continue
		}
		_ = s.Split(Block{Data: []byte(b), Off: off}, take)
		off += int64(len(b))
	}
	_ = s.End(take)
	return lines
}

func TestSplit(t *testing.T) {
	long := strings.Repeat("x", MaxLine)
	for _, tt := range []struct {
		blocks []string
		want   string
	}{
		{nil, ""},
		{[]string{"one\ntwo\n"}, "0:one$ 4:two$"},
		{[]string{"o", "n", "e\nt", "wo"}, "0:one$ 4:two|"},
		{[]string{"\n\n", "\n"}, "0:$ 1:$ 2:$"},
		{[]string{"cut", "!", "on\n"}, "0:cut| 103:on$"},
		{[]string{"whole\n", "!", "on\n"}, "0:whole$ 106:on$"},
		{[]string{long + "\n"}, "0:1048576 bytes$"},
		{[]string{long + "abc\n"}, "0:1048576 bytes| 1048576:abc$"},
		{[]string{"ab", long, "c\n"}, "0:1048576 bytes| 1048576:xxc$"},
		{[]string{long + long}, "0:1048576 bytes| 1048576:1048576 bytes|"},
	} {
		if got := strings.Join(split(tt.blocks...), " "); got != tt.want {
			t.Errorf("%.40q: %s, want %s", tt.blocks, got, tt.want)
		}
	}
}

// FuzzSplit: wherever the blocks begin, the lines are the same, and all bytes
// are in them.
func FuzzSplit(f *testing.F) {
	f.Add("one\ntwo\n\nthree", uint8(3))
	f.Add("\n", uint8(0))
	f.Add("no newline", uint8(1))
	f.Fuzz(func(t *testing.T, text string, size uint8) {
		var blocks []string
		for rest, n := text, int(size)+1; rest != ""; {
			k := min(n, len(rest))
			blocks, rest = append(blocks, rest[:k]), rest[k:]
		}
		var all strings.Builder
		var s Splitter
		off := int64(0)
		take := func(l Text) error {
			if l.Off != int64(all.Len()) {
				t.Fatalf("a line at %d behind %d bytes", l.Off, all.Len())
			}
			all.Write(l.Line)
			if l.Whole {
				all.WriteByte('\n')
			}
			return nil
		}
		for _, b := range blocks {
			_ = s.Split(Block{Data: []byte(b), Off: off}, take)
			off += int64(len(b))
		}
		_ = s.End(take)
		if all.String() != text {
			t.Fatalf("%q became %q", text, &all)
		}
	})
}

func TestPrint(t *testing.T) {
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.Local)
	line := Text{Line: []byte("a <line>\r"), Off: 7, At: at, Whole: true}
	utc := at.UTC().Format(time.RFC3339Nano)
	for _, tt := range []struct {
		p    Printer
		t    Text
		want string
	}{
		{Printer{}, line, "a <line>\r\n"},
		{Printer{Label: "build | "}, line, "build | a <line>\r\n"},
		{Printer{Label: "b| ", Stamps: true}, line, "b| 2026-03-04 05:06:07 a <line>\r\n"},
		{Printer{Grep: regexp.MustCompile("line>$")}, line, "a <line>\r\n"},
		{Printer{Grep: regexp.MustCompile("^line")}, line, ""},
		{Printer{Hub: "b", JSON: true}, line, `{"hub":"b","offset":7,"time":"` + utc + `","text":"a <line>\r"}` + "\n"},
		{Printer{Hub: "b", JSON: true}, Text{Line: []byte("\xff"), At: at}, `{"hub":"b","offset":0,"time":"` + utc + `","base64":"/w==","partial":true}` + "\n"},
		{Printer{Hub: "b", JSON: true}, Text{Whole: true, At: at}, `{"hub":"b","offset":0,"time":"` + utc + `","text":""}` + "\n"},
	} {
		if got := string(tt.p.Append(nil, tt.t)); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.p, got, tt.want)
		}
	}
	p := Printer{Hub: "b"}
	got := p.AppendEnd(p.AppendSkip(nil, 10, 3), 20, shellctl.Status{Code: 3}, false)
	want := `{"hub":"b","offset":10,"skipped":3}
{"hub":"b","offset":20,"end":"exit 3","code":3,"complete":false}
`
	if string(got) != want || !json.Valid(got[:strings.IndexByte(want, '\n')]) {
		t.Errorf("%s", got)
	}
}
