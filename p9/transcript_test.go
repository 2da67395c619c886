package p9

import (
	"bufio"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"hubfs/internal/wire"
	"hubfs/tree"
)

// TestTranscripts plays each file of testdata: a conversation, line by line.
//
//	-> Tread tag 1 fid 2 offset 0 count 10     sent, in the words of wire.Msg.String
//	-> hex 0700 0000 ...                       sent as it stands
//	<- Rread tag 1 count 3 "abc"               the next reply
//	<- nothing                                 the server has nothing to say
//	<- hang-up                                 the server has closed the connection
//	2-> 2<-                                    the same on a second connection
//	b-> b<- 2b->                               what Server.Back says and gets on a connection
//	! write stream "abc"                       somebody else does something to the tree
//	! login                                    from here on a peer that connects must log in
//	! bounds                                   ... or has bounds already
//	! revoke                                   whoever has logged in is cut
//
// Every connection starts afresh, and every file leaves nothing behind: no
// reply that was not expected, no open handle, no piece.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatal("no transcripts in testdata")
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { play(t, file, string(text)) })
		})
	}
}

func play(t *testing.T, file, text string) {
	m := newMem()
	var mu sync.Mutex
	clients := make(map[string]*client) // guarded by mu
	s := &Server{Root: m.root, Login: new(gate).login}
	peer := Peer{Addr: "test"}
	s.Back = func(ctx context.Context, who *tree.Caller, rwc io.ReadWriteCloser) {
		c := &client{t: t, conn: rwc, done: make(chan error, 1)}
		mu.Lock()
		clients[strings.TrimPrefix(who.Addr, "test")+"b"] = c // the one before has ended with its Tversion
		mu.Unlock()
		c.receive()
		c.done <- nil
	}
	defer func() {
		mu.Lock()
		all := maps.Clone(clients)
		mu.Unlock()
		for name, c := range all {
			if r, ok := c.take(); ok {
				t.Errorf("%s: at the end connection %q still got %v", file, name, &r)
			}
			c.hangUp()
		}
		m.checkFreed(t)
	}()
	n := 0
	for sc := bufio.NewScanner(strings.NewReader(text)); sc.Scan(); {
		n++
		line := strings.TrimSpace(sc.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		fail := func(format string, args ...any) {
			t.Helper()
			t.Fatalf("%s:%d: %s\n\t%s", file, n, fmt.Sprintf(format, args...), line)
		}
		switch line {
		case "! login":
			peer = Peer{Addr: "test", LoginNeeded: true}
			continue
		case "! bounds":
			peer = Peer{Addr: "test", User: "guest:rob", Rights: all{}}
			continue
		case "! revoke":
			s.Hangup(func(i ConnInfo) bool { return len(i.Grants) > 0 })
			continue
		}
		if rest, ok := strings.CutPrefix(line, "! "); ok {
			if err := m.act(rest); err != nil {
				fail("%v", err)
			}
			continue
		}
		arrow := strings.IndexAny(line, "-<")
		if arrow < 0 || len(line) < arrow+3 {
			fail("not a line of a transcript")
		}
		who, way, rest := line[:arrow], line[arrow:arrow+2], strings.TrimSpace(line[arrow+2:])
		mu.Lock()
		c := clients[who]
		if c == nil {
			p := peer
			p.Addr += who
			c = dial(t, s, p)
			clients[who] = c
		}
		mu.Unlock()
		switch way {
		case "->":
			frame, err := parseMessage(rest)
			if err != nil {
				fail("%v", err)
			}
			c.raw(frame)
		case "<-":
			got := "nothing"
			if r, ok := c.take(); ok {
				got = r.String()
			} else if c.hungUp() {
				got = "hang-up"
			}
			if got != rest {
				fail("got %s", got)
			}
		default:
			fail("not a line of a transcript")
		}
	}
}

// act does what a line that starts with ! says.
func (m *mem) act(line string) error {
	f := fields(line)
	if len(f) < 2 {
		return fmt.Errorf("act on what?")
	}
	s, ok := m.root.kids[f[1]].(*memStream)
	if !ok {
		return fmt.Errorf("%s is no stream", f[1])
	}
	switch f[0] {
	case "write":
		s.append([]byte(f[2]))
	case "end":
		s.set(func() { s.ended = true })
	case "shut":
		s.set(func() { s.shut = true })
	case "open":
		s.set(func() { s.shut = false })
	case "slow":
		s.set(func() { s.slow = true })
	case "fast":
		s.set(func() { s.slow = false })
	case "is":
		if got := s.text(); got != f[2] {
			return fmt.Errorf("stream holds %q", got)
		}
	case "waits":
		if got := fmt.Sprint(s.waits()); got != f[2] {
			return fmt.Errorf("%s wait", got)
		}
	default:
		return fmt.Errorf("what is %s?", f[0])
	}
	return nil
}

// fields cuts a line into words and unquotes those that are quoted; brackets
// are words.
func fields(line string) []string {
	var out []string
	for line = strings.TrimSpace(line); line != ""; line = strings.TrimSpace(line) {
		if q, err := strconv.QuotedPrefix(line); err == nil {
			s, _ := strconv.Unquote(q)
			out, line = append(out, s), line[len(q):]
			continue
		}
		n := strings.IndexAny(line, " []()")
		switch {
		case n < 0:
			n = len(line)
		case n == 0:
			n = 1
		}
		out, line = append(out, line[:n]), line[n:]
	}
	return out
}

// parseMessage makes a frame of a message in the words of wire.Msg.String, or of
// hex digits. Of replies it knows some.
func parseMessage(line string) ([]byte, error) {
	if digits, ok := strings.CutPrefix(line, "hex "); ok {
		return hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
	}
	f := fields(line)
	m := wire.Msg{Stat: wire.NoChange()}
	for t := wire.Tversion; t <= wire.Rwstat; t++ {
		if t.String() == f[0] {
			m.Type = t
		}
	}
	f = f[1:]
	number := func(bits int) uint64 {
		v := f[1]
		switch v {
		case "NOTAG", "NOFID":
			return ^uint64(0)
		}
		n, err := strconv.ParseUint(v, 0, bits)
		if err != nil {
			panic(err)
		}
		return n
	}
	modes := map[string]uint8{"OREAD": 0, "OWRITE": 1, "ORDWR": 2, "OEXEC": 3, "OTRUNC": 0x10, "ORCLOSE": 0x40}
	for len(f) > 0 {
		if f[0] == "stat" || f[0] == "(" || f[0] == ")" {
			f = f[1:]
			continue
		}
		if len(f) < 2 {
			return nil, fmt.Errorf("%s without a value", f[0])
		}
		inStat := m.Type == wire.Twstat
		switch f[0] {
		case "tag":
			m.Tag = uint16(number(16))
		case "ename":
			m.Ename = f[1]
		case "oldtag":
			m.Oldtag = uint16(number(16))
		case "fid":
			m.Fid = uint32(number(32))
		case "newfid":
			m.Newfid = uint32(number(32))
		case "afid":
			m.Afid = uint32(number(32))
		case "msize":
			m.Msize = uint32(number(32))
		case "version":
			m.Version = f[1]
		case "uname":
			m.Uname = f[1]
		case "aname":
			m.Aname = f[1]
		case "perm":
			m.Perm = uint32(number(32))
		case "offset":
			m.Offset = number(64)
		case "count":
			m.Count = uint32(number(32))
		case "data":
			m.Data = []byte(f[1])
		case "fill":
			m.Data = []byte(strings.Repeat("x", int(number(32))))
		case "name":
			m.Name, m.Stat.Name = f[1], f[1]
		case "uid":
			m.Stat.UID = f[1]
		case "gid":
			m.Stat.GID = f[1]
		case "muid":
			m.Stat.MUID = f[1]
		case "length":
			m.Stat.Length = number(64)
		case "mtime":
			m.Stat.Mtime = uint32(number(32))
		case "qidpath":
			m.Stat.Qid.Path = number(64)
		case "mode":
			if inStat {
				m.Stat.Mode = uint32(number(32))
				break
			}
			for _, flag := range strings.Split(f[1], "|") {
				bits, ok := modes[flag]
				if !ok {
					n, err := strconv.ParseUint(flag, 0, 8)
					if err != nil {
						return nil, err
					}
					bits = uint8(n)
				}
				m.Mode |= bits
			}
		case "wname":
			if f[1] != "[" {
				return nil, fmt.Errorf("wname [ names ]")
			}
			f = f[2:]
			for f[0] != "]" {
				m.Wname = append(m.Wname, f[0])
				f = f[1:]
			}
			f = f[1:]
			continue
		default:
			return nil, fmt.Errorf("unknown field %s", f[0])
		}
		f = f[2:]
	}
	return wire.Append(nil, &m)
}
