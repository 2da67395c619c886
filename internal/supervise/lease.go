package supervise

import (
	"fmt"
	"os"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A lease is the time until which the tasks of a crew may run, in a page that we
// and the supervisor share: to renew it costs a store, and waits for nobody. A
// message would be late when the supervisor is busy, and valid from then.
//
// The time is that of the clock of now, and 0 if there is no lease.
type lease struct {
	page []byte
	f    *os.File
}

const leaseSize = 8

// newLease makes the page that the supervisor is given as a file.
func newLease() (*lease, error) {
	f, err := sharedFile()
	if err != nil {
		return nil, fmt.Errorf("lease: %w", err)
	}
	if err := f.Truncate(leaseSize); err != nil {
		f.Close()
		return nil, fmt.Errorf("lease: %w", err)
	}
	return mapLease(f)
}

// mapLease maps the page that is in f, and takes f.
func mapLease(f *os.File) (*lease, error) {
	page, err := unix.Mmap(int(f.Fd()), 0, leaseSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lease: %w", err)
	}
	return &lease{page, f}, nil
}

// until is the word in the page. A page begins at a multiple of eight.
func (l *lease) until() *int64 { return (*int64)(unsafe.Pointer(unsafe.SliceData(l.page))) }

// renew makes the lease end after d, or never if d is 0.
func (l *lease) renew(d time.Duration) {
	var until int64
	if d > 0 {
		until = int64(now() + d)
	}
	atomic.StoreInt64(l.until(), until)
}

// passed returns when the lease has ended, at once if it has, and never if there
// is none.
func (l *lease) passed() {
	for {
		until := time.Duration(atomic.LoadInt64(l.until()))
		if until == 0 {
			select {}
		}
		if now() >= until {
			return
		}
		sleepUntil(until)
	}
}

func (l *lease) close() {
	unix.Munmap(l.page)
	l.f.Close()
}
