package daemon

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"hubfs/transport"
)

// NoState is the value of Config.State for a server that keeps nothing.
const NoState = "none"

// Kept reports whether the server at a, which is this user's own, would find hubs
// again if it were started.
func Kept(a transport.Addr) bool {
	dir, err := stateDir(a, "")
	if err != nil || dir == "" {
		return false
	}
	entries, err := os.ReadDir(dir)
	return err == nil && len(entries) > 0
}

// Died reports whether the server at a, which is this user's own, was killed or has
// crashed: one that ends in order takes its socket along.
func Died(a transport.Addr) bool {
	if !a.Local() {
		return false
	}
	c, err := net.Dial("unix", a.Address)
	if err == nil {
		c.Close()
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

// stateDir is the folder for what a server is to find again when it is started
// again, "" if there is none. A server of the user's own, which has a NAME, has
// one for each NAME; for others the flag says where.
func stateDir(a transport.Addr, flag string) (string, error) {
	switch {
	case flag == NoState || flag == "" && !a.Local():
		return "", nil
	case flag != "":
		return filepath.Abs(flag)
	}
	// XDG Base Directory Specification: a path that is not absolute is
	// to be ignored.
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "hub", a.String()), nil
	}
	home, err := os.UserHomeDir()
	if err != nil || !filepath.IsAbs(home) {
		return "", nil // a user without a home can say where
	}
	return filepath.Join(home, ".local", "state", "hub", a.String()), nil
}
