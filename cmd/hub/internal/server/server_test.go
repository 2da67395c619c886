package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hubfs/client"
)

func TestStatusLines(t *testing.T) {
	st, err := parseStatus([]byte(`hub work1 10 1010 1048576 2 1 calm 0
server default 4711 1700000000000000001
reader work1 ann pid:7 1010 0 12
reader work1 'bob b' 'tcp!1.2.3.4!5' 1000 7 13 slowest 12
spool over /s/over 4096 second 0 3600
hub 'ci/it''s a build' 0 0 4096 0 0 fear,frozen 12
hub old 0 0 1 0 0 calm,ended 0
hub over 0 0 1 0 0 calm,ended 0 'exit 3' later
shell work running 4711 24 80 1 '/bin/sh -c ''x y'''
conn 1 ann pid:7 5 1 2026-01-02T03:04:05Z
something new 1 2 3
`))
	if err != nil {
		t.Fatal(err)
	}
	if len(st.Hubs) != 4 || len(st.Shells) != 1 {
		t.Fatalf("%+v", st)
	}
	if h := st.Hubs[0]; h.Name != "ci/it's a build" || h.Lost != 12 || !h.Is("frozen") || !h.Is("fear") || h.Is("ended") {
		t.Errorf("%+v", h)
	}
	if h := st.Hubs[1]; h.Name != "old" || !h.Ended() || h.End != "" {
		t.Errorf("%+v", h)
	}
	if h := st.Hubs[2]; h.Name != "over" || !h.Ended() || h.End != "exit 3" {
		t.Errorf("%+v", h)
	}
	if h := st.Hubs[3]; h.First != 10 || h.Next != 1010 || h.Size != 1048576 || h.Readers != 2 || h.Writers != 1 {
		t.Errorf("%+v", h)
	}
	want := Shell{Name: "work", State: "running", PID: 4711, Rows: 24, Cols: 80, Clients: 1, Command: "/bin/sh -c 'x y'"}
	if st.Shells[0] != want {
		t.Errorf("%+v, want %+v", st.Shells[0], want)
	}
	readers := []Reader{
		{Hub: "work1", User: "ann", Addr: "pid:7", Offset: 1010, ID: "12"},
		{Hub: "work1", User: "bob b", Addr: "tcp!1.2.3.4!5", Offset: 1000, Lost: 7, ID: "13", Slowest: true, Stalls: 12 * time.Second},
	}
	if !slices.Equal(st.Readers, readers) {
		t.Errorf("%+v", st.Readers)
	}
	if h, ok := st.Hub("over"); !ok || h.Spool == nil || *h.Spool != (Spool{Dir: "/s/over", Bytes: 4096, Sync: "second", Age: 3600}) {
		t.Errorf("%+v", h)
	}
	if st.Run != "4711 1700000000000000001" {
		t.Error(st.Run)
	}
	for _, bad := range []string{"reader a b c d e\n", "reader a b c 1 2 3 slowest x\n", "spool a b c d e f\n", "hub work1 10\n", "hub a b c d e f g h\n", "shell work running x 1 2 3 sh\n"} {
		if _, err := parseStatus([]byte(bad)); err == nil {
			t.Errorf("%q is no status", bad)
		}
	}
}

func TestFields(t *testing.T) {
	for in, want := range map[string][]string{
		"":              nil,
		"a b":           {"a", "b"},
		"a  b ":         {"a", "b"},
		"'a b' c":       {"a b", "c"},
		"'it''s' ''":    {"it's", ""},
		"'unterminated": {"unterminated"},
	} {
		if got := Fields(in); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestLineIsSplitIntoTheSameWords(t *testing.T) {
	for want, words := range map[string][]string{
		"fear build\n": {"fear", "build"},
		"shell x -- sh -c 'echo $HOME; it'\\''s'\n": {"shell", "x", "--", "sh", "-c", "echo $HOME; it's"},
		"title '' '#1' 'ä'\n":                       {"title", "", "#1", "ä"},
	} {
		if got := Line(words...); got != want {
			t.Errorf("Line(%q) = %q, want %q", words, got, want)
		}
	}
}

func TestMissingSaysWhatWasMeant(t *testing.T) {
	for _, tt := range []struct {
		name  string
		names []string
		want  string
	}{
		{"wrok", []string{"io", "work"}, "work"},
		{"Work", []string{"io", "work"}, "work"},
		{"works", []string{"work"}, "work"},
		{"x", []string{"io", "work"}, ""},
		{"build", []string{"work"}, ""},
		{"work", nil, ""},
	} {
		if got := nearest(tt.name, tt.names); got != tt.want {
			t.Errorf("nearest(%q, %q) = %q, want %q", tt.name, tt.names, got, tt.want)
		}
	}
	err := Missing("shell", "wrok", "default", []string{"work"}, "hub ls", client.ErrNotExist)
	var e *Error
	if err.Error() != `no shell "wrok" on server default` || !errors.As(err, &e) ||
		e.Hint != `did you mean "work"? hub ls shows all` || !errors.Is(err, client.ErrNotExist) {
		t.Errorf("%v, %+v", err, e)
	}
	// What one may not open is not there, though one may see it.
	err = Missing("shell", "work", "default", []string{"work"}, "hub ls", client.ErrNotExist)
	if !strings.HasPrefix(err.Error(), "permission denied: work") || !errors.As(err, &e) || strings.Contains(e.Hint, "did you mean") {
		t.Errorf("%v, %+v", err, e)
	}
}

// Without an environment, as from cron, the account has a name still.
func TestUserNameIsThatOfTheAccount(t *testing.T) {
	t.Setenv("USER", "ann")
	if got := userName(); got != "ann" {
		t.Errorf("with $USER: %q", got)
	}
	os.Unsetenv("USER")
	u, err := user.LookupId(strconv.Itoa(os.Geteuid()))
	if err != nil {
		t.Skip("this account has no name: ", err)
	}
	if got := userName(); got != u.Username {
		t.Errorf("without $USER: %q, want %q", got, u.Username)
	}
}

func TestParseSize(t *testing.T) {
	if r, c, err := ParseSize("24x80"); r != 24 || c != 80 || err != nil {
		t.Errorf("24x80: %d %d %v", r, c, err)
	}
	for _, s := range []string{"", "24", "24x", "x80", "0x80", "24x80x2", "-1x5", "70000x1", "24 x 80"} {
		if _, _, err := ParseSize(s); err == nil {
			t.Errorf("%q is no size", s)
		}
	}
}

func TestDiscardedSaysWhereTheHubStarts(t *testing.T) {
	err := fmt.Errorf("read: %w", &client.Error{Text: "discarded: my hub starts at 12 starts at 345"})
	if first, ok := Discarded(err); first != 345 || !ok {
		t.Errorf("%d, %v", first, ok)
	}
	for _, text := range []string{"discarded: x starts at", "file does not exist", "x starts at 5"} {
		if _, ok := Discarded(&client.Error{Text: text}); ok {
			t.Errorf("%q", text)
		}
	}
	if _, ok := Discarded(io.EOF); ok {
		t.Error("EOF")
	}
}

func TestEndOfAHubIsItsProducersStatus(t *testing.T) {
	for end, want := range map[string]struct {
		code     int
		complete bool
	}{
		"exit 0":                {0, true},
		"exit 3":                {3, true},
		"signal KILL":           {137, true},
		"exit 3 incomplete":     {3, false},
		"signal INT incomplete": {130, false},
		"":                      {0, true},
		"all done, thank you":   {0, true},
		"exit 300":              {0, true},
	} {
		if st, complete := ParseEnd(end); st.ExitCode() != want.code || complete != want.complete {
			t.Errorf("%q: %d, %v; want %v", end, st.ExitCode(), complete, want)
		}
	}
}

func TestAHubComesBeforeTheOutputOfAShell(t *testing.T) {
	st := Status{
		Hubs:   []Hub{{Name: "build"}, {Name: "build1"}, {Name: "work0"}, {Name: "work1"}, {Name: "work2"}},
		Shells: []Shell{{Name: "build"}, {Name: "work"}},
	}
	for name, want := range map[string]string{"work": "work1", "work1": "work1", "work2": "work2", "build": "build", "wor": "", "": ""} {
		if got, ok := st.output(name); got != want || ok != (want != "") {
			t.Errorf("%q: %q, %v; want %q", name, got, ok, want)
		}
	}
}

func TestEndedSaysWhatToDo(t *testing.T) {
	for text, want := range map[string]string{
		"shell w has ended: exit 3": "shell w has ended: exit 3",
		"hub w0 has ended":          "shell w has ended",
	} {
		err := ended("w", fmt.Errorf("write: %w", &client.Error{Text: text}))
		var e *Error
		if !errors.As(err, &e) || e.Text != want || e.Hint == "" {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, err := range []error{nil, io.EOF, &client.Error{Text: "file is in use"}} {
		if got := ended("w", err); got != err {
			t.Errorf("%v: %v", err, got)
		}
	}
}

func TestMoments(t *testing.T) {
	got, err := parseMoments([]byte("0 1700000000.5\n17 1700000001.042 more\n20 1700000002\n"))
	want := []Moment{{0, time.Unix(1700000000, 5e8)}, {17, time.Unix(1700000001, 42e6)}, {20, time.Unix(1700000002, 0)}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"1\n", "x 1\n", "1 x\n", "1 1.x\n", "1 1.-5\n", "1 1.0123456789\n"} {
		if got, err := parseMoments([]byte(bad)); err == nil {
			t.Errorf("%q: %v", bad, got)
		}
	}
}

func TestSameHub(t *testing.T) {
	made := time.Unix(1700000000, 0)
	a := Identity{Run: "1 5", Path: 8, Made: made}
	disk := Identity{Run: "1 5", Path: 8, Made: made, Spooled: true}
	for _, tt := range []struct {
		name     string
		was, now Identity
		same     bool
	}{
		{"one run", a, a, true},
		{"another file", a, Identity{Run: "1 5", Path: 12, Made: made}, false},
		{"another run", a, Identity{Run: "2 5", Path: 8, Made: made}, false},
		{"a run not known", Identity{Path: 8, Made: made}, Identity{Path: 8, Made: made}, false},
		{"found on the disk", disk, Identity{Run: "2 6", Path: 4, Made: made, Spooled: true}, true},
		{"made later", disk, Identity{Run: "2 6", Path: 8, Made: made.Add(time.Second), Spooled: true}, false},
		{"not from the disk", disk, Identity{Run: "2 6", Path: 8, Made: made}, false},
		{"another file of one run", disk, Identity{Run: "1 5", Path: 12, Made: made, Spooled: true}, false},
	} {
		if got := tt.was.Same(tt.now); got != tt.same {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

func TestAgainTriesOnlyWhatIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start, tries := time.Now(), 0
		err := Again(t.Context(), time.Minute, func(context.Context) error {
			if tries++; time.Since(start) < 30*time.Second {
				return fmt.Errorf("x: %w", client.ErrLost)
			}
			return nil
		})
		if err != nil || tries < 8 || tries > 20 {
			t.Errorf("%v after %d tries", err, tries)
		}
		if err := Again(t.Context(), time.Minute, func(context.Context) error { return io.EOF }); err != io.EOF {
			t.Error(err)
		}
		start = time.Now()
		err = Again(t.Context(), time.Minute, func(ctx context.Context) error {
			if time.Since(start) > 30*time.Second { // hangs
				<-ctx.Done()
				return ctx.Err()
			}
			return ErrUnreachable
		})
		if err != ErrUnreachable || time.Since(start) != time.Minute {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}
