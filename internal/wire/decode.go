package wire

import (
	"bytes"
	"fmt"

	"github.com/Harvey-OS/ninep/protocol"
)

// A Decoder decodes frames. Its zero value is ready; it serves one goroutine
// at a time and is there to be used again.
type Decoder struct {
	buf bytes.Buffer // what the codec reads from: always over a checked frame
}

// Decode checks a frame, of either direction, and decodes it into m, which it
// overwrites as a whole. After an error m holds no more than Type and Tag,
// and these only if the frame is long enough to have them: enough to answer.
func (d *Decoder) Decode(frame []byte, m *Msg) error {
	*m = Msg{}
	if len(frame) >= HeaderSize {
		m.Type = Type(frame[4])
		m.Tag = uint16(frame[5]) | uint16(frame[6])<<8
	}
	check := CheckT
	if m.Type%2 == 1 {
		check = CheckR
	}
	if err := check(frame); err != nil {
		return err
	}
	// The codec starts at the tag. The capacity ends with the frame, so that
	// nothing can be read beyond it and nothing appended to Data spoils what
	// lies behind.
	d.buf = *bytes.NewBuffer(frame[5:len(frame):len(frame)])
	err := d.unmarshal(m)
	d.buf = bytes.Buffer{} // keep no frame alive
	if err != nil {
		// Cannot be, for the check is stricter than the codec.
		return fmt.Errorf("decode %v: %w", m.Type, err)
	}
	return nil
}

// unmarshal hands the checked frame in d.buf to the codec.
func (d *Decoder) unmarshal(m *Msg) (err error) {
	b := &d.buf
	var (
		fid, fid2 protocol.FID
		qid       protocol.QID
		size      protocol.MaxSize
		off       protocol.Offset
		count     protocol.Count
		mode      protocol.Mode
	)
	switch m.Type {
	case Tversion:
		size, m.Version, _, err = protocol.UnmarshalTversionPkt(b)
		m.Msize = uint32(size)
	case Rversion:
		size, m.Version, _, err = protocol.UnmarshalRversionPkt(b)
		m.Msize = uint32(size)
	case Tauth:
		unmarshalTauth(b.Bytes(), m)
	case Rauth:
		unmarshalRauth(b.Bytes(), m)
	case Tattach:
		fid, fid2, m.Uname, m.Aname, _, err = protocol.UnmarshalTattachPkt(b)
		m.Fid, m.Afid = uint32(fid), uint32(fid2)
	case Rattach:
		qid, _, err = protocol.UnmarshalRattachPkt(b)
		m.Qid = fromQID(qid)
	case Rerror:
		m.Ename, _, err = protocol.UnmarshalRerrorPkt(b)
	case Tflush:
		var old protocol.Tag
		old, _, err = protocol.UnmarshalTflushPkt(b)
		m.Oldtag = uint16(old)
	case Twalk:
		fid, fid2, m.Wname, _, err = protocol.UnmarshalTwalkPkt(b)
		m.Fid, m.Newfid = uint32(fid), uint32(fid2)
	case Rwalk:
		var qids []protocol.QID
		qids, _, err = protocol.UnmarshalRwalkPkt(b)
		m.Wqid = make([]Qid, len(qids))
		for i, q := range qids {
			m.Wqid[i] = fromQID(q)
		}
	case Topen:
		fid, mode, _, err = protocol.UnmarshalTopenPkt(b)
		m.Fid, m.Mode = uint32(fid), uint8(mode)
	case Tcreate:
		var perm protocol.Perm
		fid, m.Name, perm, mode, _, err = protocol.UnmarshalTcreatePkt(b)
		m.Fid, m.Perm, m.Mode = uint32(fid), uint32(perm), uint8(mode)
	case Ropen:
		qid, size, _, err = protocol.UnmarshalRopenPkt(b)
		m.Qid, m.Iounit = fromQID(qid), uint32(size)
	case Rcreate:
		qid, size, _, err = protocol.UnmarshalRcreatePkt(b)
		m.Qid, m.Iounit = fromQID(qid), uint32(size)
	case Tread:
		// The codec's count is signed; the bits are the same.
		fid, off, count, _, err = protocol.UnmarshalTreadPkt(b)
		m.Fid, m.Offset, m.Count = uint32(fid), uint64(off), uint32(count)
	case Rread:
		m.Data, _, err = protocol.UnmarshalRreadPkt(b)
		m.Count = uint32(len(m.Data))
	case Twrite:
		fid, off, m.Data, _, err = protocol.UnmarshalTwritePkt(b)
		m.Fid, m.Offset, m.Count = uint32(fid), uint64(off), uint32(len(m.Data))
	case Rwrite:
		count, _, err = protocol.UnmarshalRwritePkt(b)
		m.Count = uint32(count)
	case Tclunk:
		fid, _, err = protocol.UnmarshalTclunkPkt(b)
		m.Fid = uint32(fid)
	case Tremove:
		fid, _, err = protocol.UnmarshalTremovePkt(b)
		m.Fid = uint32(fid)
	case Tstat:
		fid, _, err = protocol.UnmarshalTstatPkt(b)
		m.Fid = uint32(fid)
	case Rstat:
		var stat []byte
		if stat, _, err = protocol.UnmarshalRstatPkt(b); err == nil {
			m.Stat, err = unmarshalStat(stat)
		}
	case Twstat:
		var stat []byte
		if fid, stat, _, err = protocol.UnmarshalTwstatPkt(b); err == nil {
			m.Fid = uint32(fid)
			m.Stat, err = unmarshalStat(stat)
		}
	case Rflush, Rclunk, Rremove, Rwstat:
		// Nothing but the tag.
	}
	return err
}

func fromQID(q protocol.QID) Qid { return Qid{Type: q.Type, Vers: q.Version, Path: q.Path} }
func toQID(q Qid) protocol.QID   { return protocol.QID{Type: q.Type, Version: q.Vers, Path: q.Path} }
