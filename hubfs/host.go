package hubfs

import (
	"crypto/subtle"
	"fmt"
	"strconv"
	"strings"

	"hubfs/hub"
	"hubfs/internal/handles"
	"hubfs/internal/lex"
	"hubfs/shellctl"
	"hubfs/tree"
)

// Hosting: the process of a shell runs at a client, which feeds it from NAME0@
// and writes its output to NAME1@. Here the shell is its hubs, and the open of
// /ctl on which the client wrote host. On that open the client reads what it
// is to do (size R C, signal NAME, kill), and writes what became of the
// process (pid N, exit CODE, signal NAME). The server executes nothing.
//
// What is typed stays until the host has asked for what follows it; see
// place.go.

// maxHosted is how many bytes the command of a hosted shell may have. Nobody runs
// it here, where the kernel would have a limit, and all read it in /status.
const maxHosted = 16 << 10

// hostWord is the word host: it makes a shell, or takes up again one that was
// lost.
func (fs *FS) hostWord(h *ctlHandle, args []string) error {
	o, err := parseShell(args, hostFlags)
	if err != nil {
		return err
	}
	if err := checkLevel(h.c, o.name, tree.LevelWrite); err != nil {
		return fmt.Errorf("host: shell %s: %w", o.name, err)
	}
	if n := len(lex.QuoteAll(o.argv)); n > maxHosted {
		return fmt.Errorf("host: a command of %d bytes, %d may be: %w", n, maxHosted, tree.ErrLimit)
	}
	o.hosted = true
	fs.mu.Lock()
	defer fs.unlockDone()
	if h.read != nil {
		return fmt.Errorf("host: this open of ctl has hosted a shell already: open another: %w", tree.ErrBusy)
	}
	if s := fs.byName[o.name]; s != nil && s.comesBackLocked(h.c, o.key) {
		s.backLocked(h)
		return nil
	}
	old, err := fs.placeLocked(h.c, o.name)
	if err != nil {
		return err
	}
	if old != nil {
		old.unlinkLocked()
		old.sayGoneLocked()
		old.dropLocked()
	}
	s := fs.newShellLocked(h.c, o)
	s.place = s.newPlace(0) // nobody waits on a new hub: this wakes nobody
	s.linkLocked()
	s.sayNewLocked()
	s.hostedByLocked(h)
	return nil
}

// comesBackLocked reports whether c is the host of s, which comes back: who made
// the shell, or the server's own user, when it is lost; and whoever else is that,
// if the host has a key, has it too. With the key it comes back also before it is
// known to be lost: the server may believe in its old connection for a while.
func (s *shell) comesBackLocked(c *tree.Caller, key string) bool {
	switch {
	case !s.hosted || s.ending || s.state == exited:
		return false
	case c.User != s.owner && (!c.Admin || c.Rights != nil):
		return false
	case subtle.ConstantTimeCompare([]byte(key), []byte(s.hostKey)) == 0:
		return false
	}
	return s.state == lost || s.hostKey != ""
}

// backLocked makes h the host of s after the one before.
func (s *shell) backLocked(h *ctlHandle) {
	fs := s.fs
	if old := s.host; old != nil {
		old.hosts = nil
		fs.later(old.words.End)
	}
	if s.state == lost {
		s.state = running
		for _, a := range s.attached {
			a.sayLocked("back")
		}
		s.sayLocked("shell back")
	}
	s.hostedByLocked(h)
}

// hostedByLocked makes h the host of s, and tells it the size.
func (s *shell) hostedByLocked(h *ctlHandle) {
	s.host, h.hosts = h, s
	s.fs.later(func() {
		s.keepPlace(0) // from where the host before stands, and be it connected still
		s.hostConn.Store(h.c.Conn)
	})
	h.words = handles.NewLines()
	h.read = h.words.Reader(hub.FromOldest, "")
	s.tellHostLocked(sizeNotice(s.rows, s.cols))
}

// tellHostLocked queues a word for the host, if there is one.
func (s *shell) tellHostLocked(word string) {
	if s.host == nil {
		return
	}
	words := s.host.words
	s.fs.later(func() { words.Say(word) })
}

// lostLocked is what happens when the host of s goes away before the process
// has ended.
func (fs *FS) lostLocked(s *shell) {
	s.host = nil
	if s.state != running || s.ending {
		return
	}
	s.state = lost
	s.pid = 0
	for _, a := range s.attached {
		a.sayLocked(string(lost))
	}
	s.sayLocked("shell lost")
	fs.changedLocked()
}

// hosting returns the shell that h hosts, nil if it hosts none.
func (h *ctlHandle) hosting() *shell {
	h.f.fs.mu.Lock()
	defer h.f.fs.mu.Unlock()
	return h.hosts
}

// hostWords are the commands that a host writes besides those of /ctl.
func hostWords(h *ctlHandle, s *shell) []lex.Word {
	ended := func(line ...string) error {
		st, err := shellctl.ParseStatus(strings.Join(line, " "))
		if err != nil {
			return lex.Malformed("%v", err)
		}
		s.end(st)
		fs := s.fs
		fs.mu.Lock()
		defer fs.unlockDone()
		s.host, h.hosts = nil, nil
		fs.later(h.words.End)
		return nil
	}
	return []lex.Word{
		lex.Command("pid", "N", "the process of the shell you host", 1, 1, func(args []string) error {
			n, err := strconv.Atoi(args[0])
			if err != nil || n < 1 {
				return lex.Malformed("%q is no process", lex.Clip(args[0]))
			}
			s.fs.mu.Lock()
			defer s.fs.unlockDone()
			s.pid = n
			return nil
		}),
		lex.Command("exit", "CODE", "the shell you host has ended, and its output is in its hubs", 1, 1, func(args []string) error {
			return ended("exit", args[0])
		}),
		lex.Command("signal", "NAME", "the shell you host was ended by a signal", 1, 1, func(args []string) error {
			return ended("signal", args[0])
		}),
	}
}
