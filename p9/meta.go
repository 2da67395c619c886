package p9

import (
	"math"
	"time"

	"hubfs/internal/wire"
	"hubfs/tree"
)

// attach serves Tattach: a fid for the root, for a user.
func (c *conn) attach(m, r *wire.Msg) error {
	name := aname(m.Aname)
	peer, err := c.attacher(m, name)
	if err != nil {
		return err
	}
	user := peer.User
	if user == "" {
		user = m.Uname
	}
	if user == "" {
		user = "none"
	}
	f := &fid{
		caller: &tree.Caller{User: user, Addr: peer.Addr, Aname: name.shown(), Conn: c.id, Admin: peer.Admin, Rights: peer.Rights},
		v9fs:   name.v9fs(),
		at:     &place{node: c.srv.Root},
	}
	if err := c.welcome(peer); err != nil {
		return err
	}
	if a := c.account; a != nil {
		f.caller.Hold = a.hold
	}
	if err := c.newFid(m.Fid, f); err != nil {
		return err
	}
	c.mu.Lock()
	if c.user == "" {
		c.user = user
	}
	c.mu.Unlock()
	r.Qid = qid(f.at.info())
	return nil
}

// walk serves Twalk. Only a walk that gets to its end makes newfid, or moves
// fid (walk(5)).
func (c *conn) walk(f *fid, m, r *wire.Msg) error {
	if f.opened {
		return errBadUse
	}
	if m.Newfid != m.Fid {
		if _, used := c.fids[m.Newfid]; used {
			return errFidInUse
		}
	}
	at := f.at
	for i, name := range m.Wname {
		next, err := step(f.caller, at, name)
		if err != nil && i == 0 {
			return err
		}
		if err != nil {
			return nil // the qids tell how far it went
		}
		at = next
		r.Wqid = append(r.Wqid, qid(at.info()))
	}
	if m.Newfid == m.Fid {
		f.at = at
		return nil
	}
	return c.newFid(m.Newfid, &fid{caller: f.caller, v9fs: f.v9fs, at: at})
}

// step walks one element.
func step(caller *tree.Caller, at *place, name string) (*place, error) {
	dir, ok := at.node.(tree.Dir)
	if !ok {
		return nil, tree.ErrNotDir
	}
	if name == "." || !isElement(name) {
		return nil, errElement // "." is never on the wire
	}
	if name == ".." {
		if at.up == nil {
			return at, nil
		}
		return at.up, nil
	}
	if !dir.Stat().Allows(caller, tree.PermExec) {
		return nil, tree.ErrPermission
	}
	node, err := dir.Lookup(caller, name)
	if err != nil {
		return nil, err
	}
	return &place{node: node, up: at}, nil
}

const (
	modeFlags   = tree.OpenTrunc | tree.OpenRClose
	modeCloExec = 0x20 // OCEXEC: the client's own business
	permKinds   = tree.ModeDir | tree.ModeAppend | tree.ModeExclusive
	modeAuth    = wire.DMAUTH // of an afid alone
)

// cleanMode returns an open's mode without what does not concern the server.
func cleanMode(mode uint8) (uint8, error) {
	mode &^= modeCloExec
	if mode&^(3|modeFlags) != 0 {
		return 0, errMode
	}
	return mode, nil
}

// dirMode reports why a directory cannot be opened so.
func dirMode(mode uint8) error {
	if mode != tree.OpenRead && mode != tree.OpenExec {
		return tree.ErrIsDir
	}
	return nil
}

// open serves Topen. If it fails, the fid is as it was.
func (c *conn) open(f *fid, m, r *wire.Msg) error {
	if f.opened {
		return errBadUse
	}
	mode, err := cleanMode(m.Mode)
	if err != nil {
		return err
	}
	info := f.at.info()
	if info.IsDir() {
		if err := dirMode(mode); err != nil {
			return err
		}
	}
	if !info.Allows(f.caller, permFor(mode)) {
		return tree.ErrPermission
	}
	if mode&tree.OpenRClose != 0 {
		if _, ok := f.at.node.(tree.Remover); !ok {
			return tree.ErrPermission
		}
	}
	var h tree.Handle
	if !info.IsDir() {
		file, ok := f.at.node.(tree.File)
		if !ok {
			return tree.ErrPermission
		}
		if err := c.claim(f, info); err != nil {
			return err
		}
		if h, err = file.Open(f.caller, mode); err != nil {
			c.unclaim(f)
			return err
		}
		info = f.at.info() // OpenTrunc may have changed the version
	}
	f.setOpen(h, mode, info.IsDir())
	r.Qid, r.Iounit = qid(info), c.msize-wire.IOHDRSZ
	return nil
}

// create serves Tcreate: the fid of the directory becomes the new, open file.
func (c *conn) create(f *fid, m, r *wire.Msg) error {
	if f.opened {
		return errBadUse
	}
	dir := f.at.info()
	if !dir.IsDir() {
		return tree.ErrNotDir
	}
	if err := checkName(m.Name); err != nil {
		return err
	}
	mode, err := cleanMode(m.Mode)
	if err != nil {
		return err
	}
	if m.Perm&^(permKinds|tree.ModePerm) != 0 {
		return tree.ErrInvalid // links, devices and the like of the dialects
	}
	inherit := uint32(0o666)
	if m.Perm&tree.ModeDir != 0 {
		inherit = 0o777
		if err := dirMode(mode &^ tree.OpenRClose); err != nil {
			return err
		}
	}
	creator, ok := f.at.node.(tree.Creator)
	if !ok || !dir.Allows(f.caller, tree.PermWrite) {
		return tree.ErrPermission
	}
	perm := m.Perm & (^inherit | dir.Mode&inherit) // open(5)
	node, h, err := creator.Create(f.caller, m.Name, perm, mode)
	if err != nil {
		return err
	}
	f.at = &place{node: node, up: f.at}
	info := f.at.info()
	c.claim(f, info) // nobody else can have it open yet
	f.setOpen(h, mode, info.IsDir())
	r.Qid, r.Iounit = qid(info), c.msize-wire.IOHDRSZ
	return nil
}

// claim takes the only open of a ModeExclusive file.
func (c *conn) claim(f *fid, info tree.Info) error {
	if info.Mode&tree.ModeExclusive == 0 || info.IsDir() {
		return nil
	}
	if !c.srv.claim(info.Path) {
		return errExclusive
	}
	f.claimed = info.Path
	return nil
}

func (c *conn) unclaim(f *fid) {
	if f.claimed != 0 {
		c.srv.release(f.claimed)
		f.claimed = 0
	}
}

// stat serves Tstat, which needs no permission.
func (c *conn) stat(f *fid, r *wire.Msg) error {
	r.Stat = stat(f.at.info())
	return nil
}

// stat returns a node's Info as the wire has it.
func stat(info tree.Info) wire.Stat {
	return wire.Stat{
		Qid:    qid(info),
		Mode:   info.Mode & (permKinds | modeAuth | tree.ModePerm),
		Atime:  seconds(info.Atime),
		Mtime:  seconds(info.Mtime),
		Length: uint64(max(info.Length, 0)),
		Name:   info.Name,
		UID:    info.UID,
		GID:    info.GID,
		MUID:   info.MUID,
	}
}

func seconds(t time.Time) uint32 {
	return uint32(min(max(t.Unix(), 0), math.MaxUint32))
}

// wstat serves Twstat. A request that asks for no change is a sync, which
// every file is always in (stat(5)).
func (c *conn) wstat(f *fid, s *wire.Stat) error {
	ch, err := change(f.at.info(), s)
	if err != nil {
		return err
	}
	if ch == (tree.Change{}) {
		return nil
	}
	if ch.Name != nil && f.at.up == nil {
		return errWstat
	}
	changer, ok := f.at.node.(tree.Changer)
	if !ok {
		return tree.ErrPermission
	}
	return changer.Change(f.caller, ch)
}

// change returns what a Twstat asks to change of a node. What only the server
// says of a file may be repeated, but not contradicted.
func change(info tree.Info, s *wire.Stat) (ch tree.Change, err error) {
	was, none := stat(info), wire.NoChange()
	switch {
	case s.Type != none.Type && s.Type != was.Type,
		s.Dev != none.Dev && s.Dev != was.Dev,
		s.Qid.Type != none.Qid.Type && s.Qid.Type != was.Qid.Type,
		s.Qid.Vers != none.Qid.Vers && s.Qid.Vers != was.Qid.Vers,
		s.Qid.Path != none.Qid.Path && s.Qid.Path != was.Qid.Path,
		s.UID != "" && s.UID != was.UID,
		s.MUID != "" && s.MUID != was.MUID:
		return ch, errWstat
	}
	if s.Mode != none.Mode {
		if s.Mode&^(permKinds|tree.ModePerm) != 0 {
			return ch, tree.ErrInvalid
		}
		if (s.Mode^was.Mode)&tree.ModeDir != 0 {
			return ch, errWstatDir
		}
		mode := s.Mode &^ tree.ModeDir
		ch.Mode = &mode
	}
	if s.Length != none.Length {
		length := int64(s.Length)
		switch {
		case length < 0, info.IsDir() && length != 0:
			return tree.Change{}, tree.ErrInvalid
		case !info.IsDir():
			ch.Length = &length
		}
	}
	if s.Name != "" && s.Name != was.Name {
		if err := checkName(s.Name); err != nil {
			return tree.Change{}, err
		}
		name := s.Name
		ch.Name = &name
	}
	if s.GID != "" && s.GID != was.GID {
		gid := s.GID
		ch.GID = &gid
	}
	if s.Atime != none.Atime {
		t := time.Unix(int64(s.Atime), 0)
		ch.Atime = &t
	}
	if s.Mtime != none.Mtime {
		t := time.Unix(int64(s.Mtime), 0)
		ch.Mtime = &t
	}
	return ch, nil
}
