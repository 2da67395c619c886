package p9

import (
	"strings"

	"hubfs/internal/wire"
	"hubfs/tree"
)

// A fid is the server's side of a client's handle for a file. The reader
// goroutine owns it, but for what is said to be guarded.
type fid struct {
	caller *tree.Caller // immutable
	v9fs   bool         // immutable; attached with aname v9fs
	afid   *afid        // immutable; the file of a Tauth; nil: of the tree
	at     *place

	opened  bool
	mode    uint8       // of the open
	dir     bool        // an open directory
	handle  tree.Handle // of an open file; not changed once opened
	listing listing     // of a directory
	claimed uint64      // qid.path of the one open that its file allows, or 0

	reads  lane // see lane
	writes lane

	// Linux's v9fs repeats a read until its buffer is full or it sees zero
	// bytes, so that a reader of a stream would never return. cure is the
	// read with which it would go on after a short one: that is answered
	// with zero bytes, once. Other clients may ask the same and mean it,
	// so the cure has to be asked for. Guarded by conn.mu.
	cure struct {
		off   int64
		count int // 0: nothing to cure
	}

	charged int // to the user's account; immutable once the fid is entered

	retired bool // guarded by conn.mu; no more jobs come
	closed  bool // guarded by conn.mu; somebody has begun to close it
	remove  bool // guarded by conn.mu; Tremove
	closer  *job // guarded by conn.mu; the Tclunk or Tremove to answer when it is closed
}

// A place is a node and the way to it. It is immutable and shared: the parent
// serves "..", which the tree itself does not know.
type place struct {
	node tree.Node
	up   *place // nil: the root
}

// info describes the place's node; the root is always called "/".
func (p *place) info() tree.Info {
	info := p.node.Stat()
	if p.up == nil {
		info.Name = "/"
	}
	return info
}

// qid returns the qid of a node.
func qid(info tree.Info) wire.Qid {
	const kinds = wire.QTDIR | wire.QTAPPEND | wire.QTEXCL | wire.QTAUTH
	return wire.Qid{Type: uint8(info.Mode>>24) & kinds, Vers: info.Version, Path: info.Path}
}

// newFid enters a fid in the connection's table.
func (c *conn) newFid(id uint32, f *fid) error {
	if id == wire.NoFid {
		return errUnknownFid
	}
	if _, used := c.fids[id]; used {
		return errFidInUse
	}
	if most := c.mostFids(); len(c.fids) >= most {
		return limitError("too many fids", most)
	}
	if err := c.account.afford(fidCost); err != nil {
		return err
	}
	f.charged = c.account.charge(fidCost)
	f.reads.fid = f
	f.writes.fid = f
	f.writes.writes = true
	c.fids[id] = f
	c.countFids()
	return nil
}

func (c *conn) countFids() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nfids = len(c.fids)
}

// setOpen enters an open in the fid; h is nil for a directory.
func (f *fid) setOpen(h tree.Handle, mode uint8, dir bool) {
	f.opened, f.mode, f.handle, f.dir = true, mode, h, dir
	_, f.reads.stream = h.(tree.StreamReader)
	_, f.writes.stream = h.(tree.StreamWriter)
}

// read serves Tread.
func (c *conn) read(m *wire.Msg) {
	f := c.fids[m.Fid]
	if err := f.canRead(); err != nil {
		c.error(m.Tag, err, f)
		return
	}
	count := int(min(m.Count, c.msize-wire.RreadHeaderSize))
	if f.dir {
		data, err := c.readDir(f, m.Offset, count)
		if err != nil {
			c.error(m.Tag, err, f)
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.readReplyLocked(f, m.Tag, []tree.Piece{{Data: data}}, len(data))
		return
	}
	off := fileOffset(m.Offset)
	if f.v9fs && c.cured(f, off, count) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.shortReplyLocked(wire.Rread, m.Tag, 0)
		return
	}
	j := c.newJob()
	j.tag, j.off, j.count = m.Tag, off, count
	c.submit(&f.reads, j)
}

func (f *fid) canRead() error {
	switch {
	case f == nil:
		return errUnknownFid
	case !f.opened || !tree.Readable(f.mode):
		return errBadUse
	case f.dir:
		return nil
	}
	switch f.handle.(type) {
	case tree.StreamReader, tree.Reader:
		return nil
	}
	return tree.ErrPermission
}

// write serves Twrite. The data is the callee's: freed, or given to the
// stream. If it is borrowed, it is good only until the next message is read.
func (c *conn) write(m *wire.Msg, data tree.Piece, borrowed bool) {
	f := c.fids[m.Fid]
	if err := f.canWrite(); err != nil {
		data.Free()
		c.error(m.Tag, err, f)
		return
	}
	j := c.newJob()
	j.tag, j.off, j.data, j.borrowed = m.Tag, fileOffset(m.Offset), data, borrowed
	c.submit(&f.writes, j)
}

func (f *fid) canWrite() error {
	switch {
	case f == nil:
		return errUnknownFid
	case !f.opened || !tree.Writable(f.mode):
		return errBadUse
	}
	switch f.handle.(type) {
	case tree.StreamWriter, tree.Writer:
		return nil
	}
	return tree.ErrPermission
}

// fileOffset turns an offset of the wire into one of package tree. No file
// reaches 1<<62, and sums with offsets up to there do not overflow.
func fileOffset(off uint64) int64 { return int64(min(off, 1<<62)) }

// cured reports whether a read is the one that cure is there for.
func (c *conn) cured(f *fid, off int64, count int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	hit := f.cure.count > 0 && f.cure.off == off && f.cure.count == count && f.reads.head == nil
	f.cure.count = 0
	return hit
}

// noteLocked remembers a short read of a stream for the cure.
func (f *fid) noteLocked(j *job, n int) {
	if f.v9fs && f.reads.stream {
		f.cure.off, f.cure.count = 0, 0
		if 0 < n && n < j.count {
			f.cure.off, f.cure.count = j.off+int64(n), j.count-n
		}
	}
}

// clunk serves Tclunk and Tremove: the fid is gone, whatever comes of it.
func (c *conn) clunk(m *wire.Msg) {
	f := c.fids[m.Fid]
	if f == nil {
		c.error(m.Tag, errUnknownFid, nil)
		return
	}
	delete(c.fids, m.Fid)
	c.countFids()
	f.remove = m.Type == wire.Tremove
	j := c.newJob()
	j.tag = m.Tag
	c.retire(f, j, clunked)
}

// retire takes a fid out of service. Requests that wait end as why says; when
// none is left, the fid is closed, here or by whoever runs its last job, and j
// is answered, if there is one.
func (c *conn) retire(f *fid, j *job, why cancel) {
	c.mu.Lock()
	f.retired = true
	f.closer = j
	c.closing++
	if j != nil {
		c.tags[j.tag] = j
	}
	reads := c.cancelLocked(&f.reads, why)
	writes := c.cancelLocked(&f.writes, why)
	c.mu.Unlock()
	if reads {
		c.run(&f.reads)
	}
	if writes {
		c.run(&f.writes)
	}
	c.closeIfIdle(f)
}

// closeIfIdle closes a retired fid once nothing of it runs any more.
func (c *conn) closeIfIdle(f *fid) {
	c.mu.Lock()
	due := f.retired && !f.closed && f.reads.state == idle && f.writes.state == idle
	if due {
		f.closed = true
	}
	c.mu.Unlock()
	if due {
		c.close(f)
	}
}

// close closes a fid and answers the request that asked for it.
func (c *conn) close(f *fid) {
	var err error
	defer func() {
		if v := recover(); v != nil {
			c.panicked(v)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if j := f.closer; j != nil {
			switch {
			case j.cancel == aborted:
			case err != nil:
				c.errorLocked(j.tag, err, f)
			case f.remove:
				c.shortReplyLocked(wire.Rremove, j.tag, 0)
			default:
				c.shortReplyLocked(wire.Rclunk, j.tag, 0)
			}
			c.settleLocked(j)
		}
		c.kept -= f.listing.size()
		c.account.credit(f.charged + f.listing.charged)
		c.closing--
		if c.closing == 0 && c.closed != nil {
			close(c.closed)
			c.closed = nil
		}
	}()
	if f.claimed != 0 {
		defer c.srv.release(f.claimed)
	}
	if f.handle != nil {
		err = f.handle.Close()
	}
	if f.remove || f.opened && f.mode&tree.OpenRClose != 0 {
		if rerr := remove(f); f.remove {
			err = rerr
		}
	}
}

// remove removes the node of a fid.
func remove(f *fid) error {
	if f.at.up == nil {
		return errRemoveRoot
	}
	if r, ok := f.at.node.(tree.Remover); ok {
		return r.Remove(f.caller)
	}
	return tree.ErrPermission
}

// checkName refuses what cannot be the name of a new file (open(5)).
func checkName(name string) error {
	if name == "." || name == ".." || !isElement(name) {
		return errName
	}
	return nil
}

// isElement reports whether name can be an element of a path.
func isElement(name string) bool {
	return name != "" && !strings.ContainsAny(name, "/\x00")
}
