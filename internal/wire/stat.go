package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/Harvey-OS/ninep/protocol"
)

// AppendStat appends one stat, as a read of a directory holds them.
func AppendStat(dst []byte, s *Stat) ([]byte, error) {
	size, err := statSize(s)
	if err != nil {
		return dst, err
	}
	dst = slices.Grow(dst, size)
	// Over the free space of dst, as in Append.
	b := *bytes.NewBuffer(dst[len(dst):])
	protocol.Marshaldir(&b, toDir(s))
	return dst[:len(dst)+b.Len()], nil
}

// ParseStat checks and decodes the first stat in b and returns what follows
// it. An empty b is an error: ask before.
func ParseStat(b []byte) (s Stat, rest []byte, err error) {
	if len(b) < 2 {
		return Stat{}, nil, fmt.Errorf("malformed stat: %s", whyShort)
	}
	n := 2 + int(binary.LittleEndian.Uint16(b))
	p := fields{b: b}
	if p.dir(); p.why != "" {
		return Stat{}, nil, fmt.Errorf("malformed stat: %s", p.why)
	}
	s, err = unmarshalStat(b[:n:n])
	return s, b[n:], err
}

// unmarshalStat decodes a checked stat.
func unmarshalStat(b []byte) (Stat, error) {
	d, err := protocol.Unmarshaldir(bytes.NewBuffer(b))
	if err != nil {
		return Stat{}, fmt.Errorf("decode stat: %w", err)
	}
	return Stat{
		Type: d.Type, Dev: d.Dev, Qid: fromQID(d.QID), Mode: d.Mode, Atime: d.Atime, Mtime: d.Mtime,
		Length: d.Length, Name: d.Name, UID: d.User, GID: d.Group, MUID: d.ModUser,
	}, nil
}

// marshalStat encodes a stat that statSize has found fit.
func marshalStat(s *Stat) []byte {
	var b bytes.Buffer
	protocol.Marshaldir(&b, toDir(s))
	return b.Bytes()
}

func toDir(s *Stat) protocol.Dir {
	return protocol.Dir{
		Type: s.Type, Dev: s.Dev, QID: toQID(s.Qid), Mode: s.Mode, Atime: s.Atime, Mtime: s.Mtime,
		Length: s.Length, Name: s.Name, User: s.UID, Group: s.GID, ModUser: s.MUID,
	}
}

// statSize returns how many bytes s takes with its size field, or why it
// cannot be sent.
func statSize(s *Stat) (int, error) {
	z := sizer{n: 2 + statFixed}
	z.str("name", s.Name)
	z.str("uid", s.UID)
	z.str("gid", s.GID)
	z.str("muid", s.MUID)
	if z.err != nil {
		return 0, z.err
	}
	// The double size of Rstat and Twstat counts these bytes in 16 bits.
	if z.n > MaxStat {
		return 0, fmt.Errorf("stat of %d bytes is longer than %d", z.n, MaxStat)
	}
	return z.n, nil
}
