package p9

import (
	"encoding/binary"
	"fmt"

	"hubfs/internal/wire"
	"hubfs/tree"
)

// A listing is a directory as it was when it was read from the start: what
// comes or goes meanwhile neither repeats nor hides an entry. It belongs to the
// reader goroutine.
type listing struct {
	read bool   // it was read from the start
	next uint64 // the only offset at which it can be read on
	rest []byte // the entries from there on
	kept int    // bytes of rest that are counted in conn.kept

	charged int // likewise to the user's account
}

func (l *listing) size() int { return l.kept }

// readDir returns as many whole entries as fit count bytes (read(5)). The
// bytes are not changed any more.
func (c *conn) readDir(f *fid, off uint64, count int) ([]byte, error) {
	l := &f.listing
	switch {
	case off == 0:
		if err := c.list(f); err != nil {
			return nil, err
		}
	case !l.read || off != l.next:
		return nil, errDirOffset
	}
	n := 0
	for n < len(l.rest) {
		entry := 2 + int(binary.LittleEndian.Uint16(l.rest[n:]))
		if n+entry > count {
			break
		}
		n += entry
	}
	if n == 0 && len(l.rest) > 0 {
		return nil, errDirCount // nothing would look like the end
	}
	data := l.rest[:n:n]
	l.rest = l.rest[n:]
	l.next = off + uint64(n)
	if len(l.rest) == 0 {
		c.keep(l, nil)
	}
	return data, nil
}

// list takes the listing anew.
func (c *conn) list(f *fid) error {
	l := &f.listing
	l.read = false
	c.keep(l, nil)
	infos, err := f.at.node.(tree.Dir).List(f.caller)
	if err != nil {
		return err
	}
	var entries []byte
	for _, info := range infos {
		s := stat(info)
		if entries, err = wire.AppendStat(entries, &s); err != nil {
			return err
		}
	}
	if err := c.keep(l, entries); err != nil {
		return err
	}
	l.read = true
	return nil
}

// keep has a listing hold some entries, if the limit allows.
func (c *conn) keep(l *listing, entries []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept -= l.kept
	c.account.credit(l.charged)
	l.kept, l.charged, l.rest = 0, 0, nil
	if c.kept+len(entries) > c.lim.Kept {
		return limitError("too many bytes of listings", c.lim.Kept)
	}
	if err := c.account.afford(len(entries)); err != nil {
		return err
	}
	c.kept += len(entries)
	l.charged = c.account.charge(len(entries))
	l.kept, l.rest = len(entries), entries
	return nil
}

// limitError says which limit was reached.
func limitError(what string, limit int) error {
	return fmt.Errorf("%s (%d): %w", what, limit, tree.ErrLimit)
}
