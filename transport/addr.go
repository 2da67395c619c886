package transport

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// An Addr is where a server is. Make one with Parse. Addrs can be compared.
type Addr struct {
	// Network is "unix", "tcp", "tls", "ssh", "fd" or "systemd".
	Network string

	// Address is an absolute path (unix); HOST:PORT as package net writes it
	// (tcp, tls); [USER@]HOST[:PORT][/NAME] (ssh); a number (fd); or the name of
	// a socket, which may be empty (systemd).
	Address string

	// Pin is the fingerprint of the key that a tls server must have; "" if
	// none is known. A client does not talk to a server without one.
	Pin string

	name string // the NAME it was parsed from, if it was one
}

// String returns the address in a form that Parse takes: the NAME, a dial
// string, or a URL.
func (a Addr) String() string {
	switch {
	case a.name != "":
		return a.name
	case a.Pin != "":
		return a.Network + "://" + a.Address + "#" + a.Pin
	}
	switch a.Network {
	case "tcp", "tls":
		if host, port, err := net.SplitHostPort(a.Address); err == nil {
			if host == "" {
				host = "*"
			}
			return a.Network + "!" + host + "!" + port
		}
	case "ssh":
		return "ssh://" + a.Address
	case "systemd":
		if a.Address == "" {
			return a.Network
		}
	}
	return a.Network + "!" + a.Address
}

// Local reports whether a was a NAME: a server of the user's own, which may be
// started when it is missing.
func (a Addr) Local() bool { return a.name != "" }

// server names a for people. Who reads it knows the key, or has no use for it.
func (a Addr) server() string {
	if a.Local() {
		return "server " + a.name
	}
	a.Pin = ""
	return "server at " + a.String()
}

// runtimeDir is where the sockets of NAMEs are.
func runtimeDir() string {
	// A relative path is to be ignored, says the XDG specification.
	if dir := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "hub")
	}
	return "/tmp/hub-" + strconv.Itoa(os.Geteuid())
}

// An sshTarget is the address of a server behind ssh, in its parts.
type sshTarget struct {
	user string // "": as ssh has it
	host string // as ssh's configuration knows it
	port string // "": as ssh has it
	name string // NAME of the server over there
}

// target takes the address of network ssh apart.
func (a Addr) target() sshTarget {
	var t sshTarget
	t.user, t.host, t.port, t.name = splitSSH(a.Address)
	return t
}

// defaultName is the NAME of who gives none.
const defaultName = "default"

// splitSSH splits [USER@]HOST[:PORT][/NAME]. A HOST with colons of its own
// stands in brackets.
func splitSSH(s string) (user, host, port, name string) {
	s, name, _ = strings.Cut(s, "/")
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		user, s = s[:i], s[i+1:]
	}
	host = s
	if inner, rest, ok := strings.Cut(strings.TrimPrefix(s, "["), "]"); ok && strings.HasPrefix(s, "[") {
		host, port = inner, strings.TrimPrefix(rest, ":")
	} else if h, p, ok := strings.Cut(s, ":"); ok {
		host, port = h, p
	}
	if name == "" {
		name = defaultName
	}
	return user, host, port, name
}

// String is the target as Addr.Address has it.
func (t sshTarget) String() string {
	s := t.host
	if strings.Contains(s, ":") {
		s = "[" + s + "]"
	}
	if t.user != "" {
		s = t.user + "@" + s
	}
	if t.port != "" {
		s += ":" + t.port
	}
	if t.name != defaultName {
		s += "/" + t.name
	}
	return s
}

// maxPath is how long a socket's path may be: the kernel's field less the NUL
// that ends it.
const maxPath = len(syscall.RawSockaddrUnix{}.Path) - 1
