package supervise

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// makeCgroup makes a cgroup of version 2 below our own, which can end all in it
// at once, and returns its folder; "" if that cannot be done here: it needs a
// system that leaves a part of the tree to us.
func makeCgroup(name string) string {
	ours, err := ownCgroup()
	if err != nil || ours == "" {
		return ""
	}
	dir := filepath.Join(ours, name)
	if os.Mkdir(dir, 0o755) != nil {
		return ""
	}
	f, err := os.OpenFile(filepath.Join(dir, cgroupKill), os.O_WRONLY, 0)
	if err != nil { // before Linux 5.14
		os.Remove(dir)
		return ""
	}
	f.Close()
	return dir
}

// removeCgroup removes the folder of a cgroup in which everybody was killed. The
// kernel may count somebody in it for a moment after he was waited for.
func removeCgroup(dir string) error {
	for deadline := time.Now().Add(afterlife); ; {
		events, err := unix.Open(filepath.Join(dir, "cgroup.events"), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			unix.Read(events, make([]byte, 100)) // what comes after this wakes us
		}
		err = os.Remove(dir)
		left := time.Until(deadline)
		if errors.Is(err, unix.EBUSY) && events >= 0 && left > 0 {
			// cgroups(7): the file has an event when the last has gone.
			unix.Poll([]unix.PollFd{{Fd: int32(events), Events: unix.POLLPRI}}, int(left.Milliseconds())+1)
		}
		if events >= 0 {
			unix.Close(events)
		}
		if !errors.Is(err, unix.EBUSY) || left <= 0 {
			return err
		}
	}
}

// ownCgroup returns the folder of our cgroup of version 2, "" if there is none.
func ownCgroup() (string, error) {
	member, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", err
	}
	var path string
	for line := range strings.Lines(string(member)) {
		// cgroups(7): 0::PATH is that of version 2.
		if p, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::"); ok {
			path = p
		}
	}
	if path == "" {
		return "", nil
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(mounts)) {
		// proc(5): ID PARENT DEVICE ROOT POINT OPTIONS ... - TYPE SOURCE OPTIONS
		place, kind, _ := strings.Cut(line, " - ")
		f := strings.Fields(place)
		if len(f) < 5 || !strings.HasPrefix(kind, "cgroup2 ") {
			continue
		}
		root, point := f[3], f[4]
		if below, err := filepath.Rel(root, path); err == nil && filepath.IsLocal(below) {
			return filepath.Join(point, below), nil
		}
	}
	return "", nil
}
