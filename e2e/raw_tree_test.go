package e2e

import (
	"cmp"
	"errors"
	"os"
	"slices"
	"strings"

	"9fans.net/go/plan9"
)

// Modes of an open, as 9P has them.
const (
	openRead  = plan9.OREAD
	openWrite = plan9.OWRITE
	openRDWR  = plan9.ORDWR
	openTrunc = plan9.OTRUNC
)

// A rawTree is the files behind a raw connection.
type rawTree struct {
	c    *raw
	free []uint32 // fids that were used
	next uint32
}

func newRawTree(c *raw) *rawTree { return &rawTree{c: c, next: 100} }

// ask sends one request. An Rerror is an error.
func (t *rawTree) ask(tx *plan9.Fcall) (*plan9.Fcall, error) {
	t.c.tb.Helper()
	t.c.send(tx)
	rx := t.c.receive()
	switch {
	case rx.Tag != tx.Tag || rx.Type != tx.Type+1 && rx.Type != plan9.Rerror:
		t.c.tb.Fatalf("%v was answered %v", tx, rx)
	case rx.Type == plan9.Rerror:
		return nil, errors.New(rx.Ename)
	}
	return rx, nil
}

// A rawFile is an open file of a rawTree.
type rawFile struct {
	t   *rawTree
	fid uint32
	off uint64
}

// walk makes a fid of the file at an absolute path.
func (t *rawTree) walk(name string) (uint32, error) {
	fid := t.next
	if n := len(t.free); n > 0 {
		fid, t.free = t.free[n-1], t.free[:n-1]
	} else {
		t.next++
	}
	names := strings.FieldsFunc(name, func(r rune) bool { return r == '/' })
	rx, err := t.ask(&plan9.Fcall{Type: plan9.Twalk, Fid: 0, Newfid: fid, Wname: names})
	if err == nil && len(rx.Wqid) < len(names) {
		err = errors.New("file does not exist")
	}
	if err != nil {
		t.free = append(t.free, fid)
	}
	return fid, err
}

func (t *rawTree) clunk(fid uint32) {
	t.c.tb.Helper()
	if _, err := t.ask(&plan9.Fcall{Type: plan9.Tclunk, Fid: fid}); err != nil {
		t.c.tb.Error(err)
	}
	t.free = append(t.free, fid)
}

func (t *rawTree) open(name string, mode uint8) (*rawFile, error) {
	fid, err := t.walk(name)
	if err != nil {
		return nil, err
	}
	if _, err := t.ask(&plan9.Fcall{Type: plan9.Topen, Fid: fid, Mode: mode}); err != nil {
		t.clunk(fid)
		return nil, err
	}
	return &rawFile{t: t, fid: fid}, nil
}

// read reads what there is.
func (f *rawFile) read() (string, error) {
	rx, err := f.t.ask(&plan9.Fcall{Type: plan9.Tread, Fid: f.fid, Offset: f.off, Count: 8000})
	if err != nil {
		return "", err
	}
	f.off += uint64(len(rx.Data))
	return string(rx.Data), nil
}

// readAll reads to the end.
func (f *rawFile) readAll() (string, error) {
	var b strings.Builder
	for {
		s, err := f.read()
		b.WriteString(s)
		if s == "" || err != nil {
			return b.String(), err
		}
	}
}

func (f *rawFile) write(s string) error {
	rx, err := f.t.ask(&plan9.Fcall{Type: plan9.Twrite, Fid: f.fid, Offset: f.off, Data: []byte(s), Count: uint32(len(s))})
	if err != nil {
		return err
	}
	f.off += uint64(rx.Count)
	if int(rx.Count) != len(s) {
		return errors.New("short write")
	}
	return nil
}

func (f *rawFile) close() { f.t.clunk(f.fid) }

// cat reads a file from its start to its end.
func (t *rawTree) cat(name string) (string, error) {
	f, err := t.open(name, openRead)
	if err != nil {
		return "", err
	}
	defer f.close()
	return f.readAll()
}

// list lists a directory by name.
func (t *rawTree) list(dir string) ([]entry, error) {
	text, err := t.cat(dir)
	if err != nil {
		return nil, err
	}
	var entries []entry
	for b := []byte(text); len(b) > 0; {
		n := 2 + int(b[0]) + int(b[1])<<8
		d, err := plan9.UnmarshalDir(b[:n])
		if err != nil {
			return nil, err
		}
		mode := os.FileMode(d.Mode & 0o777)
		if d.Mode&plan9.DMDIR != 0 {
			mode |= os.ModeDir
		}
		entries = append(entries, entry{d.Name, mode})
		b = b[n:]
	}
	slices.SortFunc(entries, func(a, b entry) int { return cmp.Compare(a.name, b.name) })
	return entries, nil
}
