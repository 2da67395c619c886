package hubfs

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hubfs/internal/wire"
	"hubfs/tree"
)

// What a fuzzed session is made of, besides bytes of its own.
var (
	fuzzNames = []string{
		"hidden", "hidden1", "nosuch", "hidden.d", "x", "ci", "a", "build", "build@", "build@end", "build@-3", "build@times",
		"hidden@", "hidden@times", "work0", "work0@", "work1", "work1@", "work0.note", "hidsh0", "hidsh1", "hidsh0.note", "hidsh",
		"shell", "work", "done", "lap", "ctl", "status", "events", "stats", "metrics", "access", "wait", "clients", "env", "args",
		"stdin", "stdout", "input@" + testKey, "input@", "..", ".", "", "new", "new1", "newdir", "lap0", "lap0@", "remote", "a\x01b", "a/b",
	}
	// No pipe makes a loop: that is busy for ever, and so is the test.
	fuzzWords = []string{
		"fear", "calm HUB", "fear HUB", "freeze HUB", "melt HUB", "trunc HUB", "notrunc HUB", "eof HUB", "eof", "end HUB bye", "reopen HUB",
		"size HUB 77", "limit HUB 5", "nolimit HUB", "spool HUB", "spool HUB /nowhere", "nospool HUB", "patience HUB 5", "nopatience HUB",
		"drop NUM", "shell HUB", "shell new -- x", "host HUB", "host new key=" + testKey, "host lap -s 5x5 -- x",
		"pid 7", "exit 3", "signal KILL", "kill HUB", "pipe HUB ci/a", "unpipe NUM", "rm HUB", "quit", "listen x",
		"size 9 9", "signal INT", "kill", "title HUB", "policy largest", "attach rw 9 9", "attach ro 8 8", "detach", "detach all", "detach NUM",
		"invite view HUB", "invite owner *", "invite write HUB ask", "grant user=HUB view *", "revoke NUM", "approve NUM", "deny NUM",
		"snap", "log 1s", "interrupt", "", "\n", "x\ny", "'", "what HUB",
	}
)

// A fuzzScript makes messages of bytes.
type fuzzScript struct{ in []byte }

func (f *fuzzScript) byte() byte {
	if len(f.in) == 0 {
		return 0
	}
	b := f.in[0]
	f.in = f.in[1:]
	return b
}

// name is one of the names, or a few bytes.
func (f *fuzzScript) name() string {
	b := int(f.byte())
	if b < len(fuzzNames) {
		return fuzzNames[b]
	}
	n := min(b%8, len(f.in))
	s := string(f.in[:n])
	f.in = f.in[n:]
	return s
}

// text is one of the words about one of the names, or with a number, or a few
// bytes.
func (f *fuzzScript) text() string {
	b := int(f.byte())
	if b >= len(fuzzWords) {
		return f.name()
	}
	text := fuzzWords[b]
	if strings.Contains(text, "HUB") {
		text = strings.ReplaceAll(text, "HUB", f.name())
	}
	if strings.Contains(text, "NUM") {
		text = strings.ReplaceAll(text, "NUM", strconv.Itoa(int(f.byte()%32)))
	}
	return text
}

// next returns the next message; ok is false when there is none.
func (f *fuzzScript) next(tag uint16) (m wire.Msg, ok bool) {
	types := []wire.Type{wire.Twalk, wire.Topen, wire.Tread, wire.Twrite, wire.Tstat, wire.Tclunk, wire.Twstat, wire.Tcreate,
		wire.Tremove, wire.Tflush, wire.Tattach, wire.Tversion, wire.Tauth, wire.Twalk, wire.Topen, wire.Twrite}
	if len(f.in) == 0 {
		return m, false
	}
	m = wire.Msg{Type: types[f.byte()%16], Tag: tag}
	if m.Type != wire.Tversion {
		m.Fid = uint32(f.byte() % 6)
	}
	switch m.Type {
	case wire.Twalk:
		m.Newfid = uint32(f.byte() % 6)
		for range f.byte() % 4 {
			m.Wname = append(m.Wname, f.name())
		}
	case wire.Topen:
		m.Mode = f.byte()
	case wire.Tcreate:
		m.Name, m.Mode, m.Perm = f.name(), f.byte(), uint32(f.byte())<<1
		if m.Mode&0x80 != 0 {
			m.Mode, m.Perm = m.Mode&0x7f, m.Perm|tree.ModeDir
		}
	case wire.Tread:
		m.Offset, m.Count = uint64(f.byte()), 1+uint32(f.byte())*64
	case wire.Twrite:
		m.Offset, m.Data = uint64(f.byte()), []byte(f.text())
	case wire.Twstat:
		m.Stat = wire.NoChange()
		switch f.byte() % 4 {
		case 0:
			m.Stat.Name = f.name()
		case 1:
			m.Stat.Mode = uint32(f.byte())
		case 2:
			m.Stat.Length = uint64(f.byte())
		case 3:
			m.Stat.GID = f.name()
		}
	case wire.Tflush:
		m.Oldtag = tag - uint16(f.byte()%8)
	case wire.Tattach:
		m.Afid, m.Uname, m.Aname = wire.NoFid, f.name(), f.name()
	case wire.Tversion:
		m.Msize, m.Version = 64<<10, wire.Version
	case wire.Tauth:
		m.Afid, m.Uname = m.Fid, f.name()
	}
	return m, true
}

// session plays a script as a role, in a world in which things are hidden or in
// one where they are not. It returns what the server said, and what the session
// changed.
func session(t *testing.T, r role, script []byte, hidden bool) (said []string, before, after string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := newWorld(t, hidden)
		c, _ := s.comeIn(glenda, r.name, "invite "+r.words)
		p := s.dial(c)
		before = s.digest()
		f := fuzzScript{script}
		for tag := uint16(10); tag < 200; tag++ {
			m, ok := f.next(tag)
			if !ok {
				break
			}
			if m.Type == wire.Tversion {
				m.Tag = wire.NoTag
			}
			said = append(said, fmt.Sprintf("%v -> %s", &m, plain(p.send(m))))
		}
		p.close()
		time.Sleep(time.Minute) // in the bubble: whatever was begun is over
		after = s.digest()
	})
	return said, before, after
}

// token is what an invitation answers, which is random.
var token = regexp.MustCompile(`[A-Za-z0-9_-]{22}\n`)

// plain is what came from the server, to compare and to read.
func plain(frames []byte) string {
	return fmt.Sprintf("%q", token.ReplaceAll(frames, []byte("TOKEN\n")))
}

// FuzzRoles plays a session as one of the roles. Whoever only looks on leaves the
// tree as it was, to the last bit; and to whom a thing is not there, the server
// says all that it would say if the thing were not there at all.
//
// With -fuzzminimizetime 1x, as hub's FuzzModel has it.
func FuzzRoles(f *testing.F) {
	for _, s := range fuzzSeeds() {
		for i := range roles {
			f.Add(uint8(i), s)
		}
	}
	f.Fuzz(func(t *testing.T, who uint8, script []byte) {
		r := roles[int(who)%len(roles)]
		said, before, after := session(t, r, script, true)
		if r.thing <= lView && r.whole <= lView && before != after {
			t.Fatalf("%s has changed something by\n%s\n%s", r.name, strings.Join(said, "\n"), differs(before, after))
		}
		if r.whole > 0 {
			return // sees everything
		}
		other, _, _ := session(t, r, script, false)
		if !slices.Equal(said, other) {
			t.Fatalf("%s can tell what is hidden: %s", r.name, differs(strings.Join(said, "\n"), strings.Join(other, "\n")))
		}
	})
}

// fuzzSeeds are sessions that get somewhere: each file is walked to, opened in
// each way, read, written with each word, changed and removed.
func fuzzSeeds() (seeds [][]byte) {
	name := func(s string) byte { return byte(slices.Index(fuzzNames, s)) }
	paths := [][]string{
		{"ctl"}, {"access"}, {"shell", "work", "ctl"}, {"build"}, {"build@"}, {"ci", "a"}, {"work0"}, {"work0.note"}, {"work1"},
		{"shell", "work", "input@" + testKey}, {"hidden"}, {"hidsh1"}, {"shell", "hidsh"}, {"events"}, {"status"}, {"stats"},
		{"shell", "done"}, {"hidden.d", "x"}, {"ci", "hidden"}, {"shell", "work", "env"}, {"ci"}, {"shell"},
	}
	for i, path := range paths {
		var b []byte
		walk := func(fid byte) {
			b = append(b, 0, 0, fid, byte(len(path)))
			for _, n := range path {
				b = append(b, name(n))
			}
		}
		for mode := range byte(3) {
			fid := 1 + mode
			walk(fid)
			b = append(b, 1, fid, mode, 2, fid, 0, 60, 3, fid, 0, byte(len(fuzzWords))+1, 250)
			for w := range fuzzWords {
				if mode == 0 || w%2 == int(mode)%2 {
					continue
				}
				b = append(b, 3, fid, 0, byte(w))
				if strings.Contains(fuzzWords[w], "HUB") {
					b = append(b, name([]string{"hidden", "build", "hidsh", "work", "new"}[(w+i)%5]))
				}
				if strings.Contains(fuzzWords[w], "NUM") {
					b = append(b, byte((w+i)%32))
				}
			}
			b = append(b, 2, fid, 0, 60, 9, 0, 1, 5, fid)
		}
		walk(4)
		b = append(b, 4, 4, 6, 4, 0, name("new"), 6, 4, 1, 7, 6, 4, 2, 0, 8, 4)
		b = append(b, 7, 0, name("new"), 2, 0xdb, 3, 0, 0, 250, 7, 0, name("newdir"), 0x80, 0xff, 4, 0)
		seeds = append(seeds, b)
	}
	return seeds
}

// The seeds get where they are meant to.
func TestFuzzSeedsGetSomewhere(t *testing.T) {
	count := map[string]int{}
	for _, script := range fuzzSeeds() {
		said, _, _ := session(t, roles[len(roles)-1], script, true)
		for _, line := range said {
			if fields := strings.Fields(line); len(fields) > 0 {
				what := fields[0]
				if !bytes.Contains([]byte(line), []byte(`\x00\x00k`)) { // Rerror
					count[what]++
				}
			}
		}
	}
	for _, what := range []string{"Twalk", "Topen", "Tread", "Twrite", "Tstat", "Tclunk", "Twstat", "Tcreate", "Tremove", "Tflush"} {
		if count[what] == 0 {
			t.Errorf("no %s succeeds", what)
		}
	}
}
