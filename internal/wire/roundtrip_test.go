package wire_test

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"hubfs/internal/wire"
)

var (
	qid  = wire.Qid{Type: wire.QTDIR, Vers: 0x01020304, Path: 0x05060708090a0b0c}
	stat = wire.Stat{
		Type: 1, Dev: 2, Qid: qid, Mode: wire.DMDIR | 0o755, Atime: 3, Mtime: 4,
		Length: 1 << 40, Name: "naïve", UID: "rob", GID: "", MUID: "ken",
	}
)

// messages holds one message of every type, and some at the edges.
func messages() []wire.Msg {
	long := strings.Repeat("x", 1<<16-1)
	names := make([]string, wire.MaxWalk)
	qids := make([]wire.Qid, wire.MaxWalk)
	for i := range names {
		names[i], qids[i] = strings.Repeat("n", i), qid
	}
	return []wire.Msg{
		{Type: wire.Tversion, Tag: wire.NoTag, Msize: 8192, Version: "9P2000"},
		{Type: wire.Rversion, Tag: wire.NoTag, Msize: 8192, Version: "9P2000"},
		{Type: wire.Tauth, Tag: 1, Afid: 2, Uname: "rob", Aname: "main"},
		{Type: wire.Tauth, Tag: 1, Afid: wire.NoFid},
		{Type: wire.Tauth, Tag: 1, Uname: long, Aname: long},
		{Type: wire.Rauth, Tag: 1, Qid: qid},
		{Type: wire.Tattach, Tag: 1, Fid: 2, Afid: wire.NoFid, Uname: "rob", Aname: "v9fs"},
		{Type: wire.Rattach, Tag: 1, Qid: qid},
		{Type: wire.Rerror, Tag: 1, Ename: "file does not exist"},
		{Type: wire.Tflush, Tag: 1, Oldtag: 0x0203},
		{Type: wire.Rflush, Tag: 0xabcd},
		{Type: wire.Twalk, Tag: 1, Fid: 2, Newfid: 3, Wname: []string{"shell", "wörk", ""}},
		{Type: wire.Twalk, Tag: 1, Fid: 2, Newfid: 3, Wname: []string{}},
		{Type: wire.Twalk, Tag: 1, Fid: 2, Newfid: 3, Wname: names},
		{Type: wire.Rwalk, Tag: 1, Wqid: []wire.Qid{}},
		{Type: wire.Rwalk, Tag: 1, Wqid: qids},
		{Type: wire.Topen, Tag: 1, Fid: 2, Mode: wire.ORDWR | wire.OTRUNC},
		{Type: wire.Ropen, Tag: 1, Qid: qid, Iounit: 4096},
		{Type: wire.Tcreate, Tag: 1, Fid: 2, Name: "io0", Perm: wire.DMDIR | 0o777, Mode: 3},
		{Type: wire.Rcreate, Tag: 1, Qid: qid, Iounit: 1 << 31},
		{Type: wire.Tread, Tag: 1, Fid: 2, Offset: 1<<64 - 1, Count: 1<<32 - 1},
		{Type: wire.Rread, Tag: 1, Count: 3, Data: []byte("a\x00\xff")},
		{Type: wire.Rread, Tag: 1, Data: []byte{}},
		{Type: wire.Twrite, Tag: 1, Fid: 2, Offset: 3, Count: 5, Data: []byte("hello")},
		{Type: wire.Twrite, Tag: 1, Fid: 2, Offset: 3, Data: []byte{}},
		{Type: wire.Rwrite, Tag: 1, Count: 1<<32 - 1},
		{Type: wire.Tclunk, Tag: 1, Fid: 2},
		{Type: wire.Rclunk, Tag: 1},
		{Type: wire.Tremove, Tag: 1, Fid: 2},
		{Type: wire.Rremove, Tag: 1},
		{Type: wire.Tstat, Tag: 1, Fid: 2},
		{Type: wire.Rstat, Tag: 1, Stat: stat},
		{Type: wire.Twstat, Tag: 1, Fid: 2, Stat: stat},
		{Type: wire.Twstat, Tag: 1, Fid: 2, Stat: wire.NoChange()},
		{Type: wire.Rwstat, Tag: 1},
	}
}

func TestEveryMessageComesBackAsItWas(t *testing.T) {
	seen := map[wire.Type]bool{}
	var d wire.Decoder
	var got wire.Msg
	for _, m := range messages() {
		seen[m.Type] = true
		front := []byte("front")
		b, err := wire.Append(front, &m)
		if err != nil {
			t.Errorf("%v: %v", &m, err)
			continue
		}
		frame, ok := bytes.CutPrefix(b, front)
		if !ok {
			t.Errorf("%v: Append changed what was there", &m)
		}
		if err := d.Decode(frame, &got); err != nil {
			t.Errorf("%v: %v", &m, err)
			continue
		}
		if !reflect.DeepEqual(got, m) {
			t.Errorf("sent %v\n got %v", &m, &got)
		}
	}
	for typ := wire.Tversion; typ <= wire.Rwstat; typ++ {
		if (typ.IsT() || typ.IsR()) && !seen[typ] {
			t.Errorf("no message of type %v was tried", typ)
		}
	}
}

// Every frame cut short, or with bytes behind it, is refused whatever its size
// field says.
func TestTruncatedAndOverlongFramesAreRefused(t *testing.T) {
	var d wire.Decoder
	var got wire.Msg
	for _, m := range messages() {
		whole, err := wire.Append(nil, &m)
		if err != nil {
			t.Fatal(err)
		}
		if len(whole) > 1000 {
			continue
		}
		for n := range len(whole) + 3 {
			frame := make([]byte, n, 2*len(whole))
			copy(frame, whole)
			if n == len(whole) {
				continue
			}
			if err := d.Decode(frame, &got); err == nil {
				t.Errorf("%v: accepted with %d of %d bytes, size as sent", &m, n, len(whole))
			}
			if n >= 4 {
				frame[0], frame[1], frame[2], frame[3] = byte(n), byte(n>>8), 0, 0
			}
			if err := d.Decode(frame, &got); err == nil {
				t.Errorf("%v: accepted with %d of %d bytes, size put right", &m, n, len(whole))
			}
		}
	}
}

func TestDecodeOfDataAliasesTheFrameAndNothingBeyond(t *testing.T) {
	frame, err := wire.Append(nil, &wire.Msg{Type: wire.Twrite, Data: []byte("data")})
	if err != nil {
		t.Fatal(err)
	}
	frame = append(frame, "next message"...)[:len(frame)]
	var d wire.Decoder
	var m wire.Msg
	if err := d.Decode(frame, &m); err != nil {
		t.Fatal(err)
	}
	if &m.Data[0] != &frame[wire.TwriteHeaderSize] {
		t.Error("Data is a copy")
	}
	if cap(m.Data) != len(m.Data) {
		t.Errorf("Data of %d bytes reaches %d bytes into what follows", len(m.Data), cap(m.Data)-len(m.Data))
	}
}

func TestAppendRefusesWhatCannotBeReadBack(t *testing.T) {
	long := strings.Repeat("x", 1<<16)
	half := strings.Repeat("x", 1<<15)
	for name, m := range map[string]wire.Msg{
		"no type":           {},
		"Terror":            {Type: 106},
		"type 128":          {Type: 128},
		"long version":      {Type: wire.Tversion, Version: long},
		"long uname":        {Type: wire.Tattach, Uname: long},
		"long aname":        {Type: wire.Tauth, Aname: long},
		"long name":         {Type: wire.Tcreate, Name: long},
		"long walk name":    {Type: wire.Twalk, Wname: []string{"ok", long}},
		"NUL in a name":     {Type: wire.Tcreate, Name: "a\x00b"},
		"bad UTF-8":         {Type: wire.Twalk, Wname: []string{"a\xffb"}},
		"17 names":          {Type: wire.Twalk, Wname: make([]string, 17)},
		"17 qids":           {Type: wire.Rwalk, Wqid: make([]wire.Qid, 17)},
		"65536 of stat":     {Type: wire.Rstat, Stat: wire.Stat{Name: half, UID: half}},
		"65536 of wstat":    {Type: wire.Twstat, Stat: wire.Stat{Name: half, UID: half}},
		"bad UTF-8 in stat": {Type: wire.Rstat, Stat: wire.Stat{GID: "\xc0"}},
		"Twrite too large":  {Type: wire.Twrite, Data: make([]byte, wire.MaxMsize)},
		"Rread too large":   {Type: wire.Rread, Data: make([]byte, wire.MaxMsize)},
	} {
		b, err := wire.Append([]byte("front"), &m)
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
		if string(b) != "front" {
			t.Errorf("%s: dst is now %d bytes", name, len(b))
		}
	}
}

func TestErrorTextIsCutBetweenCharactersAndAlwaysSent(t *testing.T) {
	for _, ename := range []string{
		"", "file does not exist",
		strings.Repeat("x", 70000),
		strings.Repeat("x", wire.MaxEname-1) + "é",
		strings.Repeat("日", 1000),
		"a\xffb", "a\x00b",
		strings.Repeat("\xff", 1000), strings.Repeat("\x00", wire.MaxEname),
		strings.Repeat("\x80", 300),
	} {
		frame, err := wire.Append(nil, &wire.Msg{Type: wire.Rerror, Ename: ename})
		if err != nil {
			t.Errorf("%.20q: %v", ename, err)
			continue
		}
		var d wire.Decoder
		var m wire.Msg
		if err := d.Decode(frame, &m); err != nil {
			t.Errorf("%.20q: %v", ename, err)
		}
		if len(frame) > wire.MinMsize || len(m.Ename) > wire.MaxEname {
			t.Errorf("%.20q: a frame of %d bytes does not fit every msize", ename, len(frame))
		}
		if !utf8.ValidString(ename) || strings.Contains(ename, "\x00") {
			continue // repaired: not the text that was given
		}
		if !strings.HasPrefix(ename, m.Ename) {
			t.Errorf("%.20q came out as %q", ename, m.Ename)
		}
		if len(m.Ename) < min(len(ename), wire.MaxEname-3) {
			t.Errorf("%.20q: only %d bytes were kept", ename, len(m.Ename))
		}
	}
}

func TestHeadersAreThoseOfTheWholeMessage(t *testing.T) {
	data := []byte("some data")
	whole, _ := wire.Append(nil, &wire.Msg{Type: wire.Rread, Tag: 7, Data: data})
	if got := append(wire.AppendRreadHeader(nil, 7, len(data)), data...); !bytes.Equal(got, whole) {
		t.Errorf("Rread: %x, whole %x", got, whole)
	}
	tag, count, err := wire.RreadHeader(whole[:wire.RreadHeaderSize])
	if err != nil || tag != 7 || int(count) != len(data) {
		t.Errorf("RreadHeader: %d %d %v", tag, count, err)
	}
	whole, _ = wire.Append(nil, &wire.Msg{Type: wire.Twrite, Tag: 7, Fid: 8, Offset: 1 << 40, Data: data})
	if got := append(wire.AppendTwriteHeader(nil, 7, 8, 1<<40, len(data)), data...); !bytes.Equal(got, whole) {
		t.Errorf("Twrite: %x, whole %x", got, whole)
	}
	tag, fid, off, count, err := wire.TwriteHeader(whole[:wire.TwriteHeaderSize])
	if err != nil || tag != 7 || fid != 8 || off != 1<<40 || int(count) != len(data) {
		t.Errorf("TwriteHeader: %d %d %d %d %v", tag, fid, off, count, err)
	}
	for n := range wire.TwriteHeaderSize {
		if _, _, _, _, err := wire.TwriteHeader(whole[:n]); err == nil {
			t.Errorf("TwriteHeader accepts %d bytes", n)
		}
	}
	whole[19]++
	if _, _, _, _, err := wire.TwriteHeader(whole); err == nil {
		t.Error("TwriteHeader accepts a false count")
	}
}

func TestFrameSizeIsJudgedBeforeAnythingIsAllocated(t *testing.T) {
	for _, c := range []struct {
		b    string
		want int
	}{
		{"\x00\x00\x00\x00", 0}, {"\x06\x00\x00\x00", 0}, {"\x07\x00\x00\x00", 7},
		{"\x00\x20\x00\x00", 8192}, {"\x01\x20\x00\x00", 0}, {"\xff\xff\xff\xff", 0}, {"\x00\xe1\xf5\x05", 0},
	} {
		n, err := wire.FrameSize([]byte(c.b), 8192)
		if n != c.want || (err == nil) != (c.want > 0) {
			t.Errorf("FrameSize(%x) = %d, %v; want %d", c.b, n, err, c.want)
		}
	}
}

func TestDataMessagesDoNotAllocate(t *testing.T) {
	data := make([]byte, 64<<10)
	buf := make([]byte, 0, 128<<10)
	var d wire.Decoder
	var in wire.Msg
	for _, m := range []wire.Msg{
		{Type: wire.Tread, Fid: 1, Offset: 2, Count: 3},
		{Type: wire.Rread, Data: data},
		{Type: wire.Twrite, Fid: 1, Data: data},
		{Type: wire.Rwrite, Count: 3},
	} {
		n := testing.AllocsPerRun(100, func() {
			frame, err := wire.Append(buf[:0], &m)
			if err != nil {
				t.Fatal(err)
			}
			if err := d.Decode(frame, &in); err != nil {
				t.Fatal(err)
			}
		})
		if n != 0 {
			t.Errorf("%v: %v allocations for encoding and decoding one", m.Type, n)
		}
	}
}

func TestStatsFollowOneAnother(t *testing.T) {
	var b []byte
	var err error
	for _, name := range []string{"ctl", "status", "日本"} {
		s := stat
		s.Name = name
		if b, err = wire.AppendStat(b, &s); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"ctl", "status", "日本"} {
		var got wire.Stat
		want := stat
		want.Name = name
		if got, b, err = wire.ParseStat(b); err != nil || got != want {
			t.Fatalf("got %v, %v; want %v", &got, err, &want)
		}
	}
	if len(b) != 0 {
		t.Errorf("%d bytes left over", len(b))
	}
	if _, _, err := wire.ParseStat(nil); err == nil {
		t.Error("ParseStat accepts nothing")
	}
}
