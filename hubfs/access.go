package hubfs

import (
	"fmt"
	"strconv"
	"strings"
	"sync"

	"hubfs/access"
	"hubfs/internal/handles"
	"hubfs/internal/lex"
	"hubfs/tree"
)

// An accessFile is /access: who may what, as grants. Reading it lists them;
// words that are written to an open change them, and what they answer is read
// on that open.
type accessFile struct{ meta }

func newAccessFile(fs *FS) *accessFile {
	f := &accessFile{}
	f.init(fs, fs.newPath(), "access", fs.cfg.Owner, 0o666)
	return f
}

// Open opens /access.
func (f *accessFile) Open(c *tree.Caller, mode uint8) (tree.Handle, error) {
	content := func() string { return f.fs.grantLines(c) }
	return &accessHandle{f: f, c: c, text: handles.NewText(c, content)}, nil
}

// An accessHandle is one open of /access.
type accessHandle struct {
	f    *accessFile
	c    *tree.Caller
	text *handles.Text // only the reading lane touches it

	mu      sync.Mutex // guards what follows
	said    bool       // a word was: reads give answers, and no list any more
	answers string     // that were not read yet
}

// maxAnswers is how many bytes of answers an open keeps for who does not read.
const maxAnswers = 64 << 10

// WriteAt does the words in p. Answers tell of those that were done, also if one
// behind them fails.
func (h *accessHandle) WriteAt(p []byte, off int64) (int, error) {
	h.mu.Lock()
	h.said = true
	full := len(h.answers) > maxAnswers
	h.mu.Unlock()
	if full {
		return 0, fmt.Errorf("access: read the answers first: %w", tree.ErrBusy)
	}
	err := lex.Each(p, func(args []string) error { return lex.Do(h.words(), args) })
	if err != nil {
		return 0, err
	}
	h.f.wrote(&h.c.User)
	return len(p), nil
}

// answer keeps a line for the reader.
func (h *accessHandle) answer(words ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answers += lex.Fields(words...) + "\n"
}

// ReadAt reads the list, or the answers; of these the offset says nothing, for
// on a mounted tree it has moved by what was written.
func (h *accessHandle) ReadAt(p []byte, off int64) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.said {
		return h.text.ReadAt(p, off)
	}
	n := copy(p, h.answers)
	h.answers = h.answers[n:]
	return n, nil
}

// Close ends the open.
func (h *accessHandle) Close() error { return h.text.Close() }

// Secret keeps the tokens of links out of traces.
func (h *accessHandle) Secret() {}

// followGrants tells the owners what becomes of grants, in the order in which
// events are.
func (fs *FS) followGrants() {
	fs.cfg.Access.Follow(func(events []access.Event) {
		fs.mu.Lock()
		defer fs.unlockDone()
		for _, e := range events {
			g := e.Grant
			switch e.What {
			case access.EventNew:
				fs.sayLocked(grantAudience(g), "access new", g.ID, g.User)
			case access.EventUse:
				fs.sayLocked(grantAudience(g), "access use", g.Parent, g.User)
			case access.EventEnd:
				fs.sayLocked(grantAudience(g), "access end", g.ID, g.User)
			}
		}
	})
}

// grantAudience are the owners of what a grant is for.
func grantAudience(g access.Grant) audience {
	paths, ok := literals(g.Patterns)
	if !ok {
		return owners()
	}
	return audience{level: tree.LevelOwn, paths: paths}
}

// literals returns the paths that patterns name, if each names one alone.
func literals(patterns []string) (paths []string, ok bool) {
	for _, p := range patterns {
		path, ok := access.IsLiteral(p)
		if !ok {
			return nil, false
		}
		paths = append(paths, path)
	}
	return paths, true
}

// grantLines is the list, for c: a line for each grant that c may revoke.
func (fs *FS) grantLines(c *tree.Caller) string {
	var b strings.Builder
	all := fs.cfg.Access.List()
	for _, g := range all {
		if fs.mayGrant(c, g, all) {
			b.WriteString(grantLine(g) + "\n")
		}
	}
	return b.String()
}

// grantLine describes a grant: ID KIND WHO ROLE PATTERNS EXPIRES USES STATE.
func grantLine(g access.Grant) string {
	expires, uses := "-", "-"
	if !g.Expires.IsZero() {
		expires = since(g.Expires)
	}
	if g.Kind == access.KindLink {
		uses = strconv.Itoa(g.Uses)
	}
	state := "open"
	switch {
	case g.Kind == access.KindLink && g.Uses == 0:
		state = "used"
	case g.Asks():
		state = "asks"
	case g.Approved:
		state = "approved"
	}
	return lex.Fields(g.ID, g.Kind, g.User, string(g.Role), strings.Join(g.Patterns, " "), expires, uses, state)
}
