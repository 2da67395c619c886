package wire

import (
	"fmt"
	"strings"
)

// String returns the message on one line, for traces and transcripts: its
// name, its tag, and its fields by the names the manual gives them.
func (m *Msg) String() string {
	s := fmt.Sprintf("%v tag %s", m.Type, noTag(m.Tag))
	switch m.Type {
	case Tversion, Rversion:
		s += fmt.Sprintf(" msize %d version %q", m.Msize, m.Version)
	case Tauth:
		s += fmt.Sprintf(" afid %s uname %q aname %q", noFid(m.Afid), m.Uname, m.Aname)
	case Tattach:
		s += fmt.Sprintf(" fid %s afid %s uname %q aname %q", noFid(m.Fid), noFid(m.Afid), m.Uname, m.Aname)
	case Rauth, Rattach:
		s += fmt.Sprintf(" qid %v", m.Qid)
	case Rerror:
		s += fmt.Sprintf(" ename %q", m.Ename)
	case Tflush:
		s += fmt.Sprintf(" oldtag %s", noTag(m.Oldtag))
	case Twalk:
		s += fmt.Sprintf(" fid %s newfid %s wname %q", noFid(m.Fid), noFid(m.Newfid), m.Wname)
	case Rwalk:
		s += fmt.Sprintf(" wqid %v", m.Wqid)
	case Topen:
		s += fmt.Sprintf(" fid %s mode %s", noFid(m.Fid), modeString(m.Mode))
	case Tcreate:
		s += fmt.Sprintf(" fid %s name %q perm %#o mode %s", noFid(m.Fid), m.Name, m.Perm, modeString(m.Mode))
	case Ropen, Rcreate:
		s += fmt.Sprintf(" qid %v iounit %d", m.Qid, m.Iounit)
	case Tread:
		s += fmt.Sprintf(" fid %s offset %d count %d", noFid(m.Fid), m.Offset, m.Count)
	case Rread:
		s += fmt.Sprintf(" count %d %s", len(m.Data), some(m.Data))
	case Twrite:
		s += fmt.Sprintf(" fid %s offset %d count %d %s", noFid(m.Fid), m.Offset, len(m.Data), some(m.Data))
	case Rwrite:
		s += fmt.Sprintf(" count %d", m.Count)
	case Tclunk, Tremove, Tstat:
		s += fmt.Sprintf(" fid %s", noFid(m.Fid))
	case Rstat:
		s += fmt.Sprintf(" stat (%v)", &m.Stat)
	case Twstat:
		s += fmt.Sprintf(" fid %s stat (%v)", noFid(m.Fid), &m.Stat)
	}
	return s
}

// String returns the path, version and type of a qid: 0x1f.0.d.
func (q Qid) String() string {
	s := fmt.Sprintf("%#x.%d", q.Path, q.Vers)
	if q.Type == 0 {
		return s
	}
	s += "."
	for _, t := range []struct {
		bit  uint8
		name string
	}{{QTDIR, "d"}, {QTAPPEND, "a"}, {QTEXCL, "l"}, {QTAUTH, "A"}} {
		if q.Type&t.bit != 0 {
			s += t.name
		}
	}
	return s
}

// String returns the fields of a stat; in the way of Twstat, what is not to be
// touched is left out.
func (s *Stat) String() string {
	if *s == NoChange() {
		return ""
	}
	none := NoChange()
	f := []string{fmt.Sprintf("name %q uid %q gid %q muid %q", s.Name, s.UID, s.GID, s.MUID)}
	if s.Qid != none.Qid {
		f = append(f, fmt.Sprintf("qid %v", s.Qid))
	}
	if s.Mode != none.Mode {
		f = append(f, fmt.Sprintf("mode %#o", s.Mode))
	}
	if s.Atime != none.Atime {
		f = append(f, fmt.Sprintf("atime %d", s.Atime))
	}
	if s.Mtime != none.Mtime {
		f = append(f, fmt.Sprintf("mtime %d", s.Mtime))
	}
	if s.Length != none.Length {
		f = append(f, fmt.Sprintf("length %d", s.Length))
	}
	return strings.Join(f, " ")
}

func noTag(t uint16) string {
	if t == NoTag {
		return "NOTAG"
	}
	return fmt.Sprint(t)
}

func noFid(f uint32) string {
	if f == NoFid {
		return "NOFID"
	}
	return fmt.Sprint(f)
}

func modeString(mode uint8) string {
	s := [...]string{"OREAD", "OWRITE", "ORDWR", "OEXEC"}[mode&3]
	if mode&OTRUNC != 0 {
		s += "|OTRUNC"
	}
	if mode&ORCLOSE != 0 {
		s += "|ORCLOSE"
	}
	if rest := mode &^ (3 | OTRUNC | ORCLOSE); rest != 0 {
		s += fmt.Sprintf("|%#x", rest)
	}
	return s
}

// some quotes the beginning of data.
func some(b []byte) string {
	const most = 64
	if len(b) > most {
		return fmt.Sprintf("%q…", b[:most])
	}
	return fmt.Sprintf("%q", b)
}
