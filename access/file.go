package access

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"hubfs/internal/flock"
	"hubfs/internal/wholefile"
	"hubfs/tree"
)

const (
	fileVersion = 1
	maxID       = 1 << 53  // far from where a number ends
	maxFile     = 64 << 20 // bytes

	// lockWait is how long the first change waits for the lock of a file that
	// was not there when the store was opened.
	lockWait = 5 * time.Second
)

// A file is where a store is kept: JSON, replaced as a whole. One process has
// it at a time, by the lock of a file beside it, for the file itself is another
// one after each change.
type file struct {
	path string
	lock *os.File // nil: not locked yet
	text []byte   // what the file holds, as far as we know; nil: there is none
}

// A stored is what the file holds.
type stored struct {
	Version int           `json:"version"`
	Last    uint64        `json:"last"` // the last ID given out
	Grants  []storedGrant `json:"grants"`
	Names   []bearer      `json:"names,omitempty"`
}

type storedGrant struct {
	Grant
	Hash []byte `json:"hash,omitempty"`
}

// load reads the file, if there is one, and locks it, if there is a folder.
func (f *file) load(wait time.Duration) (*state, error) {
	err := privateFolder(filepath.Dir(f.path))
	if errors.Is(err, os.ErrNotExist) {
		return &state{}, nil
	}
	if err == nil {
		err = f.take(wait)
	}
	if err != nil {
		return nil, err
	}
	text, err := readPrivate(f.path)
	if errors.Is(err, os.ErrNotExist) {
		return &state{}, nil
	}
	if err != nil {
		return nil, err
	}
	st, err := decode(text)
	if err != nil {
		return nil, err
	}
	f.text = text
	return st, nil
}

// take takes the lock.
func (f *file) take(wait time.Duration) error {
	l, err := os.OpenFile(f.path+".lock", os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), max(wait, time.Second))
	defer cancel()
	switch err := flock.Lock(ctx, l); {
	case ctx.Err() != nil && err != nil:
		return errors.New("another server has the file")
	case err != nil:
		return fmt.Errorf("lock %s: %w", l.Name(), err)
	}
	f.lock = l
	return nil
}

// close lets another process have the file.
func (f *file) close() error {
	if f.lock == nil {
		return nil
	}
	err := f.lock.Close()
	f.lock = nil
	return err
}

// privateFolder refuses a folder in which others could put an older file in the
// place of ours, and with it what was revoked since.
func privateFolder(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() || int(st.Uid) != os.Geteuid() || info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("%s is no folder of this user's own, or others may write to it", dir)
	}
	return nil
}

// readPrivate reads a file that nobody else can read or change.
func readPrivate(path string) ([]byte, error) {
	r, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a fifo does not hold us up
	if err != nil {
		return nil, err
	}
	defer r.Close()
	info, err := r.Stat()
	if err != nil {
		return nil, err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.Mode().IsRegular():
		return nil, errors.New("it is not a plain file")
	case !ok || int(st.Uid) != os.Geteuid() || info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("it has mode %#o: expected a file of this user's own that nobody else can read (chmod 600)", info.Mode().Perm())
	}
	text, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("it is longer than %d bytes", maxFile)
	}
	return text, err
}

// decode makes a state of a file's text, and trusts nothing in it.
func decode(text []byte) (*state, error) {
	var in stored
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		return nil, fmt.Errorf("it is not as a server writes it: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("it is not as a server writes it: more follows after the end")
	}
	if in.Version != fileVersion {
		return nil, fmt.Errorf("it is of version %d, and this server knows version %d", in.Version, fileVersion)
	}
	if in.Last > maxID {
		return nil, fmt.Errorf("ID %d is more than there can be", in.Last)
	}
	st := &state{last: in.Last, names: in.Names}
	if len(in.Grants) > MaxGrants || len(in.Names) > maxNames {
		return nil, fmt.Errorf("%d grants and %d names: there may be %d and %d", len(in.Grants), len(in.Names), MaxGrants, maxNames)
	}
	var last uint64
	holder := map[string]string{} // of guests' names
	for _, sg := range in.Grants {
		g := &grant{sg.Grant, sg.Hash}
		n, err := parseID(g.ID)
		if err == nil && (n <= last || n > in.Last) {
			err = invalid("it is not in order")
		}
		if err == nil {
			err = g.check()
		}
		if err == nil && g.Kind == KindToken {
			err = invalid("it was a connection's, which is over")
		}
		if err == nil && g.Kind == KindKey {
			name := fold(g.User)
			if k, ok := holder[name]; ok && k != g.Key {
				err = invalid("another key has its name %s", g.User)
			}
			holder[name] = g.Key
		}
		if err != nil {
			return nil, fmt.Errorf("grant %.20q: %w", g.ID, err)
		}
		last = n
		st.grants = append(st.grants, g)
	}
	for _, b := range in.Names {
		if !isGuest(guestPrefix+b.Name) || len(b.Of) > 255 || !printable(b.Of) {
			return nil, fmt.Errorf("name %.40q: %w", b.Name, tree.ErrInvalid)
		}
	}
	return st, nil
}

// encode makes the text of a state, without what belongs to connections.
func encode(st *state) ([]byte, error) {
	out := stored{Version: fileVersion, Last: st.last, Grants: []storedGrant{}, Names: st.names}
	for _, g := range st.grants {
		if g.Kind != KindToken {
			out.Grants = append(out.Grants, storedGrant{g.Grant, g.hash})
		}
	}
	text, err := json.MarshalIndent(&out, "", "\t")
	return append(text, '\n'), err
}

// save writes the file if it would be another one, and returns when it is on
// the disk.
func (f *file) save(st *state) error {
	if f.text == nil && len(st.grants) == 0 {
		return nil // nothing to keep
	}
	text, err := encode(st)
	if err != nil || bytes.Equal(text, f.text) {
		return err
	}
	if err := f.prepare(); err != nil {
		return err
	}
	if err := wholefile.Replace(f.path, text); err != nil {
		return err
	}
	f.text = text
	return nil
}

// prepare makes the folder and takes the lock, if that is still to be done.
func (f *file) prepare() error {
	if f.lock != nil {
		return nil
	}
	dir := filepath.Dir(f.path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := privateFolder(dir); err != nil {
		return err
	}
	if err := f.take(lockWait); err != nil {
		return err
	}
	if _, err := os.Lstat(f.path); !errors.Is(err, os.ErrNotExist) {
		f.close()
		return fmt.Errorf("%s has come to be meanwhile, by another server", f.path)
	}
	return nil
}
