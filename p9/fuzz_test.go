package p9

import (
	"bytes"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"

	"hubfs/internal/wire"
	"hubfs/tree"
)

// FuzzServer feeds a whole server what a peer might send. Whatever that is,
// every reply is well formed and answers a request that was sent, no handler
// panics, and after the hang-up nothing is held.
func FuzzServer(f *testing.F) {
	msgs := func(ms ...wire.Msg) []byte {
		var b []byte
		for _, m := range ms {
			b = append(b, encode(f, m)...)
		}
		return b
	}
	login := msgs(
		wire.Msg{Type: wire.Tversion, Tag: wire.NoTag, Msize: 1 << 16, Version: wire.Version},
		wire.Msg{Type: wire.Tattach, Tag: 1, Fid: 0, Afid: wire.NoFid, Uname: "glenda", Aname: "v9fs"},
	)
	walk := func(fid uint32, name string) wire.Msg {
		return wire.Msg{Type: wire.Twalk, Tag: 1, Newfid: fid, Wname: []string{name}}
	}
	open := func(fid uint32, mode uint8) wire.Msg { return wire.Msg{Type: wire.Topen, Tag: 1, Fid: fid, Mode: mode} }
	f.Add(append(bytes.Clone(login), msgs( // opens, reads, flushes
		walk(1, "stream"), open(1, tree.OpenRDWR),
		tread(2, 1, 10), tread(3, 1, 10), tread(4, 1, 10), tflush(5, 3), tflush(6, 2), tflush(7, 77),
		twrite(8, 1, "abcdefgh"), tread(9, 1, 100), tflush(10, 9), tflush(11, 10), tread(12, 1, 1000),
	)...))
	f.Add(append(bytes.Clone(login), msgs( // plain files, removal, a second session
		walk(1, "file"), open(1, tree.OpenRDWR), tread(2, 1, 10), twrite(3, 1, "x"), tflush(4, 2),
		wire.Msg{Type: wire.Tclunk, Tag: 5, Fid: 1}, walk(2, "sub"), open(2, 0), tread(6, 2, 1000),
		wire.Msg{Type: wire.Tcreate, Tag: 7, Fid: 0, Name: "n", Perm: 0o666, Mode: tree.OpenRDWR | tree.OpenRClose},
		twrite(8, 0, "x"), wire.Msg{Type: wire.Tremove, Tag: 9, Fid: 0},
		wire.Msg{Type: wire.Tversion, Tag: wire.NoTag, Msize: 8192, Version: "9P2000.L"},
		wire.Msg{Type: wire.Tauth, Tag: 1, Afid: 0, Uname: "x"}, wire.Msg{Type: wire.Tattach, Tag: 1, Fid: 4, Afid: wire.NoFid},
		wire.Msg{Type: wire.Tstat, Tag: 2, Fid: 4}, wire.Msg{Type: wire.Twstat, Tag: 2, Fid: 4, Stat: wire.NoChange()},
	)...))
	f.Add(append(bytes.Clone(login), msgs( // large writes, clunk of what waits
		walk(1, "other"), open(1, tree.OpenRDWR), walk(2, "other"), open(2, tree.OpenRead),
		tread(3, 2, 1<<20), tread(4, 2, 1<<20), twrite(2, 1, string(make([]byte, 20_000))),
		wire.Msg{Type: wire.Tclunk, Tag: 5, Fid: 2}, tflush(6, 4), wire.Msg{Type: wire.Tclunk, Tag: 7, Fid: 1},
	)...))
	f.Add([]byte("\x17\x00\x00\x00\x76\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\x7f"))
	f.Add([]byte("\x00\x00\x00\x00\x78"))

	f.Fuzz(func(t *testing.T, sent []byte) {
		m := newMem()
		var log bytes.Buffer
		s := &Server{Root: m.root, Log: slog.New(slog.NewTextHandler(&log, nil)), Limits: Limits{Fids: 20, Requests: 20, Replies: 50_000}}
		near, far := net.Pipe()
		var replies []byte
		var wg sync.WaitGroup
		wg.Go(func() { s.ServeConn(t.Context(), far, Peer{}) })
		wg.Go(func() { replies, _ = io.ReadAll(near) })
		near.Write(sent) // an error is the server hanging up
		near.Close()
		wg.Wait()
		m.checkFreed(t)
		if bytes.Contains(log.Bytes(), []byte("panic")) {
			t.Errorf("%s", log.Bytes())
		}
		checkReplies(t, sent, replies)
	})
}

// checkReplies checks that replies are whole messages, but the last one which
// a hang-up may have cut, and that each carries the tag of a request, and no
// more of them than there were requests with it.
func checkReplies(t *testing.T, sent, replies []byte) {
	asked := make(map[uint16]int)
	for len(sent) >= wire.HeaderSize {
		size := int64(le32(sent))
		if size < wire.HeaderSize {
			break
		}
		asked[uint16(sent[5])|uint16(sent[6])<<8]++
		sent = sent[min(size, int64(len(sent))):]
	}
	var d wire.Decoder
	for len(replies) >= 4 && int(le32(replies)) <= len(replies) {
		var m wire.Msg
		if err := d.Decode(replies[:le32(replies)], &m); err != nil || !m.Type.IsR() {
			t.Fatalf("bad reply %x: %v", replies[:le32(replies)], err)
		}
		if asked[m.Tag]--; asked[m.Tag] < 0 {
			t.Fatalf("nobody asked for %v", &m)
		}
		replies = replies[le32(replies):]
	}
}
