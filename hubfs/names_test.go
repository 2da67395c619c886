package hubfs

import (
	"errors"
	"strings"
	"testing"

	"hubfs/internal/handles"
	"hubfs/tree"
)

// TestNamesAreCheckedWithTheReason: a name that may not be is refused, and the
// error says why.
func TestNamesAreCheckedWithTheReason(t *testing.T) {
	s := newServer(t, Config{})
	s.mustCreate("dir/", "work0", "there")
	s.ctl("shell sh")
	long := strings.Repeat("n", MaxName)
	for _, c := range []struct {
		name string
		want error
		say  string // "": allowed
	}{
		{"a", nil, ""},
		{"with blank", nil, ""},
		{"ärger→", nil, ""},
		{"ctlx", nil, ""}, // the original took any ctl* for its own
		{"-x", nil, ""},
		{"io3", nil, ""},
		{long, nil, ""},
		{"dir/ctl", nil, ""}, // the tree's own names are taken at the root
		{"dir/" + long, nil, ""},

		{long + "n", tree.ErrInvalid, "256 bytes"},
		{"a@b", tree.ErrInvalid, "@"},
		{"a@", tree.ErrInvalid, "@"},
		{"a\nb", tree.ErrInvalid, "control"},
		{"a\x7f", tree.ErrInvalid, "control"},
		{"a\u0085", tree.ErrInvalid, "control"},
		{"a\x00", tree.ErrInvalid, "control"},
		{"\xff\xfe", tree.ErrInvalid, "UTF-8"},
		{"dir/.", tree.ErrInvalid, "directory"},
		{"dir/..", tree.ErrInvalid, "directory"},
		{"ctl", tree.ErrExist, "own"},
		{"status", tree.ErrExist, "own"},
		{"stats", tree.ErrExist, "own"},
		{"metrics", tree.ErrExist, "own"},
		{"pipes", tree.ErrInvalid, "own"},
		{"events", tree.ErrExist, "own"},
		{"shell", tree.ErrExist, "own"},
		{"remote", tree.ErrExist, "own"},
		{"there", tree.ErrExist, "exists"},
		{"dir", tree.ErrExist, "exists"},
		{"sh0", tree.ErrExist, "belongs to shell sh"},
		{"sh1", tree.ErrExist, "belongs to shell sh"},
		{"sh2", tree.ErrExist, "belongs to shell sh"},
		{"sh0.note", tree.ErrExist, "belongs to shell sh"},
		{"sh0.note/", tree.ErrExist, "belongs to shell sh"},
	} {
		err := s.create(glenda, c.name)
		if c.say == "" {
			if err != nil {
				t.Errorf("create %q: %v", c.name, err)
			}
			continue
		}
		checkError(t, "create "+c.name, err, c.want, c.say)
	}
	d := s.Root().(tree.Creator)
	for _, name := range []string{"", "a/b", ".", ".."} { // no path leads there
		if _, _, err := d.Create(glenda, name, 0o666, tree.OpenRead); !errors.Is(err, tree.ErrInvalid) {
			t.Errorf("create %q: %v", name, err)
		}
	}
}

func TestShellNames(t *testing.T) {
	s := newServer(t, Config{})
	s.mustCreate("mine0", "old2", "n0.note", "d1/", "plain")
	s.ctl("shell a") // has a1
	for _, c := range []struct {
		name string
		want error
		say  string
	}{
		{"plain", nil, ""}, // files decide, and plain0 is free
		{"a1", nil, ""},    // its files are a10, a11, a12
		{"io", nil, ""},
		{strings.Repeat("n", MaxName-len(sufNote)), nil, ""},

		{strings.Repeat("n", MaxName-len(sufNote)+1), tree.ErrInvalid, "256 bytes"},
		{"ctl", tree.ErrExist, "own"},
		{"x/y", tree.ErrInvalid, "slash"},
		{"-x", nil, "unknown option"},
		{"x@", tree.ErrInvalid, "@"},
		{"a", tree.ErrExist, "shell a is running"},
		{"mine", tree.ErrExist, "needs the name mine0"},
		{"old", tree.ErrExist, "needs the name old2"},
		{"n", tree.ErrExist, "needs the name n0.note"},
		{"d", tree.ErrExist, "needs the name d1"},
	} {
		for _, word := range []string{"shell ", "host "} {
			if c.say == "" {
				if word == "shell " {
					s.ctl(word + c.name)
				}
				continue
			}
			s.ctlFails(word+c.name, c.want, c.say)
		}
	}
	s.ctlFails("rm a1", tree.ErrBusy, "running") // the shell, not hub a1 of shell a
	s.ctl("kill a1\nkill plain")
	s.waitFor("a1", "plain")
	s.ctl("rm a1")
	if _, err := s.walk(glenda, "a1"); err != nil {
		t.Errorf("rm of shell a1 took the hub of shell a: %v", err)
	}
	s.ctlFails("rm a1", tree.ErrPermission, "belongs to shell a")
	s.ctlFails("rm plain", tree.ErrInvalid, "a shell and a hub")
	if err := s.node("shell/plain").(tree.Remover).Remove(glenda); err != nil {
		t.Error(err)
	}
	s.ctl("rm plain")
}

func TestSplitPlace(t *testing.T) {
	for _, c := range []struct {
		in   string
		name string
		at   handles.Place
		bad  bool
	}{
		{"a", "a", handles.Place{}, false},
		{"a@", "a", handles.Place{Kind: handles.Addressed}, false},
		{"a@end", "a", handles.Place{Kind: handles.FromEnd}, false},
		{"a@times", "a", handles.Place{Kind: handles.Times}, false},
		{"a@-0", "a", handles.Place{Kind: handles.FromBack}, false},
		{"a@-12", "a", handles.Place{Kind: handles.FromBack, Back: 12}, false},
		{"a@-99999999999999999999", "a", handles.Place{Kind: handles.FromBack, Back: 1<<63 - 1}, false},
		{"a@-", "", handles.Place{}, true},
		{"a@--1", "", handles.Place{}, true},
		{"a@-+1", "", handles.Place{}, true},
		{"a@-1x", "", handles.Place{}, true},
		{"a@12", "", handles.Place{}, true},
		{"a@time", "", handles.Place{}, true},
		{"a@END", "", handles.Place{}, true},
		{"a@@", "", handles.Place{}, true},
		{"a@end@", "", handles.Place{}, true},
	} {
		name, at, err := handles.SplitPlace(c.in)
		if name != c.name || at != c.at || (err != nil) != c.bad {
			t.Errorf("handles.SplitPlace(%q) = %q, %v, %v", c.in, name, at, err)
		}
		if c.bad && !errors.Is(err, tree.ErrNotExist) {
			t.Errorf("handles.SplitPlace(%q): %v", c.in, err)
		}
	}
}

// TestErrorsOfLongNamesSayAll: the text of an error is cut on the wire, and
// yet says the offset or the reason.
func TestErrorsOfLongNamesSayAll(t *testing.T) {
	s := newServer(t, Config{Size: 10})
	d := strings.Repeat("é", MaxName/2)
	h := d + "/" + strings.Repeat("n", MaxName)
	s.mustCreate(d+"/", h)
	f := s.open(h+"@", tree.OpenRDWR)
	if err := f.writeAt(strings.Repeat("x", 20), 0); err != nil {
		t.Fatal(err)
	}
	_, _, discarded := f.try(4, 1)
	gap := f.writeAt("x", 21)
	_, _, place := handles.SplitPlace(strings.Repeat("n", MaxName) + "@here")
	for _, c := range []struct {
		err  error
		want string
	}{
		{discarded, "nnn starts at 10"},
		{gap, "nnn ends at 20"},
		{place, "expected @, @end, @-N or @times: "},
		{s.create(glenda, strings.Repeat("\x01", MaxName)), "control characters: "},
		{s.create(glenda, strings.Repeat("@", MaxName)), "where to begin reading: "},
	} {
		if c.err == nil || len(c.err.Error()) > 247 || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("%v: want %q within 247 bytes", c.err, c.want)
		}
	}
	f.close()
}
