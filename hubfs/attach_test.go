package hubfs

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hubfs/tree"
)

// TestSizePolicies: what the size is after each step.
func TestSizePolicies(t *testing.T) {
	type step struct {
		who  int    // an attachment; 0 is an open that never attaches
		line string // "-" closes it
		size string
	}
	for _, c := range []struct {
		name  string
		steps []step
	}{
		{"latest is the one who came or spoke last", []step{
			{1, "attach rw 30 100", "30 100"},
			{2, "attach rw 40 90", "40 90"},
			{1, "size 31 101", "31 101"},
			{2, "size 40 90", "40 90"}, // the same again is a vote too
			{2, "-", "31 101"},
			{1, "-", "31 101"}, // nobody is left: it stays
		}},
		{"who only watches has no vote", []step{
			{1, "attach rw 30 100", "30 100"},
			{2, "attach ro 5 5", "30 100"},
			{2, "size 6 6", "30 100"},
			{1, "-", "30 100"},
		}},
		{"smallest is what all can show", []step{
			{0, "policy smallest", "24 80"},
			{1, "attach rw 30 100", "30 100"},
			{2, "attach rw 40 90", "30 90"},
			{3, "attach ro 1 1", "30 90"},
			{1, "-", "40 90"},
		}},
		{"largest is what the largest can show", []step{
			{1, "attach rw 30 100", "30 100"},
			{2, "attach rw 40 90", "40 90"},
			{0, "policy largest", "40 100"},
			{0, "policy latest", "40 90"},
			{0, "policy largest", "40 100"},
			{2, "-", "30 100"},
		}},
		{"manual counts no votes", []step{
			{1, "attach rw 30 100", "30 100"},
			{0, "policy manual", "30 100"},
			{1, "size 50 50", "30 100"},
			{0, "size 25 81", "25 81"},
			{2, "attach rw 60 60", "25 81"},
			{2, "-", "25 81"},
			{0, "policy latest", "50 50"},
		}},
		{"a size from outside holds until the next vote", []step{
			{1, "attach rw 30 100", "30 100"},
			{2, "attach rw 40 90", "40 90"},
			{0, "size 25 81", "25 81"},
			{2, "-", "25 81"}, // to leave is no vote
			{1, "size 30 100", "30 100"},
		}},
		{"a detached one has no vote", []step{
			{1, "attach rw 30 100", "30 100"},
			{2, "attach rw 40 90", "40 90"},
			{1, "detach others", "30 100"},
			{0, "detach all", "30 100"},
		}},
		{"refused lines change nothing", []step{
			{1, "attach rw 30 100", "30 100"},
			{0, "size 0 1", "30 100"},
			{1, "policy best", "30 100"},
			{2, "attach rw 10000 1", "30 100"},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newServer(t, Config{})
			s.ctl("shell a")
			opens := map[int]*file{}
			told := "24 80"
			for i, st := range c.steps {
				f := opens[st.who]
				if f == nil {
					f = s.open("shell/a/ctl", tree.OpenRDWR)
					opens[st.who] = f
				}
				if st.line == "-" {
					f.close()
					delete(opens, st.who)
				} else {
					f.write(st.line)
				}
				status := strings.Fields(s.cat("shell/a/status"))
				if got := strings.Join(status[3:5], " "); got != st.size {
					t.Fatalf("step %d, %d %s: size %s, want %s", i, st.who, st.line, got, st.size)
				}
				if st.size != told { // and the process knows, once
					told = st.size
					all := s.proc("a").all()
					if !strings.HasSuffix(all, "size "+told) {
						t.Fatalf("step %d: the process was told %s", i, all)
					}
				}
			}
		})
	}
}

// TestNoticesOfAnAttachment
func TestNoticesOfAnAttachment(t *testing.T) {
	s := newServer(t, Config{})
	s.ctl("shell a")
	events := s.open("events", tree.OpenRead)
	one := s.openAs(alice, "shell/a/ctl", tree.OpenRDWR)
	one.read("a running 101 24 80 0 /bin/sh\n") // not attached: the status
	one.ends()
	one.mustWrite("attach rw 24 80 xterm")
	one.read("size 24 80\ndriver yes\n")
	one.waits()

	watch := s.openAs(bob, "shell/a/ctl", tree.OpenRDWR)
	watch.mustWrite("attach ro 50 50 vt100")
	watch.read("size 24 80\ndriver no\n")
	one.waits()

	two := s.openAs(bob, "shell/a/ctl", tree.OpenRDWR)
	two.mustWrite("attach rw 30 90")
	two.read("size 30 90\ndriver yes\n")
	one.read("size 30 90\ndriver no\n")
	watch.read("size 30 90\n")

	one.mustWrite("size 30 90\ntitle 'make all'\ntitle 'make all'")
	one.read("driver yes\ntitle make all\n")
	two.read("driver no\ntitle make all\n")
	watch.read("title make all\n")

	late := s.openAs(alice, "shell/a/ctl", tree.OpenRDWR)
	late.mustWrite("attach ro 1 1")
	late.read("size 30 90\ndriver no\ntitle make all\n")
	late.close()

	one.mustWrite("detach")
	one.read("detach asked for\n")
	one.ends()
	two.read("driver yes\n")
	one.close()

	s.openAs(glenda, "shell/a/ctl", tree.OpenWrite).mustWrite("detach 3") // two
	two.read("detach by glenda\n")
	two.ends()
	checkError(t, "size", two.write("size 1 1"), nil, "no longer attached")
	checkError(t, "attach", two.write("attach rw 1 1"), nil, "attached already")
	two.close()
	watch.waits() // no driver is left
	watch.close()

	events.read("client attach a alice\nclient attach a bob\nclient attach a bob\n" +
		"client attach a alice\nclient detach a alice\n" +
		"client detach a alice\nclient detach a bob\nclient detach a bob\n")
	if s.attached != 0 {
		t.Errorf("%d attachments are counted", s.attached)
	}
}

// TestAShellOnPipesHasNoSize, whoever asks for one.
func TestAShellOnPipesHasNoSize(t *testing.T) {
	s := newServer(t, Config{})
	s.ctl("shell -p a")
	f := s.open("shell/a/ctl", tree.OpenRDWR)
	checkError(t, "size", f.write("size 5 5"), tree.ErrInvalid, "shell a is on pipes")
	f.mustWrite("attach rw 30 90\nsize 31 91")
	f.read("size 0 0\ndriver yes\n")
	if got := s.cat("shell/a/status"); got != "a running 101 0 0 1 /bin/sh\n" || s.proc("a").all() != "" {
		t.Errorf("status %q, the process was told %q", got, s.proc("a").all())
	}
}

// TestTheAttachedAreToldOfTheEnd, and leaving afterwards harms nothing.
func TestTheAttachedAreToldOfTheEnd(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, s *server) {
		s.ctl("shell a")
		f := s.open("shell/a/ctl", tree.OpenRDWR)
		f.mustWrite("attach rw 24 80")
		f.read("size 24 80\ndriver yes\n")
		s.proc("a").exit(statusCode(3))
		synctest.Wait()
		f.read("exit 3\n")
		f.ends()
		checkError(t, "size", f.write("size 3 3"), nil, "shell a has ended: exit 3")
		if got := s.cat("shell/a/clients"); strings.Count(got, "\n") != 1 {
			t.Errorf("clients: %q", got)
		}
		f.close()
		if got := s.cat("shell/a/clients"); got != "" || s.attached != 0 {
			t.Errorf("clients: %q", got)
		}
	})
}

func TestClients(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, s *server) {
		s.ctl("shell a")
		if got := s.cat("shell/a/clients"); got != "" {
			t.Errorf("clients: %q", got)
		}
		now := time.Now().UTC()
		one := s.openAs(alice, "shell/a/ctl", tree.OpenRDWR)
		one.mustWrite("attach rw 24 80")
		time.Sleep(time.Minute)
		s.openAs(bob, "shell/a/ctl", tree.OpenRDWR).mustWrite("attach ro 50 132")
		one.mustWrite("size 25 81") // votes change no order
		want := fmt.Sprintf("1 alice 'tcp a' rw 25 81 %s\n2 bob 'tcp b' ro 50 132 %s\n",
			now.Format(time.RFC3339), now.Add(time.Minute).Format(time.RFC3339))
		if got := s.cat("shell/a/clients"); got != want {
			t.Errorf("clients:\n%swant:\n%s", got, want)
		}
	})
}

// TestHostileAttachLines are refused with what was expected.
func TestHostileAttachLines(t *testing.T) {
	s := newServer(t, Config{})
	s.ctl("shell a")
	for line, say := range map[string]string{
		"attach":                           "expected attach rw|ro ROWS COLS [TERM]",
		"attach rw":                        "expected attach rw|ro ROWS COLS [TERM]",
		"attach wr 1 1":                    `"wr" is neither rw nor ro`,
		"attach rw 0 80":                   "rows from 1 to 9999",
		"attach rw 24 10000":               "columns from 1 to 9999",
		"attach rw -1 80":                  "rows from 1 to 9999",
		"attach rw 0x10 80":                "rows",
		"attach rw 99999999999999999999 1": "rows",
		"attach rw '1\n' 1":                "rows",
		"attach rw 1 1 vt100 more":         "5 arguments",
		"size 24":                          "expected size ROWS COLS",
		"size 24 0":                        "columns from 1 to 9999: expected size ROWS COLS (the size",
		"policy":                           "expected policy latest|smallest|largest|manual",
		"policy best":                      `no policy "best": expected policy latest|smallest|largest|manual`,
		"title":                            "expected title TEXT",
		"title 'a\nexit 0'":                "control characters",
		"title \x1b]0;x\x07":               "control characters",
		"title " + strings.Repeat("x", maxText+1): "512 bytes",
		"detach":           "not attached",
		"detach 7":         "shell a has no client 7",
		"detach everybody": "expected detach [ID|all|others]",
		"signal":           "expected signal NAME",
		"kill now":         "expected kill",
		"fear":             "unknown command \"fear\": expected size, signal, kill, title, policy, attach, detach",
	} {
		f := s.open("shell/a/ctl", tree.OpenRDWR)
		checkError(t, line, f.write(line), nil, say)
		f.read("a running 101 24 80 0 /bin/sh\n")
		f.close()
	}
	if got := s.proc("a").all(); got != "" {
		t.Errorf("the process was told %s", got)
	}
}
