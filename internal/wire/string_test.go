package wire_test

import (
	"strings"
	"testing"

	"hubfs/internal/wire"
)

func TestMessagesReadLikeTheManual(t *testing.T) {
	length := wire.NoChange()
	length.Length = 0
	for _, c := range []struct {
		m    wire.Msg
		want string
	}{
		{wire.Msg{Type: wire.Tversion, Tag: wire.NoTag, Msize: 8192, Version: "9P2000"}, `Tversion tag NOTAG msize 8192 version "9P2000"`},
		{wire.Msg{Type: wire.Tattach, Tag: 1, Afid: wire.NoFid, Uname: "rob"}, `Tattach tag 1 fid 0 afid NOFID uname "rob" aname ""`},
		{wire.Msg{Type: wire.Twalk, Tag: 1, Newfid: 2, Wname: []string{"shell", "a b"}}, `Twalk tag 1 fid 0 newfid 2 wname ["shell" "a b"]`},
		{wire.Msg{Type: wire.Rwalk, Tag: 1, Wqid: []wire.Qid{{Path: 31}}}, `Rwalk tag 1 wqid [0x1f.0]`},
		{wire.Msg{Type: wire.Ropen, Tag: 1, Qid: wire.Qid{Type: wire.QTDIR, Path: 1, Vers: 2}}, `Ropen tag 1 qid 0x1.2.d iounit 0`},
		{wire.Msg{Type: wire.Topen, Tag: 1, Fid: 2, Mode: wire.OWRITE | wire.OTRUNC}, `Topen tag 1 fid 2 mode OWRITE|OTRUNC`},
		{wire.Msg{Type: wire.Tcreate, Tag: 1, Fid: 2, Name: "io0", Perm: 0o666, Mode: 0x83}, `Tcreate tag 1 fid 2 name "io0" perm 0666 mode OEXEC|0x80`},
		{wire.Msg{Type: wire.Tflush, Tag: 2, Oldtag: 1}, `Tflush tag 2 oldtag 1`},
		{wire.Msg{Type: wire.Twrite, Tag: 1, Fid: 2, Data: []byte("ls\n")}, `Twrite tag 1 fid 2 offset 0 count 3 "ls\n"`},
		{wire.Msg{Type: wire.Rerror, Tag: 1, Ename: "permission denied"}, `Rerror tag 1 ename "permission denied"`},
		{wire.Msg{Type: wire.Twstat, Tag: 1, Fid: 2, Stat: wire.NoChange()}, `Twstat tag 1 fid 2 stat ()`},
		{wire.Msg{Type: wire.Twstat, Tag: 1, Fid: 2, Stat: length}, `Twstat tag 1 fid 2 stat (name "" uid "" gid "" muid "" length 0)`},
		{wire.Msg{Type: 106, Tag: 1}, `type 106 tag 1`},
	} {
		if got := c.m.String(); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
	for _, m := range messages() {
		if s := m.String(); len(s) < 12 || strings.ContainsAny(s, "\n\x00") || strings.Contains(s, "%!") {
			t.Errorf("a line of %d bytes for %v: %.100q", len(s), m.Type, s)
		}
	}
}
