package wire_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"9fans.net/go/plan9"

	"hubfs/internal/wire"
)

// FuzzDecode holds the frame check against a strict decoder that was written
// by others: what one accepts the other must accept, with the same fields.
// There is one difference, which is deliberate: 9fans takes any bytes for a
// string, and the protocol does not (intro(5): UTF-8, no NUL).
//
// (9fans' decoder prints "bad fcall" on standard error for what it refuses.)
func FuzzDecode(f *testing.F) {
	for _, m := range messages() {
		b, err := wire.Append(nil, &m)
		if err != nil {
			f.Fatal(err)
		}
		if len(b) < 1000 {
			f.Add(b)
		}
	}
	for _, h := range hostile {
		f.Add(unhex(f, h.hex))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		compare(t, b)
		// A false size is refused at once and hides what lies behind; so try
		// the same bytes with a true one.
		if len(b) >= 4 {
			b = slices.Clone(b)
			binary.LittleEndian.PutUint32(b, uint32(len(b)))
			compare(t, b)
		}
	})
}

func compare(t *testing.T, frame []byte) {
	var d wire.Decoder
	var got wire.Msg
	err := d.Decode(frame, &got)

	want, werr := theirs(frame)
	if werr == nil && !validStrings(want) {
		if err == nil {
			t.Fatalf("a bad string was accepted: %v", &got)
		}
		return
	}
	if (err == nil) != (werr == nil) {
		t.Fatalf("%x\nours: %v\n9fans: %v", frame, err, werr)
	}
	if err != nil {
		return
	}
	if g, w := fmt.Sprintf("%#v", fromWire(&got)), fmt.Sprintf("%#v", want); g != w {
		t.Fatalf("%x\nours:  %s\n9fans: %s", frame, g, w)
	}
	// And back: what was accepted is written as it was.
	if again, err := wire.Append(nil, &got); err != nil && len(frame) <= wire.MaxMsize && got.Type != wire.Rerror {
		t.Fatalf("decoded, but not encoded again: %v", err)
	} else if err == nil && got.Type != wire.Rerror && string(again) != string(frame) {
		t.Fatalf("came in as %x\ngoes out as %x", frame, again)
	}
	if (wire.CheckT(frame) == nil) != got.Type.IsT() || (wire.CheckR(frame) == nil) != got.Type.IsR() {
		t.Fatalf("%v taken for a message of the other direction", got.Type)
	}
}

// A fields is a message in a form that both sides can be brought to.
type fields struct {
	f   plan9.Fcall
	dir plan9.Dir
}

// theirs decodes with 9fans' code, which leaves a stat's bytes alone; here
// they must be a stat, as the protocol says.
func theirs(frame []byte) (*fields, error) {
	fc, err := plan9.UnmarshalFcall(frame)
	if err != nil {
		return nil, err
	}
	r := &fields{f: *fc}
	if fc.Type == plan9.Rstat || fc.Type == plan9.Twstat {
		dir, err := plan9.UnmarshalDir(fc.Stat)
		if err != nil {
			return nil, err
		}
		r.dir, r.f.Stat = *dir, nil
	}
	r.f.Data = slices.Clip(r.f.Data)
	return r, nil
}

func validStrings(x *fields) bool {
	all := append([]string{x.f.Version, x.f.Uname, x.f.Aname, x.f.Name, x.f.Ename,
		x.dir.Name, x.dir.Uid, x.dir.Gid, x.dir.Muid}, x.f.Wname...)
	for _, s := range all {
		if !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
			return false
		}
	}
	return true
}

func fromWire(m *wire.Msg) *fields {
	x := &fields{f: plan9.Fcall{
		Type: uint8(m.Type), Tag: m.Tag, Fid: m.Fid, Newfid: m.Newfid, Afid: m.Afid, Msize: m.Msize,
		Oldtag: m.Oldtag, Mode: m.Mode, Perm: plan9.Perm(m.Perm), Iounit: m.Iounit, Offset: m.Offset,
		Version: m.Version, Uname: m.Uname, Aname: m.Aname, Name: m.Name, Ename: m.Ename,
		Wname: m.Wname, Data: m.Data,
	}}
	switch m.Type {
	case wire.Tread, wire.Rwrite:
		x.f.Count = m.Count
	case wire.Rauth:
		x.f.Aqid = fromQid(m.Qid)
	case wire.Rattach, wire.Ropen, wire.Rcreate:
		x.f.Qid = fromQid(m.Qid)
	case wire.Rwalk:
		for _, q := range m.Wqid {
			x.f.Wqid = append(x.f.Wqid, fromQid(q))
		}
	case wire.Rstat, wire.Twstat:
		s := &m.Stat
		x.dir = plan9.Dir{
			Type: s.Type, Dev: s.Dev, Qid: fromQid(s.Qid), Mode: plan9.Perm(s.Mode), Atime: s.Atime,
			Mtime: s.Mtime, Length: s.Length, Name: s.Name, Uid: s.UID, Gid: s.GID, Muid: s.MUID,
		}
	}
	return x
}

func fromQid(q wire.Qid) plan9.Qid { return plan9.Qid{Type: q.Type, Vers: q.Vers, Path: q.Path} }

// FuzzParseStat holds the check of directory entries against 9fans' decoder.
func FuzzParseStat(f *testing.F) {
	b, err := wire.AppendStat(nil, &stat)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(append(b, b...))
	f.Add(b[:len(b)-1])
	f.Fuzz(func(t *testing.T, b []byte) {
		for len(b) > 0 {
			s, rest, err := wire.ParseStat(b)
			if err != nil {
				return
			}
			n := len(b) - len(rest)
			want, werr := plan9.UnmarshalDir(b[:n])
			if werr != nil {
				t.Fatalf("%x: accepted %v, 9fans: %v", b[:n], &s, werr)
			}
			if got := fromWire(&wire.Msg{Type: wire.Rstat, Stat: s}).dir; got != *want {
				t.Fatalf("%x\nours:  %#v\n9fans: %#v", b[:n], got, *want)
			}
			again, err := wire.AppendStat(nil, &s)
			if err != nil || string(again) != string(b[:n]) {
				t.Fatalf("came in as %x, goes out as %x, %v", b[:n], again, err)
			}
			b = rest
		}
	})
}
