package transport

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"
)

// What an error about an address says was expected.
const forms = "NAME, unix!PATH, unix:PATH, tcp!HOST!PORT or tcp://HOST:PORT"

// maxPath is how long a socket's path may be: the kernel's field less the NUL
// that ends it.
const maxPath = len(syscall.RawSockaddrUnix{}.Path) - 1

// An Addr is where a server is. Make one with Parse.
type Addr struct {
	Network string // "unix" or "tcp"
	Address string // an absolute path, or HOST:PORT as package net writes it

	name string // the NAME it was parsed from, if it was one
}

// Parse reads an address in one of the forms of the package comment.
func Parse(s string) (Addr, error) {
	switch network, rest, ok := cutNetwork(s); {
	case !ok:
		return parseName(s)
	case network == "unix":
		return parseUnix(s, rest[1:])
	case network == "tcp":
		return parseTCP(s, rest)
	case network == "tls" || network == "ssh":
		return Addr{}, fmt.Errorf("address %q: %s is not supported yet: expected %s", s, network, forms)
	default:
		return Addr{}, fmt.Errorf("address %q: expected %s", s, forms)
	}
}

// cutNetwork splits "unix:PATH" into "unix" and ":PATH". A NAME has no
// network: it holds neither of the two separators, and a slash before them
// means that somebody gave a path for a name.
func cutNetwork(s string) (network, rest string, ok bool) {
	i := strings.IndexAny(s, "!:/")
	if i < 0 || s[i] == '/' {
		return "", "", false
	}
	return s[:i], s[i:], true
}

func parseName(name string) (Addr, error) {
	bad := func(why string) (Addr, error) {
		return Addr{}, fmt.Errorf("server name %q: %s", name, why)
	}
	switch {
	case name == "":
		return bad("empty: expected " + forms)
	case strings.Contains(name, "/"):
		return bad("a name has no slash: for a socket's path use unix:" + name)
	case name == "." || name == "..":
		return bad("not a name: expected " + forms)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return bad("a name is UTF-8 without control characters")
	}
	a := Addr{Network: "unix", Address: filepath.Join(runtimeDir(), name+".sock"), name: name}
	if err := checkPathLen(a.Address); err != nil {
		return bad(err.Error())
	}
	return a, nil
}

func parseUnix(s, path string) (Addr, error) {
	if path == "" || strings.HasSuffix(path, "/") {
		return Addr{}, fmt.Errorf("address %q: expected unix:PATH with the path of a socket", s)
	}
	// Absolute, because shells started elsewhere are told the address, and
	// because a server may change its directory.
	path, err := filepath.Abs(path)
	if err == nil {
		err = checkPathLen(path)
	}
	if err != nil {
		return Addr{}, fmt.Errorf("address %q: %w", s, err)
	}
	return Addr{Network: "unix", Address: path}, nil
}

// parseTCP takes "!HOST!PORT" or "://HOST:PORT". Plan 9's * is any host.
func parseTCP(s, rest string) (Addr, error) {
	var host, port string
	if hostPort, ok := strings.CutPrefix(rest, "://"); ok {
		var err error
		if host, port, err = net.SplitHostPort(hostPort); err != nil {
			return Addr{}, fmt.Errorf("address %q: expected tcp://HOST:PORT", s)
		}
	} else {
		f := strings.Split(rest, "!")
		if len(f) != 3 || f[0] != "" {
			return Addr{}, fmt.Errorf("address %q: expected tcp!HOST!PORT", s)
		}
		host, port = f[1], f[2]
	}
	if host == "*" {
		host = ""
	}
	if n, err := strconv.Atoi(port); port == "" || strings.ContainsAny(port, "/ ") || err == nil && (n < 0 || n > 65535) {
		return Addr{}, fmt.Errorf("address %q: bad port %q: expected a number up to 65535 or a service's name", s, port)
	}
	return Addr{Network: "tcp", Address: net.JoinHostPort(host, port)}, nil
}

// String returns the address in a form that Parse takes: the NAME, or a dial
// string.
func (a Addr) String() string {
	if a.name != "" {
		return a.name
	}
	if host, port, err := net.SplitHostPort(a.Address); err == nil && a.Network == "tcp" {
		if host == "" {
			host = "*"
		}
		return a.Network + "!" + host + "!" + port
	}
	return a.Network + "!" + a.Address
}

// Local reports whether a was a NAME: a server of the user's own, which may be
// started when it is missing.
func (a Addr) Local() bool { return a.name != "" }

// server names a for people.
func (a Addr) server() string {
	if a.Local() {
		return "server " + a.name
	}
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

// checkPathLen reports whether a socket can be made at path: it is bound under
// a temporary name first, which counts as well (see bindPrivate).
func checkPathLen(path string) error {
	longest := max(len(path), len(filepath.Dir(path))+len("/"+tempPrefix+"4294967295/s"))
	if longest > maxPath {
		return fmt.Errorf("socket path %s is too long: the system takes %d bytes, %d fewer",
			path, maxPath, longest-maxPath)
	}
	return nil
}
