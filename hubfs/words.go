package hubfs

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"hubfs/hub"
	"hubfs/internal/lex"
	"hubfs/tree"
)

// ctlWords are the commands of /ctl, as they are for one open of it.
func ctlWords(h *ctlHandle) []lex.Word {
	fs, c := h.f.fs, h.c
	words := []lex.Word{
		lex.Command("fear", "[HUB]", "writers wait for the slowest reader", 0, 1, fs.hubWord(c, tree.LevelOwn,
			func() { fs.fear = true },
			func(f *hubFile) { f.hub.Fear(true) })),
		lex.Command("calm", "[HUB]", "writers never wait; slow readers skip", 0, 1, fs.calm(c)),
		lex.Command("freeze", "[HUB]", "the hub stands still as a plain file", 0, 1, fs.hubWord(c, tree.LevelOwn,
			func() { fs.frozen = true },
			func(f *hubFile) { f.hub.Freeze(); f.say("hub freeze") })),
		lex.Command("melt", "[HUB]", "the hub flows again", 0, 1, fs.hubWord(c, tree.LevelOwn,
			func() { fs.frozen = false },
			func(f *hubFile) { f.hub.Melt(); f.say("hub melt") })),
		lex.Command("trunc", "[HUB]", "new readers start at the end", 0, 1, fs.hubWord(c, tree.LevelOwn,
			func() { fs.trunc = true },
			func(f *hubFile) { f.hub.Trunc(true) })),
		lex.Command("notrunc", "[HUB]", "new readers start at the oldest byte", 0, 1, fs.hubWord(c, tree.LevelOwn,
			func() { fs.trunc = false },
			func(f *hubFile) { f.hub.Trunc(false) })),
		lex.Command("eof", "[HUB]", "every reader that is open now gets an end of file here", 0, 1, fs.hubWord(c, tree.LevelWrite,
			func() {},
			func(f *hubFile) { f.hub.EOF() })),
		lex.Command("end", "HUB [STATUS]", "the stream is complete", 1, -1, func(args []string) error {
			return fs.end(c, args)
		}),
		lex.Command("reopen", "HUB", "the stream goes on after all", 1, 1, func(args []string) error {
			return fs.reopen(c, args[0])
		}),
		lex.Command("size", "HUB BYTES", "how much the hub retains", 2, 2, func(args []string) error {
			return fs.size(c, args[0], args[1])
		}),
		lex.Command("limit", "HUB BYTES/S", "how fast writers of the hub may be", 2, 2, func(args []string) error {
			return fs.limit(c, args[0], args[1])
		}),
		lex.Command("nolimit", "HUB", "writers of the hub may be as fast as they can", 1, 1, func(args []string) error {
			return fs.withHub(c, args[0], tree.LevelOwn, func(f *hubFile) { f.hub.SetLimit(hub.Limit{}) })
		}),
		lex.Command("spool", spoolUsage, "the hub's history is on disk", 1, -1, func(args []string) error {
			return fs.spoolWord(c, args)
		}),
		lex.Command("nospool", "HUB", "the hub goes on in memory; the files stay", 1, 1, func(args []string) error {
			return fs.nospool(c, args[0])
		}),
		lex.Command("patience", "HUB SECONDS", "how long a writer in fear waits for a reader that does not move, which is dropped then", 2, 2, func(args []string) error {
			return fs.patience(c, args[0], args[1])
		}),
		lex.Command("nopatience", "HUB", "writers in fear wait for as long as it takes", 1, 1, func(args []string) error {
			return fs.withHub(c, args[0], tree.LevelOwn, func(f *hubFile) { f.hub.SetPatience(0) })
		}),
		lex.Command("drop", "READER", "end a reader; /status says its number", 1, 1, func(args []string) error {
			return fs.drop(c, args)
		}),
		lex.Command("shell", shellUsage, "start a shell on this server", 1, -1, func(args []string) error {
			if err := checkLevel(c, "", tree.LevelOwn); err != nil {
				return err
			}
			return fs.shellWord(c, args)
		}),
		lex.Command("host", hostUsage, "a shell that the writer of this line runs", 1, -1, func(args []string) error {
			return fs.hostWord(h, args)
		}),
		lex.Command("kill", "NAME", "end a shell: a hangup, and a kill if that does not do", 1, 1, func(args []string) error {
			s, err := fs.shellFor(c, args[0], tree.LevelOwn)
			if err != nil {
				return err
			}
			return s.kill()
		}),
		lex.Command("pipe", pipeUsage, "carry what is in hub FROM, and what comes, into hub TO", 1, -1, func(args []string) error {
			if err := checkLevel(c, "", tree.LevelOwn); err != nil {
				return err
			}
			return fs.pipeWord(h, args)
		}),
		lex.Command("unpipe", "ID", "end a pipe", 1, 1, func(args []string) error {
			if err := checkLevel(c, "", tree.LevelOwn); err != nil {
				return err
			}
			return fs.unpipe(args[0])
		}),
		lex.Command("rm", "NAME", "remove the files of an ended shell, or a hub", 1, 1, func(args []string) error {
			return fs.rm(c, args[0])
		}),
		lex.Command("quit", "", "stop the server", 0, 0, func([]string) error {
			if err := checkLevel(c, "", tree.LevelOwn); err != nil {
				return err
			}
			fs.quitOnce.Do(func() { close(fs.quit) })
			return nil
		}),
	}
	words = append(words, fs.listenWords(c)...)
	if s := h.hosting(); s != nil {
		words = append(words, hostWords(h, s)...)
	}
	return words
}

// hubWord returns a command that sets one hub, for who has a level for it, or,
// without an argument, the default and all hubs, for who owns the server. What it does to hubs is queued, so that two such
// commands reach all hubs in the same order.
func (fs *FS) hubWord(c *tree.Caller, need tree.Level, def func(), one func(*hubFile)) func(args []string) error {
	return func(args []string) error {
		fs.mu.Lock()
		defer fs.unlockDone()
		if len(args) == 0 {
			if err := checkLevel(c, "", tree.LevelOwn); err != nil {
				return err
			}
			def()
			fs.root.eachHubLocked(func(f *hubFile) { fs.later(func() { one(f) }) })
			return nil
		}
		return fs.withHubLocked(c, args[0], need, one)
	}
}

// calm is a hubWord, but for one thing: said to all, it leaves the input hubs
// alone. They are in fear from the start whatever the default is, so that a
// paste into a busy program waits instead of vanishing; who wants one of them
// calm says its name.
func (fs *FS) calm(c *tree.Caller) func(args []string) error {
	return func(args []string) error {
		return fs.hubWord(c, tree.LevelOwn,
			func() { fs.fear = false },
			func(f *hubFile) {
				if len(args) > 0 || !f.input {
					f.hub.Fear(false)
				}
			})(args)
	}
}

// withHubLocked queues what to do to the hub at path, which takes a level for it.
func (fs *FS) withHubLocked(c *tree.Caller, path string, need tree.Level, do func(*hubFile)) error {
	f, err := fs.hubLocked(c, path, need)
	if err != nil {
		return err
	}
	fs.later(func() { do(f) })
	return nil
}

func (fs *FS) withHub(c *tree.Caller, path string, need tree.Level, do func(*hubFile)) error {
	fs.mu.Lock()
	defer fs.unlockDone()
	return fs.withHubLocked(c, path, need, do)
}

func (fs *FS) end(c *tree.Caller, args []string) error {
	path, status := args[0], strings.Join(args[1:], " ")
	if err := checkText(status); err != nil {
		return err
	}
	f, err := fs.endHub(c, path, status)
	if err != nil {
		return err
	}
	return f.noted()
}

func (fs *FS) endHub(c *tree.Caller, path, status string) (*hubFile, error) {
	fs.mu.Lock()
	defer fs.unlockDone()
	f, err := fs.hubLocked(c, path, tree.LevelWrite)
	if err != nil {
		return nil, err
	}
	if s := f.shell; s != nil && s.state != exited && !f.input {
		return nil, fmt.Errorf("end: %s is output of shell %s and ends with it: %w", path, s.name, tree.ErrBusy)
	}
	if f.session && !f.input {
		return nil, fmt.Errorf("end: %s is output of a session and ends with it: %w", path, tree.ErrBusy)
	}
	f.endLocked(status)
	return f, nil
}

func (fs *FS) reopen(c *tree.Caller, path string) error {
	f, err := fs.reopenHub(c, path)
	if err != nil {
		return err
	}
	return f.noted()
}

func (fs *FS) reopenHub(c *tree.Caller, path string) (*hubFile, error) {
	fs.mu.Lock()
	defer fs.unlockDone()
	f, err := fs.hubLocked(c, path, tree.LevelWrite)
	if err != nil {
		return nil, err
	}
	if s := f.shell; s != nil && s.state == exited {
		return nil, fmt.Errorf("reopen: %s ended with shell %s: %w", path, s.name, tree.ErrInvalid)
	}
	if f.session {
		return nil, fmt.Errorf("reopen: %s belongs to a session, which opens and ends it: %w", path, tree.ErrInvalid)
	}
	fs.later(func() { f.hub.Reopen(); f.changed() })
	return f, nil
}

// maxText is how many bytes a title or a status may have. It must fit into a
// line that others read.
const maxText = 512

// checkText says whether s, a title or a status, can be told to others.
func checkText(s string) error {
	if len(s) > maxText || strings.ContainsFunc(s, unicode.IsControl) {
		return lex.Malformed("%q: at most %d bytes without control characters", lex.Clip(s), maxText)
	}
	return nil
}

// number reads an argument that is a number of things, 1 or more.
func number(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 1 {
		return 0, lex.Malformed("%q is not a number of 1 or more", lex.Clip(s))
	}
	return n, nil
}

func (fs *FS) size(c *tree.Caller, path, arg string) error {
	n, err := parseBytes(arg)
	if err != nil {
		return err
	}
	if n > fs.cfg.MaxRetained {
		return fmt.Errorf("size: %d is more than the %d bytes that all hubs may retain: %w", n, fs.cfg.MaxRetained, tree.ErrLimit)
	}
	if most := fs.guestRetains(); n > most && c.Rights != nil && !mayAll(c, tree.LevelOwn) {
		return fmt.Errorf("size: %d is more than the %d bytes that a guest may have a hub retain: %w", n, most, tree.ErrLimit)
	}
	var set error
	if err := fs.withHub(c, path, tree.LevelWrite, func(f *hubFile) { set = f.hub.SetSize(n) }); err != nil {
		return err
	}
	return set
}

func (fs *FS) limit(c *tree.Caller, path, arg string) error {
	n, err := number(arg)
	if err != nil {
		return err
	}
	l := hub.Limit{BytesPerSecond: n, Reset: fs.cfg.Limit.Reset}
	return fs.withHub(c, path, tree.LevelOwn, func(f *hubFile) { f.hub.SetLimit(l) })
}

// rm removes a hub, or a shell that has ended or whose host is away.
func (fs *FS) rm(c *tree.Caller, name string) error {
	fs.mu.Lock()
	s := fs.byName[name]
	if s != nil && !seesLocked(c, s.node) {
		s = nil
	}
	f, err := fs.hubLocked(c, name, tree.LevelView)
	loose := err == nil && f.shell == nil
	switch {
	case s != nil && loose:
		err = fmt.Errorf("rm: %s is a shell and a hub: remove the file %s or shell/%s: %w", name, name, name, tree.ErrInvalid)
	case s != nil:
		fs.mu.Unlock()
		return s.remove(c)
	case err == nil:
		sp := f.spool
		err = f.removeLocked(c)
		fs.unlockDone()
		if err == nil && sp != nil {
			err = sp.saved()
		}
		return err
	default:
		err = fmt.Errorf("rm: no shell and no hub %q: %w", lex.Clip(name), tree.ErrNotExist)
	}
	fs.unlockDone()
	return err
}
