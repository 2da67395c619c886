package filestore

import (
	"fmt"
	"testing"

	"hubfs/hub"
	"hubfs/hub/storetest"
)

const testDir = "/spool/test"

// variants are the ways to keep a stream that the suites try.
func variants(t *testing.T, test func(t *testing.T, o Options)) {
	for _, o := range []Options{
		{Sync: Always, Segment: 100_000, Tail: 1},
		{Sync: Second, Segment: 30_000, Tail: 5000},
		{Sync: Never, Segment: 1 << 20, Tail: 1},
		{},
	} {
		t.Run(fmt.Sprintf("%v,%d,%d", o.Sync, o.Segment, o.Tail), func(t *testing.T) { test(t, o) })
	}
}

func TestIsAStore(t *testing.T) {
	variants(t, func(t *testing.T, o Options) {
		storetest.Run(t, func(t *testing.T) hub.Store {
			o := o
			o.FS = newDisk(1).view()
			return mustOpen(t, testDir, o)
		})
	})
}

func TestIsAStoreOnDisk(t *testing.T) {
	storetest.Run(t, func(t *testing.T) hub.Store {
		return mustOpen(t, t.TempDir(), Options{Segment: 100_000, Tail: 1})
	})
}

func mustOpen(t testing.TB, dir string, o Options) *Store {
	t.Helper()
	s, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A place is a folder on a disk that fails when it is told to.
type place struct {
	disk  *disk
	o     Options
	store *Store
}

func (p *place) Open() (hub.Spool, error) {
	p.o.FS = p.disk.view()
	store, err := Open(testDir, p.o)
	p.store = store
	return store, err
}

func (p *place) Kill() {
	p.disk.kill()
	p.store.Close() // its goroutines end; its hands are tied
	p.store.Wait()
}

func (p *place) Crash() {
	p.disk.crash()
	p.store.Close()
	p.store.Wait()
}

func TestIsASpool(t *testing.T) {
	variants(t, func(t *testing.T, o Options) {
		for seed := range uint64(2) {
			storetest.RunSpool(t, o.Sync == Always, func(t *testing.T) storetest.Place {
				return &place{disk: newDisk(seed), o: o}
			})
		}
	})
}
