package taskfs

import (
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"

	"hubfs/hub"
	"hubfs/tree"
)

// TestTopFiles: what there is to know of the nodes.
func TestTopFiles(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		root := w.node("root", 1)
		root.wantCat("arch", "Linux amd64\n")
		root.wantCat("status", "Linux amd64 1\n")
		events := root.open("events", tree.OpenRead)
		leaf := w.node("leaf", 8)
		root.below(leaf)
		root.wantCat("status", "Linux amd64 2\n")
		root.wantCat("status", "Linux amd64 2\n") // to read it changes nothing
		got := regexp.MustCompile(`[0-9]+\.[0-9]{2}|[0-9]{6,}`).ReplaceAllString(root.cat("nodes"), "N")
		want := "root '' linux amd64 8 8 N up 0.0 0 mem=N labels= inner dropped=0\n" +
			"leaf pipe linux amd64 8 8 N up 0.0 N mem=N labels= leaf dropped=0\n"
		if got != want {
			t.Errorf("nodes:\n%s\nwant:\n%s", got, want)
		}
		top := root.open("ctl", tree.OpenRDWR)
		top.write("drain leaf")
		root.wantCat("status", "Linux amd64 1\n")
		top.write("undrain leaf\ndebug 0")
		root.wantCat("status", "Linux amd64 2\n")
		for line, say := range map[string]string{
			"drain":          "expected drain NODE",
			"drain nobody":   "nobody",
			"ack leaf":       "leaf",
			"add":            "expected add ADDR [NAME]",
			"add tcp://x":    "dials no nodes",
			"begin":          "expected begin",
			"begin plain no": "expected begin",
			"begin never":    "expected begin",
			"debug 10":       "expected debug N",
			"reboot":         "unknown command",
		} {
			top.fails(line, say)
		}
		top.write("rm leaf")
		synctest.Wait()
		root.wantCat("status", "Linux amd64 1\n")
		ctl := root.clone("0")
		ctl.write("exec true")
		root.cat("0/wait")
		ctl.close()
		all, _ := events.read()
		for _, line := range []string{"node join leaf ", "node drain leaf", "session new 0 glenda", "session exec 0 true", "session done 0 0", "session released 0"} {
			if !strings.Contains("\n"+all, "\n"+line) {
				t.Errorf("no event %q in\n%s", line, all)
			}
		}
		events.close()
		top.close()
	})
}

// TestAdd: what dials is the server's, and is told to stop.
func TestAdd(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		stopped := ""
		s := w.node("root", 1, func(c *Config) {
			c.Add = func(addr, name string) (func(), error) {
				if addr == "bad" {
					return nil, errors.New("nobody listens")
				}
				return func() { stopped += addr + " " + name + ";" }, nil
			}
		})
		top := s.open("ctl", tree.OpenWrite)
		top.write("add tcp://a one\nadd tcp://b")
		top.fails("add bad", "add bad: nobody listens")
		top.fails("add tcp://c 'a b'", "expected add ADDR [NAME]")
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if len(stopped) != len("tcp://a one;tcp://b ;") {
			t.Errorf("stopped: %q", stopped)
		}
		top.fails("add tcp://d", "shutting down")
		if _, err := s.tryOpen("clone", tree.OpenRDWR); err == nil {
			t.Error("a session after the end")
		}
	})
}

// TestRights: who may see the folder reads, who owns it runs commands, and a session
// is its opener's.
func TestRights(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := w.node("root", 4)
		ctl := s.user(ken).clone("0")
		ctl.write("res 2\nexec hold gate hi")
		none, view, write := s.user(guestOf(tree.LevelNone)), s.user(guestOf(tree.LevelView)), s.user(guestOf(tree.LevelWrite))
		for _, path := range []string{"clone", "status", "0", "0/status", "0/fs", "0/out/folded"} {
			if _, err := none.walk(path); !errors.Is(err, tree.ErrNotExist) {
				t.Errorf("%s for nobody: %v", path, err)
			}
		}
		for _, as := range []*server{view, write} {
			for _, path := range []string{"status", "nodes", "arch", "0/status", "0/summary", "0/0/status", "0/out/folded"} {
				as.cat(path)
			}
			for _, path := range []string{"clone", "ctl", "env", "0/ctl", "0/env", "0/0/ctl", "0/0/stdin", "uplink"} {
				if _, err := as.tryOpen(path, tree.OpenRDWR); !errors.Is(err, tree.ErrPermission) {
					t.Errorf("%s for a guest: %v", path, err)
				}
			}
			if err := as.make("0/fs/x", 0o644, ""); !errors.Is(err, tree.ErrPermission) {
				t.Errorf("create for a guest: %v", err)
			}
		}
		// Others on the same machine may look, and not touch.
		for _, path := range []string{"0/ctl", "0/args", "0/stdio", "0/0/ctl", "0/0/stdio"} {
			if _, err := s.tryOpen(path, tree.OpenWrite); !errors.Is(err, tree.ErrPermission) {
				t.Errorf("%s for somebody else: %v", path, err)
			}
		}
		// Rights that have gone are gone for what is open.
		eve := guestOf(tree.LevelOwn)
		mine := s.user(eve).open("clone", tree.OpenRDWR)
		mine.write("res 1")
		eve.Rights = level(tree.LevelView)
		mine.fails("exec true", "permission denied")
		mine.close()
		ctl.close()
	})
}

// TestUplink: who opens it has the node below; that takes both directions.
func TestUplink(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := w.node("root", 4)
		for _, mode := range []uint8{tree.OpenRead, tree.OpenWrite} {
			if _, err := s.tryOpen("uplink", mode); err == nil {
				t.Errorf("mode %d", mode)
			}
		}
		f := s.open("uplink", tree.OpenRDWR)
		if hello, err := f.read(); err != nil || !strings.Contains(hello, "root") {
			t.Errorf("hello: %q, %v", hello, err)
		}
		f.close()
	})
}

// TestEveryWordIsInTheManual, which scripts are written by.
func TestEveryWordIsInTheManual(t *testing.T) {
	manual, err := os.ReadFile("../doc/taskfs.4")
	if err != nil {
		t.Fatal(err)
	}
	inWorld(t, func(t *testing.T, w *world) {
		s := w.node("root", 4)
		s.clone("0")
		words := append(s.FS.slots[0].session.Whole().Words(), s.FS.words()...)
		for _, word := range words {
			if !regexp.MustCompile(`(?m)Cm ` + word.Name + `\b`).Match(manual) {
				t.Errorf("%s is not in doc/taskfs.4", word.Name)
			}
			if word.Help == "" {
				t.Errorf("%s has no help", word.Name)
			}
		}
	})
}

// TestAMalformedCommandSaysWhatWasExpected, and nothing of it is done.
func TestAMalformedCommandSaysWhatWasExpected(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := w.node("root", 4)
		ctl := s.clone("0")
		before := s.cat("0/status")
		for line, say := range map[string]string{
			"fly": `unknown command "fly": expected res, exec, again, args, dir, env, nice, signal, kill, killonclose, close, ` +
				`bcast, enum, pull, splice, deadline, halt, retry, label, linger, persist, wipe, strict, compat, debug`,
			"res":                     "expected res N [OS [ARCH]]",
			"res x":                   `"x" is not a number of tasks`,
			"res 1 linux amd64 3":     `"3" comes after the processor`,
			"res 1 mem=lots":          "is not a size",
			"res 1 mem=":              "has no value",
			"res 1 min=2":             "not a number from 1 to the 1 tasks",
			"res 1 policy=best":       `policy "best"`,
			"res 1 color=red":         `unknown option "color"`,
			"res 1 nodes=a[1":         "expected res",
			"res 1 nodes=* min=1":     "do not go together",
			"res 0 linux":             "takes no conditions",
			"res 99999999":            "more than",
			"exec":                    "no command",
			"exec 'a":                 "closing quote",
			"env A":                   "not K=V",
			"nice 4":                  "expected nice [1-3]",
			"close stdout":            "expected close stdin",
			"enum lines":              "expected sep=X",
			"bcast x":                 "expected bcast",
			"deadline":                "",
			"deadline soon":           "is not a time",
			"deadline walk=3":         "expected deadline",
			"deadline run=-3":         "is not a time",
			"halt":                    "expected halt",
			"halt fail=0":             "expected halt",
			"halt fail=101%":          "expected halt",
			"halt success=3%":         "expected halt",
			"retry -1":                "expected retry N",
			"label 'a\nb'":            "without control characters",
			"linger never":            "is not a time",
			"debug x":                 "expected debug N",
			"persist now":             "expected persist",
			"splice 0 > 1":            "No remote reservation done",
			"again":                   "No remote reservation done",
			"signal":                  "expected signal NAME",
			"dir ''":                  "is no folder",
			"strict\ncompat\nfly":     "line 3: unknown command",
			"halt never\nres x\nwipe": "line 2: res",
		} {
			if say != "" {
				ctl.fails(line, say)
			} else {
				ctl.write(line)
			}
			if strings.HasPrefix(line, "strict") {
				ctl.close()
				ctl = s.clone("0")
				continue
			}
			if after := s.cat("0/status"); after != before {
				t.Errorf("%q was refused and did something:\n%s", line, after)
			}
		}
		ctl.write("# a comment\n\n  \nres 1 # one\n")
	})
}

// FuzzCtl: whatever is written, the server lives, and status, wait and events keep
// their form.
func FuzzCtl(f *testing.F) {
	for _, in := range []string{
		"res 2\nexec echo a\nagain\nexec false", "res 1 linux\nenv A=b 'C=d e'\nexec env A", "pull n=3\nres 3\nexec cat\nclose stdin\nkill",
		"res 3\nsplice 0 > 1-2\nexec cat\nclose stdin", "persist\nlinger 3\nwipe", "deadline run=1 idle=2\nhalt fail=50%\nexec 'a b' \"it's\"",
		"label '%h %n %%'\nres 2 nodes=root\nexec err x\nstrict\ncompat", "nice 3\nexec true\nsignal HUP\nretry 3",
	} {
		f.Add(in)
	}
	f.Fuzz(func(t *testing.T, in string) {
		inWorld(t, func(t *testing.T, w *world) {
			s := w.node("root", 4)
			ctl := s.clone("0")
			for line := range strings.SplitSeq(in, "\n") {
				_, _ = ctl.tryWrite(line) // much is refused
				if n, err := s.walk("0"); err == nil {
					if sub, err := n.(tree.Dir).Lookup(s.as, "0"); err == nil {
						_ = s.echo("0/0/ctl", line)
						_ = sub.Stat()
					}
				}
			}
			synctest.Wait()
			if _, err := s.walk("0"); err == nil {
				status := s.open("0/status", tree.OpenRead)
				text := ""
				for more, err := status.read(); err == nil && more != ""; more, err = status.read() {
					text += more
				}
				for line := range strings.Lines(text) {
					if !strings.HasPrefix(line, "cmd/") || !strings.HasSuffix(line, "\n") {
						t.Errorf("status: %q", line)
					}
				}
				status.close()
			}
			ctl.close()
		})
	})
}

// TestOutputWhoseHubIsFrozen holds back the tasks, and not who looks on.
func TestOutputWhoseHubIsFrozen(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := w.node("root", 4)
		ctl := s.clone("0")
		var h *hub.Hub = s.FS.slots[0].streams["stdout"].Hub()
		h.Freeze()
		ctl.write("exec echo hi")
		synctest.Wait()
		if got := fieldsOf(s.cat("0/status"), 2); got != "Execute\n" {
			t.Errorf("status: %q", got)
		}
		h.Melt()
		s.wantCat("0/stdout", "hi\n")
		s.cat("0/wait")
		h.Freeze()
		ctl.close()
		h.Melt()
	})
}
