package client_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"9fans.net/go/plan9"
	"9fans.net/go/plan9/srv9p"

	"hubfs/client"
)

// ramfs is a server by others: files in memory, and one goroutine for each
// request, so that it keeps to no order. Sent an open behind its walk, it now
// and then opens the directory where the walk began.
func ramfs(t *testing.T) *client.Conn {
	t.Helper()
	type file struct {
		mu   sync.Mutex
		data []byte
	}
	tree := srv9p.NewTree("rob", "rob", plan9.DMDIR|0o777, nil)
	srv := &srv9p.Server{
		Tree: tree,
		Create: func(_ context.Context, fid *srv9p.Fid, name string, perm plan9.Perm, mode uint8) (plan9.Qid, error) {
			f, err := fid.File().Create(name, "rob", perm, new(file))
			if err != nil {
				return plan9.Qid{}, err
			}
			fid.SetFile(f)
			return f.Stat.Qid, nil
		},
		Read: func(_ context.Context, fid *srv9p.Fid, data []byte, off int64) (int, error) {
			f := fid.File().Aux.(*file)
			f.mu.Lock()
			defer f.mu.Unlock()
			return fid.ReadBytes(data, off, f.data)
		},
		Write: func(_ context.Context, fid *srv9p.Fid, data []byte, off int64) (int, error) {
			f := fid.File().Aux.(*file)
			f.mu.Lock()
			defer f.mu.Unlock()
			if need := int(off) + len(data); len(f.data) < need {
				f.data = append(f.data, make([]byte, need-len(f.data))...)
			}
			return copy(f.data[off:], data), nil
		},
	}
	ours, theirs := net.Pipe()
	served := async(func() bool { srv.Serve(theirs, theirs); return true })
	c, err := client.New(t.Context(), ours, client.Options{Uname: "rob"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		<-served
	})
	return c
}

func TestServerByOthers(t *testing.T) {
	c := ramfs(t)
	ctx := t.Context()
	if err := c.Mkdir(ctx, "d", 0o755); err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat("0123456789abcdef", 10000) // some twenty messages
	for i := range 20 {
		f, err := c.Create(ctx, fmt.Sprint("d/f", i), 0o644, client.ORDWR)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := f.WriteContext(ctx, []byte(text)); n != len(text) || err != nil {
			t.Fatal(n, err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 20 {
		if b, err := c.ReadFile(ctx, fmt.Sprint("d/f", i)); string(b) != text {
			t.Errorf("%d bytes came back of %d, %v", len(b), len(text), err)
		}
	}
	if l, err := c.ReadDir(ctx, "d"); len(l) != 20 || err != nil {
		t.Errorf("%d entries, %v", len(l), err)
	}
	if i, err := c.Stat(ctx, "d"); !i.IsDir() || i.Name != "d" || err != nil {
		t.Errorf("%+v, %v", i, err)
	}
	if _, err := c.Open(ctx, "d/none", client.OREAD); !errors.Is(err, client.ErrNotExist) {
		t.Errorf("open of what is not there: %v", err)
	}
	if err := c.Remove(ctx, "d/f3"); err != nil {
		t.Error(err)
	}
	if _, err := c.Stat(ctx, "d/f3"); !errors.Is(err, client.ErrNotExist) {
		t.Errorf("stat of what was removed: %v", err)
	}

	// What is open can be removed too, and is given up with that.
	f, err := c.Open(ctx, "d/f4", client.OREAD)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Remove(ctx); err != nil {
		t.Error(err)
	}
	if _, err := c.Stat(ctx, "d/f4"); !errors.Is(err, client.ErrNotExist) {
		t.Errorf("stat of what was removed open: %v", err)
	}
	if err := f.Close(); err == nil {
		t.Error("a removed file was closed again: its fid may be another's")
	}
}
