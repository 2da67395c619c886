package hubfs

import (
	"errors"
	"fmt"
	"strings"

	"hubfs/internal/handles"
	"hubfs/internal/lex"
	"hubfs/tree"
)

// A shellCtl is /shell/NAME/ctl.
type shellCtl struct {
	meta
	shell *shell
}

// Open opens the ctl of a shell.
func (f *shellCtl) Open(c *tree.Caller, mode uint8) (tree.Handle, error) {
	return &shellCtlHandle{f: f, c: c, text: handles.NewText(c, f.shell.statusLine)}, nil
}

// A shellCtlHandle is one open of a shellCtl. With the word attach it becomes
// an attachment: then its reads are notices.
type shellCtlHandle struct {
	f    *shellCtl
	c    *tree.Caller
	text *handles.Text // only the reading lane touches it

	// guarded by fs.mu; set once
	att *attachment
}

func (h *shellCtlHandle) attachment() *attachment {
	h.f.fs.mu.Lock()
	defer h.f.fs.mu.Unlock()
	return h.att
}

// WriteAt does the commands in p.
func (h *shellCtlHandle) WriteAt(p []byte, off int64) (int, error) {
	err := lex.Each(p, func(args []string) error { return lex.Do(h.words(), args) })
	if err != nil {
		return 0, err
	}
	if h.f.shell.counts(h.c) { // who only looks on leaves no trace
		h.f.wrote(&h.c.User)
	}
	return len(p), nil
}

// ReadStream reads the status, or the notices of an attachment.
func (h *shellCtlHandle) ReadStream(dst []tree.Piece, off int64, max int, wake func()) ([]tree.Piece, bool, error) {
	if a := h.attachment(); a != nil {
		return a.read.ReadStream(dst, off, max, wake)
	}
	return h.text.ReadStream(dst, off, max)
}

// CancelRead withdraws a read that waits.
func (h *shellCtlHandle) CancelRead() {
	if a := h.attachment(); a != nil {
		a.read.CancelRead()
	}
}

// Close ends the open, and the attachment with it.
func (h *shellCtlHandle) Close() error {
	fs := h.f.fs
	fs.mu.Lock()
	defer fs.unlock()
	_ = h.text.Close() // never fails
	if a := h.att; a != nil {
		fs.detachLocked(a, "closed")
		fs.later(func() { a.notices.Hub.Close() })
	}
	return nil
}

// words are the commands of the file. Each takes a level for the shell.
func (h *shellCtlHandle) words() []lex.Word {
	s := h.f.shell
	from := func(need tree.Level, do func(args []string) error) func(args []string) error {
		return func(args []string) error {
			if err := s.check(h.c, need); err != nil {
				return err
			}
			return do(args)
		}
	}
	const write, own = tree.LevelWrite, tree.LevelOwn
	return []lex.Word{
		lex.Command("size", "ROWS COLS", "the size: a vote if attached, else as it is to be", 2, 2, h.size),
		lex.Command("signal", "NAME", "signal the foreground of the shell", 1, 1, from(write, func(args []string) error {
			return s.signal(args[0])
		})),
		lex.Command("kill", "", "end the shell: a hangup, and a kill if that does not do", 0, 0, from(own, func([]string) error {
			return s.kill()
		})),
		lex.Command("title", "TEXT", "what the attached are to show as its title", 1, -1, from(write, func(args []string) error {
			return s.setTitle(strings.Join(args, " "))
		})),
		lex.Command("policy", strings.Join(policies, "|"), "how the size follows from the votes", 1, 1, from(own, func(args []string) error {
			return s.setPolicy(args[0])
		})),
		lex.Command("attach", "rw|ro ROWS COLS [TERM]", "make this open an attachment", 3, 4, h.attach),
		lex.Command("detach", "[ID|all|others]", "end this attachment, or others", 0, 1, h.detach),
	}
}

// size is the word: a vote takes what typing takes. Who only looks on says what
// its own terminal can show, which moves nobody.
func (h *shellCtlHandle) size(args []string) error {
	rows, cols, err := parseSides(args[0], args[1])
	if err != nil {
		return err
	}
	s, a := h.f.shell, h.attachment()
	if a == nil {
		err = s.check(h.c, tree.LevelWrite)
	}
	if err != nil {
		return err
	}
	return s.size(a, rows, cols)
}

// detach is the word: everybody may go, and the owner may send others away.
func (h *shellCtlHandle) detach(args []string) error {
	if len(args) > 0 {
		if err := h.f.shell.check(h.c, tree.LevelOwn); err != nil {
			return err
		}
	}
	return h.f.shell.detach(h.c, h.attachment(), args)
}

func (h *shellCtlHandle) attach(args []string) error {
	if args[0] != "rw" && args[0] != "ro" {
		return lex.Malformed("%q is neither rw nor ro", lex.Clip(args[0]))
	}
	rows, cols, err := parseSides(args[1], args[2])
	if err != nil {
		return err
	}
	write, asks := args[0] == "rw", ""
	if write {
		if err := h.f.shell.check(h.c, tree.LevelWrite); err != nil {
			write = false
			if asks = h.f.shell.asking(h.c); asks == "" {
				return fmt.Errorf("attach: %w", err)
			}
		}
	}
	if h.attachment() != nil {
		return errors.New("attach: attached already: open ctl again")
	}
	a, err := h.f.shell.attach(h.c, write, asks, rows, cols)
	if err != nil {
		return fmt.Errorf("attach: %w", err)
	}
	h.f.fs.mu.Lock()
	defer h.f.fs.mu.Unlock()
	h.att = a
	return nil
}

// setTitle is the word of the file.
func (s *shell) setTitle(title string) error {
	if err := checkText(title); err != nil {
		return err
	}
	s.fs.mu.Lock()
	defer s.fs.unlockDone()
	if s.title == title {
		return nil
	}
	s.title = title
	for _, a := range s.attached {
		a.sayLocked("title " + title)
	}
	return nil
}
