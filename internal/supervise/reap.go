package supervise

import (
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// reap waits for children, those who were adopted too, and says which tasks have
// ended, until everything is to end and none is left.
func (s *supervisor) reap() {
	for {
		s.mu.Lock()
		exits, none := s.collectLocked()
		if s.over {
			// The dead may have left children, who are ours now.
			s.killLocked()
		}
		done := s.over && none && !s.forking
		s.mu.Unlock()
		if len(exits) > 0 {
			s.send(exitsFrame(exits))
		}
		switch {
		case done:
			return
		case none:
			<-s.born
		default:
			s.await()
		}
	}
}

// collectLocked reaps who has ended. none says that there is no child at all.
func (s *supervisor) collectLocked() (exits []exit, none bool) {
	for {
		var ws unix.WaitStatus
		var ru unix.Rusage
		pid, err := unix.Wait4(-1, &ws, unix.WNOHANG, &ru)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil || pid <= 0:
			return exits, err != nil
		}
		delete(s.killed, pid)
		x := exit{
			PID: pid, Wait: uint32(ws),
			User: time.Duration(ru.Utime.Nano()), Sys: time.Duration(ru.Stime.Nano()),
		}
		if c := s.byPID[pid]; c != nil {
			delete(s.byPID, pid)
			delete(s.tasks, c.id)
			x.ID, x.Real = c.id, time.Since(c.start)
			exits = append(exits, x)
			if !adopts && unix.Kill(-pid, 0) == nil {
				s.groups = append(s.groups, pid)
			}
		} else if s.forking {
			s.early[pid] = x
		}
	}
}

// end begins the end of everything. deaf says that nobody may be there any more
// who reads what we send.
func (s *supervisor) end(why string, deaf bool) {
	s.mu.Lock()
	if !s.over {
		s.over, s.reason = true, why
	}
	if deaf && !s.deaf {
		s.deaf = true
		if s.stuck {
			unix.Shutdown(s.sock, unix.SHUT_RDWR)
		}
	}
	s.killLocked()
	s.mu.Unlock()
	s.wake()
}

// why returns the reason of the end.
func (s *supervisor) why() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reason
}

// wake tells the reaper that there may be a child, or that it is the end.
func (s *supervisor) wake() {
	select {
	case s.born <- struct{}{}:
	default:
	}
}

// killLocked kills each child that was not yet killed, with its group.
//
// It is called once at the end's beginning and again whenever children were
// reaped, which finds everybody, though who forks while we look may be
// missed: a process of which we do not know yet has an ancestor who is our
// child and is being killed; when that one has died, its children are ours,
// and it is reaped after that. Only children are signalled, and groups in
// which they are: nobody else can have their numbers, for they are reaped
// under the same lock.
func (s *supervisor) killLocked() {
	if s.hello.Cgroup != "" {
		os.WriteFile(filepath.Join(s.hello.Cgroup, cgroupKill), []byte("1"), 0)
	}
	for pid := range s.byPID {
		if !s.killed[pid] {
			s.killed[pid] = true
			unix.Kill(-pid, syscall.SIGKILL)
			unix.Kill(pid, syscall.SIGKILL) // if it has left its group
		}
	}
	for _, group := range s.groups {
		unix.Kill(-group, syscall.SIGKILL)
	}
	s.groups = nil
	for _, pid := range children() {
		if s.killed[pid] {
			continue
		}
		s.killed[pid] = true
		if group := groupOf(pid); group > 1 && group != unix.Getpgrp() {
			unix.Kill(-group, syscall.SIGKILL)
		}
		unix.Kill(pid, syscall.SIGKILL)
	}
}

// clean removes what the crew has left in the file system.
func (s *supervisor) clean() {
	s.mu.Lock()
	h := s.hello
	s.mu.Unlock()
	if h.Cgroup != "" {
		removeCgroup(h.Cgroup)
	}
	if h.Dir != "" {
		removeAll(h.Dir)
	}
}
