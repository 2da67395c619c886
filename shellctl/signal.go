package shellctl

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ErrEnded is the answer to a signal or a size for a process that has ended.
var ErrEnded = errors.New("the process has ended")

// ParseSignal reads the name of a signal, in any case: INT, SIGINT, a number,
// or interrupt as Plan 9 calls it.
func ParseSignal(name string) (syscall.Signal, error) {
	upper := strings.ToUpper(name)
	switch upper {
	case "INTERRUPT":
		return unix.SIGINT, nil
	case "HANGUP":
		return unix.SIGHUP, nil
	case "TERMINATE":
		return unix.SIGTERM, nil
	case "ALARM":
		return unix.SIGALRM, nil
	}
	if sig := unix.SignalNum("SIG" + strings.TrimPrefix(upper, "SIG")); sig != 0 {
		return sig, nil
	}
	if n, err := strconv.Atoi(name); err == nil && n >= 1 && n <= 64 {
		return syscall.Signal(n), nil
	}
	return 0, fmt.Errorf("unknown signal %q: expected INT, TERM, HUP, KILL, QUIT, USR1, USR2, STOP, CONT, TSTP, WINCH or another of the system's, or interrupt", name)
}

// signalName returns the name of sig without SIG, or its number.
func signalName(sig syscall.Signal) string {
	if name := unix.SignalName(sig); name != "" {
		return strings.TrimPrefix(name, "SIG")
	}
	return strconv.Itoa(int(sig))
}

// Signal sends a signal, named as ParseSignal takes it, to those whom a
// person at the terminal would interrupt: the foreground process group. On
// pipes it is the process's own group.
func (s *Shell) Signal(name string) error {
	sig, err := ParseSignal(name)
	if err != nil {
		return err
	}
	// The group of a process that has been reaped may be another's. Between
	// the reaping and the closing of the channel that may be so in theory: the
	// kernel gives a number away again when it has gone through all others.
	select {
	case <-s.reaped:
		return fmt.Errorf("signal %s: %w", signalName(sig), ErrEnded)
	default:
	}
	if s.term != nil {
		if pgid, err := s.term.foreground(); err == nil {
			if err = unix.Kill(-pgid, sig); !errors.Is(err, unix.ESRCH) {
				return signalError(sig, err)
			}
		}
	}
	return signalError(sig, unix.Kill(-s.pid, sig))
}

func signalError(sig syscall.Signal, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, unix.ESRCH) {
		err = ErrEnded
	}
	return fmt.Errorf("signal %s: %w", signalName(sig), err)
}

// Hangup tells the whole session that its terminal has gone away: background
// jobs too, and what is stopped is continued so that it can end. It does not
// wait, and when all is over it does nothing.
func (s *Shell) Hangup() {
	s.mu.Lock()
	finished := s.finished
	s.mu.Unlock()
	if finished {
		return // the session's number may be another's
	}
	s.signalSession(unix.SIGHUP)
	s.signalSession(unix.SIGCONT)
}

// Kill ends the whole session: Hangup, and KILL for what is left after grace.
// It does not wait; Done does, so that nothing of a session that was killed
// outlives it. Output still goes to the Sinks: one that takes none keeps Done
// from coming, and it is its owner's to end that.
func (s *Shell) Kill(grace time.Duration) {
	if !s.beginKill() {
		return // ended, and what the user left behind may stay
	}
	s.Hangup()
	go func() { // ends after grace and afterlife at the latest; wait waits for it
		defer s.kills.Done()
		if s.sessionEnds(grace) {
			return
		}
		s.signalSession(unix.SIGKILL)
		if !s.sessionEnds(afterlife) {
			s.log.Warn("processes of the session do not end, or are not ours to kill")
		}
	}()
}

// afterlife is how long we wait for the effect of a KILL. It has one at once,
// but for who is stuck in the kernel or belongs to another user.
const afterlife = time.Second

// beginKill enters a kill for which wait will wait, unless it is too late.
func (s *Shell) beginKill() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.finished {
		s.kills.Add(1)
	}
	return !s.finished
}

// signalSession sends sig to every process of the session, once each where the
// system lists them, and else to the groups that we know. It may come after
// the shell has been reaped: while a process of the session lives, the kernel
// gives its number to no other.
func (s *Shell) signalSession(sig syscall.Signal) {
	seen := make(map[int]bool)
	// A process that forks while we look leaves a child for the next look.
	// The number of looks is limited, for there is no end of those that do
	// nothing else.
	for range 16 {
		pids, err := sessionPIDs(s.pid)
		if err != nil {
			s.signalGroups(sig)
			return
		}
		found := false
		for _, pid := range pids {
			if !seen[pid] {
				found, seen[pid] = true, true
				unix.Kill(pid, sig)
			}
		}
		if !found {
			return
		}
	}
}

func (s *Shell) signalGroups(sig syscall.Signal) {
	if s.term != nil {
		if pgid, err := s.term.foreground(); err == nil && pgid != s.pid {
			unix.Kill(-pgid, sig)
		}
	}
	unix.Kill(-s.pid, sig)
}

// groupEnds waits until the process has been reaped, and then for its group if
// that has other members, whose end nobody tells us: the time given is theirs.
func (s *Shell) groupEnds(within time.Duration) bool {
	t := time.NewTimer(within)
	defer t.Stop()
	select {
	case <-s.reaped:
		if unix.Kill(-s.pid, 0) == nil {
			<-t.C
		}
	case <-t.C:
	}
	return unix.Kill(-s.pid, 0) != nil
}
