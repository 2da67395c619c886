package hubfs

import (
	"strings"
	"testing"

	"hubfs/tree"
)

// FuzzCtl: whatever is written to the ctl files, the server lives, and
// /status, /events and the rest keep their form: one thing a line, with the
// fields that it has.
func FuzzCtl(f *testing.F) {
	for _, s := range []string{
		"fear\ncalm h", "shell a -s 1x1 -e A=b -- sh -c 'x\ny'\nkill a\nrm a",
		"host b -- x\npid 5\nexit 3", "fear\npatience h 1\ndrop 1\ndrop 2\nnopatience h", "end h 'it''s\nover'", "size h 5\nlimit h 9\nfreeze",
		"pipe h h\npipe -e h -- 'a b' -- h\nunpipe 1\npipe h@end w0\nrm h",
		"shell \"it's\" -- '\n'\nattach rw 5 5 vt\ntitle x\ndetach all\nsize 3 3",
	} {
		f.Add(s)
	}
	counts := map[string]int{"server": 4, "hub": 9, "reader": 7, "shell": 8, "pipe": 10}
	f.Fuzz(func(t *testing.T, in string) {
		s := newServer(t, Config{MaxHubs: 50})
		s.mustCreate("h")
		s.ctl("shell w")
		events := s.open("events", tree.OpenRead)
		ctl, shell := s.open("ctl", tree.OpenRDWR), s.open("shell/w/ctl", tree.OpenRDWR)
		for line := range strings.SplitSeq(in, "\n") {
			ctl.write(line)
			shell.write(line)
		}
		ctl.write(in)
		shell.write(in)
		s.open("w0.note", tree.OpenWrite).write(in)
		for line := range strings.Lines(s.cat("status")) {
			f := unquote(strings.TrimSuffix(line, "\n"))
			want := counts[f[0]]
			if f[0] == "hub" && strings.Contains(f[7], "ended") {
				want++ // END
			}
			if f[0] == "pipe" && f[4] == "ended" {
				want++ // END
			}
			if f[0] == "reader" && f[len(f)-2] == "slowest" {
				want += 2
			}
			if want == 0 || len(f) != want {
				t.Errorf("status: %q has %d fields", line, len(f))
			}
		}
		told, _, _ := events.try(0, 1<<20)
		for line := range strings.Lines(told) {
			switch f := unquote(strings.TrimSuffix(line, "\n")); f[0] {
			case "reader": // drop HUB ID USER REASON
				if len(f) != 6 {
					t.Errorf("event %q has %d fields", line, len(f))
				}
			case "pipe": // new ID FROM TO, say ID TEXT, end ID REASON
				if want := map[string]int{"new": 5, "say": 4, "end": 4}[f[1]]; len(f) != want {
					t.Errorf("event %q has %d fields", line, len(f))
				}
			case "hub", "shell", "client":
				if len(f) < 3 || len(f) > 4 {
					t.Errorf("event %q has %d fields", line, len(f))
				}
			default:
				t.Errorf("event %q", line)
			}
		}
		ctl.close()
		shell.close()
		if n := strings.Count(s.cat("shell/w/clients"), "\n"); n != 0 || s.FS.attached != 0 {
			t.Errorf("%d clients, %d counted", n, s.FS.attached)
		}
	})
}

// unquote takes a line of fields apart.
func unquote(line string) []string {
	var out []string
	for line != "" {
		field, rest, quoted := "", "", strings.HasPrefix(line, "'")
		if !quoted {
			field, rest, _ = strings.Cut(line, " ")
		} else {
			for line = line[1:]; ; line = line[1:] {
				if strings.HasPrefix(line, "''") {
					field, line = field+"'", line[1:]
					continue
				}
				if line == "" || line[0] == '\'' {
					break
				}
				field += line[:1]
			}
			rest = strings.TrimPrefix(strings.TrimPrefix(line, "'"), " ")
		}
		out, line = append(out, field), rest
	}
	return out
}
