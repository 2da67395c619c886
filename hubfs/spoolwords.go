package hubfs

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"hubfs/hub/filestore"
	"hubfs/internal/lex"
	"hubfs/tree"
)

const spoolUsage = "HUB [-f always|second|never] [-k BYTES] [-a SECONDS] [DIR]"

// spoolOptions are the arguments of the word spool.
type spoolOptions struct {
	hub  string
	dir  string // "": one in the state folder
	sync *filestore.Policy
	keep *int64
	age  *time.Duration
}

// parseSpool reads the arguments.
func parseSpool(args []string) (o spoolOptions, err error) {
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		switch {
		case !strings.HasPrefix(arg, "-") && o.hub == "":
			o.hub = arg
			continue
		case !strings.HasPrefix(arg, "-") && o.dir == "":
			o.dir = arg
			continue
		case arg != "-f" && arg != "-k" && arg != "-a":
			return o, lex.Malformed("unexpected %q", lex.Clip(arg))
		case len(args) == 0:
			return o, lex.Malformed("%s wants an argument", arg)
		}
		switch arg {
		case "-f":
			p, perr := filestore.ParsePolicy(args[0])
			if perr != nil {
				return o, lex.Malformed("-f %q", lex.Clip(args[0]))
			}
			o.sync = &p
		case "-k":
			n, nerr := parseBytes(args[0])
			o.keep, err = &n, nerr
		case "-a":
			d, derr := parseSeconds(args[0])
			o.age, err = &d, derr
		}
		if err != nil {
			return o, err
		}
		args = args[1:]
	}
	if o.hub == "" {
		return o, lex.Malformed("no hub")
	}
	return o, nil
}

// parseBytes reads a number of bytes: K, M or G behind it are powers of 1024.
func parseBytes(s string) (int64, error) {
	digits, unit := s, int64(1)
	if i := strings.IndexAny(s, "kKmMgG"); i >= 0 && i == len(s)-1 {
		digits = s[:i]
		unit = 1 << (10 * (1 + strings.IndexByte("kmg", s[i]|0x20)))
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 1 || n > math.MaxInt64/unit {
		return 0, lex.Malformed("%q is not a number of bytes of 1 or more, as 65536, 64K or 1G", lex.Clip(s))
	}
	return n * unit, nil
}

// spoolWord is the word spool. It writes to the disk, and is not in a hurry.
func (fs *FS) spoolWord(c *tree.Caller, args []string) error {
	o, err := parseSpool(args)
	if err != nil {
		return err
	}
	switch {
	case o.dir != "" && !c.Admin:
		return fmt.Errorf("spool: only the server's own user may say where on its disk: %w", tree.ErrPermission)
	case o.dir != "" && !filepath.IsAbs(o.dir):
		return fmt.Errorf("spool: folder %q is not absolute, and the server is nowhere: %w", lex.Clip(o.dir), tree.ErrInvalid)
	case o.dir != "" && fs.state.holds(o.dir):
		return fmt.Errorf("spool: %q is in the server's own folder, where it gives the names itself: %w", lex.Clip(o.dir), tree.ErrInvalid)
	}
	fs.mu.Lock()
	f, sp, err := fs.spoolableLocked(c, o)
	if err == nil && sp != nil {
		sp.limitLocked(o)
		fs.unlockDone()
		return sp.saved()
	}
	if err != nil {
		fs.mu.Unlock()
		return err
	}
	f.spooling = true
	name, registered := f.pathLocked(), f.loose()
	fs.mu.Unlock()

	sp, err = fs.newSpool(f, name, registered, o)
	fs.mu.Lock()
	f.spooling = false
	if err != nil {
		fs.mu.Unlock()
		return fmt.Errorf("spool: %w", err)
	}
	f.spool = sp
	f.countSpoolLocked()
	f.sayDiskLocked("hub spool", sp.store.Dir())
	fs.later(func() { err = f.hub.Spool(sp.store) })
	if f.orphan || !f.linked { // removed meanwhile
		sp.removeLocked()
	}
	fs.unlockDone()
	if err != nil {
		fs.mu.Lock()
		if f.spool == sp {
			f.unspoolLocked(err.Error())
		}
		fs.unlockDone()
		if serr := sp.saved(); serr == nil { // else the note may still be there to be found
			sp.store.Remove()
		} else {
			sp.store.Close()
		}
		return fmt.Errorf("spool: %w", err)
	}
	return sp.saved()
}

// spoolableLocked finds the hub. If it is spooled already, and it can be that
// only the limits are to be others, it returns its spool.
func (fs *FS) spoolableLocked(c *tree.Caller, o spoolOptions) (*hubFile, *spool, error) {
	f, err := fs.hubLocked(c, o.hub, tree.LevelView)
	if err != nil {
		return nil, nil, err
	}
	if err := f.mayKeepLocked(c); err != nil {
		return nil, nil, fmt.Errorf("spool: %w", err)
	}
	sp := f.spool
	switch {
	case fs.closing:
		return nil, nil, errClosing
	case f.input:
		return nil, nil, fmt.Errorf("spool: %s is what people type, which is not kept: %w", o.hub, tree.ErrInvalid)
	case f.spooling:
		return nil, nil, fmt.Errorf("spool: %s is just being spooled: %w", o.hub, tree.ErrBusy)
	case sp != nil && (o.dir != "" || o.sync != nil && *o.sync != sp.sync):
		return nil, nil, fmt.Errorf("spool: %s is spooled already, to %s with -f %s; that stays, -k and -a may change: %w",
			o.hub, sp.store.Dir(), sp.sync, tree.ErrExist)
	case sp == nil && o.dir == "" && fs.state == nil:
		return nil, nil, fmt.Errorf("spool: the server has no folder of its own (--state), say one: %w", tree.ErrInvalid)
	}
	return f, sp, nil
}

// limitLocked changes how much is kept.
func (sp *spool) limitLocked(o spoolOptions) {
	if o.keep != nil {
		sp.keep = *o.keep
	}
	if o.age != nil {
		sp.age = *o.age
	}
	keep, age := sp.keep, sp.age
	sp.f.fs.later(func() { sp.store.SetLimits(keep, age) })
}

// newSpool makes the folder and the store in it, and registers it.
func (fs *FS) newSpool(f *hubFile, name string, registered bool, o spoolOptions) (sp *spool, err error) {
	sp = &spool{f: f, elsewhere: o.dir != ""}
	so := filestore.Options{}
	if o.sync != nil {
		so.Sync = *o.sync
	}
	if o.keep != nil {
		so.Keep = *o.keep
	}
	if o.age != nil {
		so.Age = *o.age
	}
	sp.sync, sp.keep, sp.age = so.Sync, so.Keep, so.Age

	dir := filepath.Clean(o.dir)
	if sp.elsewhere {
		if err := emptyOrNot(dir); err != nil {
			return nil, err
		}
	} else {
		fs.waitGone(entryName(name))
		entry, err := fs.state.makeDir(name)
		if err != nil {
			return nil, err
		}
		if registered {
			sp.entry = entry
		}
		dir = fs.state.path(entry)
	}
	if sp.store, err = fs.openStore(dir, so); err != nil {
		if !sp.elsewhere {
			os.Remove(dir)
		}
		return nil, err
	}
	if registered && sp.elsewhere && fs.state != nil {
		if sp.entry, err = fs.state.link(name, dir); err != nil {
			sp.store.Remove()
			return nil, err
		}
	}
	if err := sp.saved(); err != nil {
		sp.store.Remove()
		if sp.entry != "" && sp.elsewhere {
			fs.state.forget(sp.entry)
		}
		return nil, err
	}
	return sp, nil
}

// emptyOrNot wants a folder that is empty, or does not exist.
func emptyOrNot(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	case len(entries) > 0:
		return fmt.Errorf("folder %s is not empty: %w", dir, tree.ErrExist)
	}
	return nil
}

// nospool is the word nospool: the hub goes on in memory, and the files stay.
func (fs *FS) nospool(c *tree.Caller, path string) error {
	fs.mu.Lock()
	f, err := fs.hubLocked(c, path, tree.LevelView)
	if err == nil {
		err = f.mayKeepLocked(c)
	}
	if err == nil && f.spool == nil {
		err = fmt.Errorf("%s is not spooled: %w", path, tree.ErrNotExist)
	}
	if err != nil {
		fs.mu.Unlock()
		return fmt.Errorf("nospool: %w", err)
	}
	sp := f.spool
	fs.later(func() { f.hub.Unspool() })
	f.unspoolLocked()
	fs.unlockDone()
	return sp.saved()
}
