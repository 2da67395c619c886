package supervise

import (
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"

	"golang.org/x/sys/unix"
)

// flag is the first argument of a supervisor. It is one that no program has, so
// that one that does not call Main ends at once.
const flag = "--taskfs-supervisor"

// What a supervisor is started with.
const (
	socketFD = 3 // its end of the socket
	leaseFD  = 4 // the page of the lease
)

// Main is the supervisor, if args say that this process is to be one: then it
// returns true when all is over, and the program has to end. A program that uses a
// Runner calls it before anything else, with os.Args.
func Main(args []string) bool {
	if len(args) < 2 || args[1] != flag {
		return false
	}
	// A fork holds up the goroutines of its own processor, and the collector all
	// of them, for as long as it takes to open the program. The lease must not
	// wait for that.
	runtime.GOMAXPROCS(max(4, runtime.GOMAXPROCS(0)))
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(64 << 20)
	if err := supervise(); err != nil {
		fmt.Fprintf(os.Stderr, "taskfs supervisor: %v\n", err)
	}
	return true
}

// supervise runs until everything has ended.
func supervise() error {
	// The other end may be gone by now: then there is something to clean up.
	if _, err := unix.Getsockname(socketFD); err != nil {
		return fmt.Errorf("descriptor %d: %w (programs start it themselves: it is not for use)", socketFD, err)
	}
	if err := prepare(); err != nil {
		return err
	}
	l, err := mapLease(os.NewFile(leaseFD, "lease"))
	if err != nil {
		return err
	}
	s, err := newSupervisor(socketFD)
	if err != nil {
		return err
	}
	end := make(chan os.Signal, 1)
	signal.Notify(end, unix.SIGTERM, unix.SIGINT, unix.SIGHUP)
	// All three end with this process, which ends when reap returns.
	go s.receive()
	go func() {
		l.passed()
		s.end("its lease has passed", true)
	}()
	go func() {
		s.end(fmt.Sprintf("it got signal %v", <-end), false)
	}()
	s.reap()
	s.clean()
	s.send(overFrame(s.why()))
	return nil
}
