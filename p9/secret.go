package p9

import (
	"bytes"

	"hubfs/internal/wire"
	"hubfs/tree"
)

// shown returns a request as a trace may show it: without tokens, and without
// what is written to a tree.Secret.
func (c *conn) shown(m *wire.Msg) *wire.Msg {
	s := *m
	switch m.Type {
	case wire.Tauth, wire.Tattach:
		s.Aname = aname(m.Aname).shown()
	case wire.Twrite:
		if f := c.fids[m.Fid]; f == nil || f.secret() {
			s.Data = hidden(len(m.Data)) // to no fid of ours: perhaps a token, gone astray
		}
	}
	return &s
}

// secret reports whether nobody but the peer shall see a fid's bytes.
func (f *fid) secret() bool {
	_, ok := f.handle.(tree.Secret)
	return ok
}

// hidden stands for n bytes in a trace.
func hidden(n int) []byte { return bytes.Repeat([]byte{'*'}, n) }
