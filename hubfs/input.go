package hubfs

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"hubfs/hub"
	"hubfs/tree"
)

// inputPrefix begins the names of a shell's keyed inputs, in its directory.
const inputPrefix = "input@"

// maxInputs is how many keys a shell knows. Those that nobody has open are
// forgotten, the oldest first, when there are more.
const maxInputs = 1024

// isInputKey says what a key may be: too long to be guessed.
var isInputKey = regexp.MustCompile(`^[A-Za-z0-9_-]{16,64}$`).MatchString

// An inputKey is what one user types into a shell under a key of its own
// choice: a sequence in the shell's stdin.
type inputKey struct {
	path uint64 // immutable; qid.path
	user string // immutable; who made it
	seq  *hub.Sequence

	// guarded by fs.mu
	opens int
	used  uint64 // when it was closed last, in closes of the shell's inputs
}

// An inputFile is /shell/NAME/input@KEY, in the hands of one who looked for
// it. The key is made when it is opened; that it is looked for changes nothing.
type inputFile struct {
	shell *shell
	key   string
	user  string
	path  uint64 // if the key is not there yet
}

// input finds the keyed input of this name.
func (s *shell) input(c *tree.Caller, name string) (tree.Node, error) {
	key := strings.TrimPrefix(name, inputPrefix)
	if !s.fs.sees(c, s.note) {
		return nil, tree.ErrNotExist // whatever the key
	}
	if !isInputKey(key) {
		return nil, fmt.Errorf("a key has 16 to 64 letters, digits, - or _: %w", tree.ErrNotExist)
	}
	return &inputFile{shell: s, key: key, user: c.User, path: s.fs.newPath()}, nil
}

// Stat describes the input. Its length is how many bytes were taken under the
// key.
func (f *inputFile) Stat() tree.Info {
	s := f.shell
	s.fs.mu.Lock()
	defer s.fs.mu.Unlock()
	info := s.stdin.infoLocked()
	info.Name, info.Path, info.Mode = inputPrefix+f.key, f.path, 0o200
	info.UID, info.GID, info.MUID = f.user, f.user, f.user
	if k := s.inputs[f.key]; k != nil {
		info.Path, info.UID, info.GID, info.MUID = k.path, k.user, k.user, k.user
		info.Length = k.seq.Len()
	}
	return info
}

// Open opens the input for writing, as its stdin is opened.
func (f *inputFile) Open(c *tree.Caller, mode uint8) (tree.Handle, error) {
	if tree.Readable(mode) {
		return nil, tree.ErrPermission
	}
	s := f.shell
	s.fs.mu.Lock()
	defer s.fs.mu.Unlock()
	switch {
	case !s.stdin.linked:
		return nil, fmt.Errorf("shell %s was removed: %w", s.name, tree.ErrNotExist)
	case !s.stdin.infoLocked().Allows(c, tree.PermWrite):
		return nil, tree.ErrPermission
	}
	k, err := s.inputLocked(f, c)
	if err != nil {
		return nil, err
	}
	k.opens++
	s.stdin.countOpenLocked(1)
	return &inputHandle{
		hubHandle: &hubHandle{f: s.stdin, user: c.User, w: k.seq.NewWriter()},
		shell:     s, key: k,
	}, nil
}

// inputLocked finds the key for a user, or makes it.
func (s *shell) inputLocked(f *inputFile, c *tree.Caller) (*inputKey, error) {
	k := s.inputs[f.key]
	switch {
	case k == nil:
	case k.user != c.User:
		return nil, tree.ErrPermission
	default:
		return k, nil
	}
	if err := s.inputRoomLocked(c); err != nil {
		return nil, err
	}
	if s.inputs == nil {
		s.inputs = map[string]*inputKey{}
	}
	k = &inputKey{path: f.path, user: c.User, seq: s.stdin.hub.NewSequence()}
	s.inputs[f.key] = k
	return k, nil
}

// inputRoomLocked makes room for one more key of c. A guest who has many makes
// it among its own, so that nobody else who is away is forgotten for them.
func (s *shell) inputRoomLocked(c *tree.Caller) error {
	have, most, whose := len(s.inputs), maxInputs, ""
	if c.Rights != nil {
		mine := 0
		for _, k := range s.inputs {
			if k.user == c.User {
				mine++
			}
		}
		if mine >= maxInputs/guestShare {
			have, most, whose = mine, maxInputs/guestShare, c.User
		}
	}
	if have < most {
		return nil
	}
	oldest := ""
	for name, k := range s.inputs {
		if k.opens == 0 && (whose == "" || k.user == whose) && (oldest == "" || k.used < s.inputs[oldest].used) {
			oldest = name
		}
	}
	if oldest == "" {
		return fmt.Errorf("%d inputs of shell %s are open, no more may be: %w", most, s.name, tree.ErrLimit)
	}
	delete(s.inputs, oldest)
	return nil
}

// An inputHandle is one open of a keyed input. The offset of a write is that
// among the bytes under the key.
type inputHandle struct {
	*hubHandle
	shell *shell
	key   *inputKey
}

// WriteStream types p, but for what was typed already.
func (h *inputHandle) WriteStream(p tree.Piece, off int64, wake func()) (int, bool, error) {
	n, ready, err := h.write(p, off, wake)
	var gap *hub.GapError
	if errors.As(err, &gap) {
		return 0, false, fmt.Errorf("gap: input ends at %d", gap.Next)
	}
	return n, ready, h.f.errorText(err)
}

// Secret says that its bytes are: people type passwords.
func (h *inputHandle) Secret() {}

// Close ends the open. The key stays, for who comes back.
func (h *inputHandle) Close() error {
	h.shell.fs.mu.Lock()
	h.key.opens--
	h.shell.inputCloses++
	h.key.used = h.shell.inputCloses
	h.shell.fs.mu.Unlock()
	return h.hubHandle.Close()
}
