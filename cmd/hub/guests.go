package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"hubfs/cmd/hub/internal/server"
	"hubfs/transport"
)

// guestAddr is where guests reach a server: one of its listeners for TLS, by
// the name that this machine has for others.
func guestAddr(ctx context.Context, srv *server.Server, o inviteOptions) (transport.Addr, error) {
	at, err := listener(ctx, srv, o.listen)
	if err != nil {
		return at, err
	}
	if at.Pin == "" {
		// Only this user's own server on this machine has the key that we can see.
		if at.Pin, err = ownFingerprint(srv); err != nil {
			return at, err
		}
	}
	host, port, err := net.SplitHostPort(at.Address)
	if err != nil {
		return at, err
	}
	switch {
	case o.host != "":
		if h, p, err := net.SplitHostPort(o.host); err == nil {
			host, port = h, p
		} else {
			host = strings.Trim(o.host, "[]")
		}
	case anyHost(host):
		host = hostOf(srv.Addr)
	}
	at.Address = net.JoinHostPort(host, port)
	return at, nil
}

func ownFingerprint(srv *server.Server) (string, error) {
	if srv.Addr.Network != "unix" {
		return "", fmt.Errorf("server %s does not say by which key it is known", srv.Addr)
	}
	dir, err := transport.KeyDir()
	if err != nil {
		return "", err
	}
	key, err := transport.LoadKey(filepath.Join(dir, "server.pem"))
	if err != nil {
		return "", err
	}
	return key.Fingerprint(), nil
}

// listener returns where the server listens for TLS: at listen, which is begun
// if need be, or at what it has.
func listener(ctx context.Context, srv *server.Server, listen string) (transport.Addr, error) {
	before, err := srv.Listeners(ctx)
	if err != nil {
		return transport.Addr{}, err
	}
	if listen == "" {
		switch {
		case len(before) > 0:
			return before[0], nil
		case srv.Addr.Network == "tls":
			return srv.Addr, nil // it does not tell us, but so we came
		}
		return transport.Addr{}, &server.Error{
			Text: fmt.Sprintf("server %s does not listen for guests", srv.Addr),
			Hint: "--listen :7777 has it listen at that port, for TLS",
		}
	}
	want, err := listenAddr(listen)
	if err != nil {
		return want, err
	}
	if i := slices.IndexFunc(before, func(a transport.Addr) bool { return a.Address == want.Address }); i >= 0 {
		return before[i], nil
	}
	if err := srv.Ctl(ctx, "listen", want.String()); err != nil {
		return want, err
	}
	after, err := srv.Listeners(ctx)
	if err != nil {
		return want, err
	}
	for _, a := range after {
		if !slices.Contains(before, a) { // the port may have been chosen by the system
			return a, nil
		}
	}
	return want, errors.New("the server listens, and does not say where")
}

// listenAddr reads :PORT, HOST:PORT or tls://HOST:PORT.
func listenAddr(s string) (transport.Addr, error) {
	if !strings.Contains(s, "://") && !strings.Contains(s, "!") {
		host, port, err := net.SplitHostPort(s)
		if err != nil {
			return transport.Addr{}, usagef("--listen %s: expected :PORT or HOST:PORT", s)
		}
		if host == "" {
			host = "*"
		}
		s = "tls!" + host + "!" + port
		if strings.Contains(host, ":") {
			s = "tls://" + net.JoinHostPort(host, port)
		}
	}
	a, err := transport.Parse(s)
	if err != nil || a.Network != "tls" {
		return a, usagef("--listen %s: expected :PORT or HOST:PORT", s)
	}
	return a, nil
}

// anyHost reports whether a listener takes what comes for any address.
func anyHost(host string) bool {
	ip := net.ParseIP(host)
	return host == "" || host == "*" || ip != nil && ip.IsUnspecified()
}

// hostOf is what others call the machine of a server, as far as we know.
func hostOf(a transport.Addr) string {
	switch a.Network {
	case "ssh":
		host, _, _ := strings.Cut(a.Address, "/")
		if i := strings.LastIndex(host, "@"); i >= 0 {
			host = host[i+1:]
		}
		if h, _, err := net.SplitHostPort(host); err == nil {
			return h
		}
		return strings.Trim(host, "[]")
	case "tls", "tcp":
		if h, _, err := net.SplitHostPort(a.Address); err == nil && !anyHost(h) {
			return h
		}
	}
	name, err := os.Hostname()
	if err == nil && strings.Contains(name, ".") {
		return name
	}
	if ip := globalAddress(); ip != "" {
		return ip
	}
	if err != nil || name == "" {
		return "localhost"
	}
	return name
}

// globalAddress is the first address of this machine that others may reach; ""
// if there is none.
func globalAddress() string {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return ""
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() {
			return n.IP.String()
		}
	}
	return ""
}
