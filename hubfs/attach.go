package hubfs

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"hubfs/hub"
	"hubfs/internal/handles"
	"hubfs/internal/lex"
	"hubfs/tree"
)

// MaxSide is how many rows or columns a terminal may have.
const MaxSide = 9999

// A policy says how the size of a shell follows from those of the terminals
// attached to it. Only attachments that may write have a vote.
type policy string

const (
	latest   policy = "latest"   // who attached or said its size last
	smallest policy = "smallest" // what all can show
	largest  policy = "largest"  // what the largest can show
	manual   policy = "manual"   // votes do not count
)

var policies = []string{string(latest), string(smallest), string(largest), string(manual)}

// An attachment is an open ctl of a shell that has written attach.
type attachment struct {
	// Immutable.
	s       *shell
	id      int
	user    string
	addr    string
	counts  bool // see shell.counts
	since   time.Time
	notices handles.Lines
	read    *handles.Cursor // on notices

	// guarded by fs.mu
	write      bool                 // rw, not ro
	asks       string               // the grant with which it asks to be rw; "": it does not
	heard      map[string]time.Time // of whom it was told that asks, by grant, and when
	rows, cols int
	over       bool // detached, or the shell has ended
}

func (a *attachment) mode() string {
	if a.write {
		return "rw"
	}
	return "ro"
}

// sayLocked queues a notice.
func (a *attachment) sayLocked(notice string) {
	a.s.fs.later(func() { a.notices.Say(notice) })
}

// endLocked queues the end of the notices.
func (a *attachment) endLocked() {
	a.over = true
	a.s.fs.later(a.notices.End)
}

// attach makes an attachment of c to s, which may have to ask for rw. One to a shell that has ended already
// is told so at once, so that who starts a short command and attaches finds
// out the same, be it early or late.
func (s *shell) attach(c *tree.Caller, write bool, asks string, rows, cols int) (*attachment, error) {
	fs := s.fs
	fs.mu.Lock()
	defer fs.unlockDone()
	if fs.closing {
		return nil, errClosing
	}
	if fs.attached >= fs.cfg.MaxAttachments {
		return nil, fmt.Errorf("the server has %d attachments, %d may be: %w", fs.attached, fs.cfg.MaxAttachments, tree.ErrLimit)
	}
	if c.Rights != nil && fs.attachedByLocked(c.User) >= guestMost(fs.cfg.MaxAttachments, 1) {
		return nil, fmt.Errorf("%s has %d attachments, no more may be: %w", c.User, fs.attachedByLocked(c.User), tree.ErrLimit)
	}
	s.lastID++
	a := &attachment{
		s: s, id: s.lastID, user: c.User, addr: c.Addr, counts: s.counts(c), write: write,
		since: time.Now(), notices: handles.NewLines(), rows: rows, cols: cols,
	}
	a.read = a.notices.Reader(hub.FromOldest, "")
	if s.state == exited {
		a.sayLocked(sizeNotice(s.rows, s.cols))
		a.sayLocked(s.status.String())
		a.endLocked()
		s.seen = s.seen || a.counts
		fs.changedLocked()
		return a, nil
	}
	fs.attached++
	s.attached = append(s.attached, a)
	s.sayLocked("client attach", a.user)
	if asks != "" {
		s.askLocked(a, asks)
	}
	s.questionsLocked(a)
	s.voteLocked(a)
	if !s.settleSizeLocked() {
		a.sayLocked(sizeNotice(s.rows, s.cols)) // nobody else has to know
	}
	s.settleDriverLocked()
	if s.driver != a {
		a.sayLocked(driverNotice(false))
	}
	if s.title != "" {
		a.sayLocked("title " + s.title)
	}
	if s.state == lost {
		a.sayLocked(string(lost))
	}
	return a, nil
}

// attachedByLocked returns how many attachments a user has.
func (fs *FS) attachedByLocked(user string) (n int) {
	for _, s := range fs.byName {
		for _, a := range s.attached {
			if a.user == user {
				n++
			}
		}
	}
	return n
}

func sizeNotice(rows, cols int) string { return fmt.Sprintf("size %d %d", rows, cols) }

func driverNotice(yes bool) string {
	if yes {
		return "driver yes"
	}
	return "driver no"
}

// voteLocked makes a's the latest vote, if it has one.
func (s *shell) voteLocked(a *attachment) {
	if a.write {
		i := slices.Index(s.attached, a)
		s.attached = append(slices.Delete(s.attached, i, i+1), a)
		s.forced = false
	}
}

// votersLocked returns the attachments that have a vote, the latest last.
func (s *shell) votersLocked() []*attachment {
	var voters []*attachment
	for _, a := range s.attached {
		if a.write {
			voters = append(voters, a)
		}
	}
	return voters
}

// settleSizeLocked makes the size follow from the votes, and reports whether
// it is a new one. Without voters it stays.
func (s *shell) settleSizeLocked() bool {
	voters := s.votersLocked()
	if len(voters) == 0 || s.policy == manual || s.forced {
		return false
	}
	return s.setSizeLocked(s.policy.size(voters))
}

// settleDriverLocked makes the driver follow from who is attached: it is the
// one that voted last.
func (s *shell) settleDriverLocked() {
	var driver *attachment
	if voters := s.votersLocked(); len(voters) > 0 {
		driver = voters[len(voters)-1]
	}
	if driver == s.driver {
		return
	}
	if s.driver != nil && !s.driver.over {
		s.driver.sayLocked(driverNotice(false))
	}
	if s.driver = driver; driver != nil {
		driver.sayLocked(driverNotice(true))
	}
}

// size returns the size that the policy makes of the votes, of which there is
// at least one.
func (p policy) size(voters []*attachment) (rows, cols int) {
	last := voters[len(voters)-1]
	rows, cols = last.rows, last.cols
	for _, a := range voters {
		switch p {
		case smallest:
			rows, cols = min(rows, a.rows), min(cols, a.cols)
		case largest:
			rows, cols = max(rows, a.rows), max(cols, a.cols)
		}
	}
	return rows, cols
}

// setSizeLocked sets the size, and tells the process and the attached if it is
// a new one. A shell on pipes has none.
func (s *shell) setSizeLocked(rows, cols int) (isNew bool) {
	if s.pipe || rows == s.rows && cols == s.cols {
		return false
	}
	s.rows, s.cols = rows, cols
	s.resizeLocked()
	for _, a := range s.attached {
		a.sayLocked(sizeNotice(rows, cols))
	}
	return true
}

// resizeLocked tells the process its size. One that is only starting gets it
// when it is there.
func (s *shell) resizeLocked() {
	rows, cols := s.rows, s.cols
	switch p := s.proc; {
	case s.hosted:
		s.tellHostLocked(sizeNotice(rows, cols))
	case p != nil:
		s.fs.later(func() {
			if err := p.Resize(rows, cols); err != nil {
				s.fs.log.Warn("size of a shell", "shell", s.name, "err", err)
			}
		})
	}
}

// size is the word of the shell's ctl, said by an attachment or by nobody.
func (s *shell) size(a *attachment, rows, cols int) error {
	s.fs.mu.Lock()
	defer s.fs.unlockDone()
	if err := s.endedLocked(); err != nil {
		return err
	}
	if a == nil {
		if s.pipe {
			return fmt.Errorf("shell %s is on pipes and has no size: %w", s.name, tree.ErrInvalid)
		}
		s.forced = true
		s.setSizeLocked(rows, cols)
		return nil
	}
	if a.over {
		return errDetached
	}
	a.rows, a.cols = rows, cols
	s.voteLocked(a)
	s.settleSizeLocked()
	s.settleDriverLocked()
	return nil
}

var errDetached = fmt.Errorf("no longer attached: open ctl again")

// detachLocked ends an attachment, with the reason for it.
func (fs *FS) detachLocked(a *attachment, reason string) {
	s := a.s
	i := slices.Index(s.attached, a)
	if i < 0 {
		return
	}
	s.attached = slices.Delete(s.attached, i, i+1)
	fs.attached--
	if !a.over {
		a.sayLocked("detach " + reason)
		a.endLocked()
	}
	s.sayLocked("client detach", a.user)
	if s.state != exited {
		s.settleSizeLocked()
		s.settleDriverLocked()
	}
}

// detach is the word of the shell's ctl. a is who says it, nil if it is not
// attached.
func (s *shell) detach(c *tree.Caller, a *attachment, args []string) error {
	s.fs.mu.Lock()
	defer s.fs.unlockDone()
	if len(args) == 0 {
		if a == nil {
			return lex.Malformed("not attached, so say whom")
		}
		s.fs.detachLocked(a, "asked for")
		return nil
	}
	chosen := func(*attachment) bool { return true }
	switch who := args[0]; who {
	case "all":
	case "others":
		chosen = func(b *attachment) bool { return b != a }
	default:
		id, err := strconv.Atoi(who)
		if err != nil {
			return lex.Malformed("%q is no ID", lex.Clip(who))
		}
		chosen = func(b *attachment) bool { return b.id == id }
		if !slices.ContainsFunc(s.attached, chosen) {
			return fmt.Errorf("detach: shell %s has no client %d: %w", s.name, id, tree.ErrNotExist)
		}
	}
	for _, b := range slices.Clone(s.attached) {
		if chosen(b) {
			s.fs.detachLocked(b, "by "+lex.Field(c.User))
		}
	}
	return nil
}

// setPolicy is the word of the shell's ctl.
func (s *shell) setPolicy(p string) error {
	if !slices.Contains(policies, p) {
		return lex.Malformed("no policy %q", lex.Clip(p))
	}
	s.fs.mu.Lock()
	defer s.fs.unlockDone()
	s.policy = policy(p)
	s.forced = false
	s.settleSizeLocked()
	return nil
}

// clients is the file, for c: a line for each attachment. Where others are is for
// who owns the server.
func (s *shell) clients(c *tree.Caller) string {
	s.fs.mu.Lock()
	defer s.fs.mu.Unlock()
	byID := slices.SortedFunc(slices.Values(s.attached), func(a, b *attachment) int { return a.id - b.id })
	var b strings.Builder
	for _, a := range byID {
		addr := hidden
		if mayAll(c, tree.LevelOwn) || a.user == c.User && a.addr == c.Addr {
			addr = lex.Field(a.addr)
		}
		fmt.Fprintf(&b, "%d %s %s %s %d %d %s\n", a.id, lex.Field(a.user), addr, a.mode(),
			a.rows, a.cols, since(a.since))
	}
	return b.String()
}

// since says a time in the files of the tree.
func since(t time.Time) string { return t.UTC().Format(time.RFC3339) }
