package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/Harvey-OS/ninep/protocol"
)

// Append appends the frame of m to dst. It refuses what could not be read
// back: an unknown type, a string that is too long or not valid, more than 16
// elements in a walk, a message above MaxMsize. The text of an Rerror is
// repaired and cut instead, so an Rerror never fails.
func Append(dst []byte, m *Msg) ([]byte, error) {
	var ename string
	if m.Type == Rerror {
		ename = cleanEname(m.Ename)
	}
	size, err := frameSize(m, ename)
	if err != nil {
		return dst, err
	}
	// The codec empties its buffer and writes from the start; over the free
	// space of dst, which is large enough, it so appends to dst in place.
	dst = slices.Grow(dst, size)
	b := *bytes.NewBuffer(dst[len(dst):])
	marshal(&b, m, ename, size)
	if b.Len() != size {
		return dst, fmt.Errorf("encode %v: %d bytes written, %d expected", m.Type, b.Len(), size)
	}
	return dst[:len(dst)+size], nil
}

// marshal has the codec write m, which frameSize has found fit.
func marshal(b *bytes.Buffer, m *Msg, ename string, size int) {
	var (
		tag  = protocol.Tag(m.Tag)
		fid  = protocol.FID(m.Fid)
		off  = protocol.Offset(m.Offset)
		cnt  = protocol.Count(m.Count)
		mode = protocol.Mode(m.Mode)
		unit = protocol.MaxSize(m.Iounit)
	)
	switch m.Type {
	case Tversion:
		protocol.MarshalTversionPkt(b, tag, protocol.MaxSize(m.Msize), m.Version)
	case Rversion:
		protocol.MarshalRversionPkt(b, tag, protocol.MaxSize(m.Msize), m.Version)
	case Tauth:
		marshalTauth(b, m, size)
	case Rauth:
		marshalRauth(b, m, size)
	case Tattach:
		protocol.MarshalTattachPkt(b, tag, fid, protocol.FID(m.Afid), m.Uname, m.Aname)
	case Rattach:
		protocol.MarshalRattachPkt(b, tag, toQID(m.Qid))
	case Rerror:
		protocol.MarshalRerrorPkt(b, tag, ename)
	case Tflush:
		protocol.MarshalTflushPkt(b, tag, protocol.Tag(m.Oldtag))
	case Rflush:
		protocol.MarshalRflushPkt(b, tag)
	case Twalk:
		protocol.MarshalTwalkPkt(b, tag, fid, protocol.FID(m.Newfid), m.Wname)
	case Rwalk:
		var qids [MaxWalk]protocol.QID
		for i, q := range m.Wqid {
			qids[i] = toQID(q)
		}
		protocol.MarshalRwalkPkt(b, tag, qids[:len(m.Wqid)])
	case Topen:
		protocol.MarshalTopenPkt(b, tag, fid, mode)
	case Ropen:
		protocol.MarshalRopenPkt(b, tag, toQID(m.Qid), unit)
	case Tcreate:
		protocol.MarshalTcreatePkt(b, tag, fid, m.Name, protocol.Perm(m.Perm), mode)
	case Rcreate:
		protocol.MarshalRcreatePkt(b, tag, toQID(m.Qid), unit)
	case Tread:
		protocol.MarshalTreadPkt(b, tag, fid, off, cnt)
	case Rread:
		protocol.MarshalRreadPkt(b, tag, m.Data)
	case Twrite:
		protocol.MarshalTwritePkt(b, tag, fid, off, m.Data)
	case Rwrite:
		protocol.MarshalRwritePkt(b, tag, cnt)
	case Tclunk:
		protocol.MarshalTclunkPkt(b, tag, fid)
	case Rclunk:
		protocol.MarshalRclunkPkt(b, tag)
	case Tremove:
		protocol.MarshalTremovePkt(b, tag, fid)
	case Rremove:
		protocol.MarshalRremovePkt(b, tag)
	case Tstat:
		protocol.MarshalTstatPkt(b, tag, fid)
	case Rstat:
		protocol.MarshalRstatPkt(b, tag, marshalStat(&m.Stat))
	case Twstat:
		protocol.MarshalTwstatPkt(b, tag, fid, marshalStat(&m.Stat))
	case Rwstat:
		protocol.MarshalRwstatPkt(b, tag)
	}
}

// AppendRreadHeader appends the first eleven bytes of an Rread whose n bytes
// of data will follow from elsewhere.
func AppendRreadHeader(dst []byte, tag uint16, n int) []byte {
	le := binary.LittleEndian
	dst = le.AppendUint32(dst, uint32(RreadHeaderSize+n))
	dst = append(dst, byte(Rread))
	dst = le.AppendUint16(dst, tag)
	return le.AppendUint32(dst, uint32(n))
}

// AppendTwriteHeader appends the first 23 bytes of a Twrite whose n bytes of
// data will follow from elsewhere.
func AppendTwriteHeader(dst []byte, tag uint16, fid uint32, off uint64, n int) []byte {
	le := binary.LittleEndian
	dst = le.AppendUint32(dst, uint32(TwriteHeaderSize+n))
	dst = append(dst, byte(Twrite))
	dst = le.AppendUint16(dst, tag)
	dst = le.AppendUint32(dst, fid)
	dst = le.AppendUint64(dst, off)
	return le.AppendUint32(dst, uint32(n))
}

// A sizer adds up the size of a message and keeps the first thing wrong.
type sizer struct {
	n   int
	err error
}

func (s *sizer) add(n int) { s.n += n }

func (s *sizer) str(field, v string) {
	if s.err == nil {
		s.err = checkString(field, v)
	}
	s.n += 2 + len(v)
}

// frameSize returns how many bytes the frame of m takes, or why there is none.
func frameSize(m *Msg, ename string) (int, error) {
	s := sizer{n: HeaderSize}
	switch m.Type {
	case Tversion, Rversion:
		s.add(4)
		s.str("version", m.Version)
	case Tauth:
		s.add(4)
		s.str("uname", m.Uname)
		s.str("aname", m.Aname)
	case Tattach:
		s.add(4 + 4)
		s.str("uname", m.Uname)
		s.str("aname", m.Aname)
	case Rauth, Rattach:
		s.add(qidSize)
	case Rerror:
		s.add(2 + len(ename))
	case Tflush:
		s.add(2)
	case Twalk:
		s.add(4 + 4 + 2)
		if len(m.Wname) > MaxWalk {
			return 0, fmt.Errorf("encode %v: %s", m.Type, whyNames)
		}
		for _, name := range m.Wname {
			s.str("name", name)
		}
	case Rwalk:
		if len(m.Wqid) > MaxWalk {
			return 0, fmt.Errorf("encode %v: %s", m.Type, whyNames)
		}
		s.add(2 + qidSize*len(m.Wqid))
	case Topen:
		s.add(4 + 1)
	case Ropen, Rcreate:
		s.add(qidSize + 4)
	case Tcreate:
		s.add(4)
		s.str("name", m.Name)
		s.add(4 + 1)
	case Tread:
		s.add(4 + 8 + 4)
	case Rread:
		s.add(4 + len(m.Data))
	case Twrite:
		s.add(4 + 8 + 4 + len(m.Data))
	case Rwrite, Tclunk, Tremove, Tstat:
		s.add(4)
	case Rstat, Twstat:
		n, err := statSize(&m.Stat)
		if err != nil {
			return 0, fmt.Errorf("encode %v: %w", m.Type, err)
		}
		s.add(2 + n)
		if m.Type == Twstat {
			s.add(4)
		}
	case Rflush, Rclunk, Rremove, Rwstat:
	default:
		return 0, fmt.Errorf("encode: %v is not a message", m.Type)
	}
	if s.err != nil {
		return 0, fmt.Errorf("encode %v: %w", m.Type, s.err)
	}
	if s.n > MaxMsize {
		return 0, fmt.Errorf("encode %v: message of %d bytes is longer than %d", m.Type, s.n, MaxMsize)
	}
	return s.n, nil
}

// checkString reports why v cannot be sent as a string.
func checkString(field, v string) error {
	if len(v) > 1<<16-1 {
		return fmt.Errorf("%s of %d bytes is too long", field, len(v))
	}
	if !utf8.ValidString(v) || strings.IndexByte(v, 0) >= 0 {
		return fmt.Errorf("%s %.64q is not UTF-8, or holds a NUL", field, v)
	}
	return nil
}

// cleanEname makes of any text one that an Rerror can carry: at most MaxEname
// bytes, cut between characters.
func cleanEname(s string) string {
	const bad = "\uFFFD"
	s = strings.ReplaceAll(strings.ToValidUTF8(s, bad), "\x00", bad)
	if len(s) <= MaxEname {
		return s
	}
	n := MaxEname
	for !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
