package transport

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// What an error about an address says was expected.
const forms = "NAME, unix!PATH, tcp!HOST!PORT, tls!HOST!PORT, ssh://[USER@]HOST[:PORT][/NAME], fd!N or systemd"

// Parse reads an address in one of the forms of the package comment.
func Parse(s string) (Addr, error) {
	network, rest, ok := cutNetwork(s)
	if !ok {
		if s == "systemd" {
			return Addr{Network: "systemd"}, nil
		}
		return parseName(s)
	}
	switch network {
	case "unix":
		return parseUnix(s, rest[1:])
	case "tcp":
		return parseTCP(s, network, rest)
	case "tls":
		return parseTLS(s, rest)
	case "ssh":
		return parseSSH(s, rest)
	case "fd":
		return parseFD(s, rest[1:])
	case "systemd":
		return parseSystemd(s, rest[1:])
	case "hub":
		return Addr{}, fmt.Errorf("address: a link stands where a server was expected: %s", forms)
	}
	return Addr{}, fmt.Errorf("address %q: expected %s", s, forms)
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
	if why := badName(name); why != "" {
		return Addr{}, fmt.Errorf("server name %q: %s", name, why)
	}
	a := Addr{Network: "unix", Address: filepath.Join(runtimeDir(), name+".sock"), name: name}
	if err := checkPathLen(a.Address); err != nil {
		return Addr{}, fmt.Errorf("server name %q: %w", name, err)
	}
	return a, nil
}

// badName says what is wrong with the NAME of a server; nothing: "".
func badName(name string) string {
	switch {
	case name == "":
		return "empty: expected " + forms
	case strings.Contains(name, "/"):
		return "a name has no slash: for a socket's path use unix:" + name
	case name == "." || name == "..":
		return "not a name: expected " + forms
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return "a name is UTF-8 without control characters"
	}
	return ""
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
func parseTCP(s, network, rest string) (Addr, error) {
	var host, port string
	if hostPort, ok := strings.CutPrefix(rest, "://"); ok {
		var err error
		if host, port, err = net.SplitHostPort(hostPort); err != nil {
			return Addr{}, fmt.Errorf("address %q: expected %s://HOST:PORT", s, network)
		}
	} else {
		f := strings.Split(rest, "!")
		if len(f) != 3 || f[0] != "" {
			return Addr{}, fmt.Errorf("address %q: expected %s!HOST!PORT", s, network)
		}
		host, port = f[1], f[2]
	}
	if host == "*" {
		host = ""
	}
	if !goodHost(host) {
		return Addr{}, fmt.Errorf("address %q: bad host %q", s, host)
	}
	if !goodPort(port) {
		return Addr{}, fmt.Errorf("address %q: bad port %q: expected a number up to 65535 or a service's name", s, port)
	}
	return Addr{Network: network, Address: net.JoinHostPort(host, port)}, nil
}

// goodPort reports whether port is a number, or could be the name of a service.
func goodPort(port string) bool {
	n, err := strconv.Atoi(port)
	return port != "" && (err != nil || n >= 0 && n <= 65535) && !strings.ContainsFunc(port, func(r rune) bool {
		return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("-._+*", r)
	})
}

// goodHost reports whether host, which may be empty, can be written in every
// form of an address, and holds nothing that means something to a shell, into
// which people paste what a server says of itself.
func goodHost(host string) bool {
	return utf8.ValidString(host) && !strings.ContainsAny(host, "!/#@[]"+badInUser) &&
		!strings.ContainsFunc(host, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsGraphic(r) })
}

// parseTLS takes what parseTCP does, and the fingerprint of the server's key
// behind a #.
func parseTLS(s, rest string) (Addr, error) {
	where, pin, pinned := strings.Cut(rest, "#")
	a, err := parseTCP(s, "tls", where)
	if err != nil {
		return Addr{}, err
	}
	if pinned && !goodFingerprint(pin) {
		return Addr{}, fmt.Errorf("address %q: bad key %q: expected the 43 characters that hub fingerprint prints there", s, pin)
	}
	a.Pin = pin
	return a, nil
}

// Runes that no host or user of ours has. They go to a program that hands
// them on to others: ssh's own configuration may put them into a command.
const (
	badInUser = "'`\"\\;&<>|(){}$"
	badInHost = badInUser + "[],*?!#@"
	badInName = "'\\!" // cannot be quoted alike for every shell
)

// parseSSH takes "!HOST" or "://[USER@]HOST[:PORT][/NAME]".
func parseSSH(s, rest string) (Addr, error) {
	bad := func(why string) (Addr, error) {
		return Addr{}, fmt.Errorf("address %q: %s: expected ssh://[USER@]HOST[:PORT][/NAME] or ssh!HOST", s, why)
	}
	where, ok := strings.CutPrefix(rest, "://")
	if !ok {
		if where, ok = strings.CutPrefix(rest, "!"); !ok || strings.ContainsAny(where, ":/") {
			return bad("not an address")
		}
	}
	var t sshTarget
	t.user, t.host, t.port, t.name = splitSSH(where)
	switch n, err := strconv.Atoi(t.port); {
	case t.host == "":
		return bad("no host")
	case !forSSH(t.host, badInHost):
		return bad(fmt.Sprintf("bad host %q", t.host))
	case t.user != "" && !forSSH(t.user, badInUser):
		return bad(fmt.Sprintf("bad user %q", t.user))
	case t.port != "" && (err != nil || n < 1 || n > 65535):
		return bad(fmt.Sprintf("bad port %q", t.port))
	case badName(t.name) != "" || strings.ContainsAny(t.name, badInName) || strings.Contains(t.name, ":"):
		return bad(fmt.Sprintf("bad name of a server %q", t.name))
	}
	return Addr{Network: "ssh", Address: t.String()}, nil
}

// forSSH reports whether ssh may be given s: it is no option, and no text that
// means something to a shell.
func forSSH(s, bad string) bool {
	return !strings.HasPrefix(s, "-") && utf8.ValidString(s) && !strings.ContainsAny(s, bad) &&
		!strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) })
}

func parseFD(s, number string) (Addr, error) {
	// The runtime has descriptors of its own, far below this.
	const most = 1 << 20
	n, err := strconv.Atoi(number)
	if err != nil || n < 0 || n > most || strconv.Itoa(n) != number {
		return Addr{}, fmt.Errorf("address %q: expected fd!N with the number of a descriptor that is a socket", s)
	}
	return Addr{Network: "fd", Address: number}, nil
}

func parseSystemd(s, name string) (Addr, error) {
	if name == "" || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) {
		return Addr{}, fmt.Errorf("address %q: expected systemd, or systemd!NAME with the FileDescriptorName of a socket", s)
	}
	return Addr{Network: "systemd", Address: name}, nil
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

// errNotDialed and errNotListened are for addresses that are for one side.
var (
	errNotDialed   = errors.New("a client cannot go there: expected NAME, unix!PATH, tcp!HOST!PORT, tls!HOST!PORT, ssh://HOST or fd!N")
	errNotListened = errors.New("a server cannot listen there: expected NAME, unix!PATH, tcp!HOST!PORT, tls!HOST!PORT, fd!N or systemd")
)
