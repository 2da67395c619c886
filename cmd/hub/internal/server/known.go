package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"hubfs/internal/flock"
	"hubfs/internal/wholefile"
	"hubfs/transport"
)

// Known is the file of the tls servers that this user has been let in to: a
// line of HOST:PORT and the fingerprint of its key for each. What is in it came
// with a link; nothing is trusted because it was met first.
type Known struct{ path string }

// KnownServers returns the user's file, which need not be there yet.
func KnownServers() (Known, error) {
	dir, err := transport.KeyDir()
	if err != nil {
		return Known{}, err
	}
	return Known{filepath.Join(dir, "known")}, nil
}

// Pin returns the fingerprint of the server at address, HOST:PORT; "" if it is
// not known.
func (k Known) Pin(address string) (string, error) {
	data, err := os.ReadFile(k.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("known servers: %w", err)
	}
	return pinIn(string(data), address), nil
}

func pinIn(text, address string) string {
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) >= 2 && f[0] == address {
			return f[1]
		}
	}
	return ""
}

// Remember notes a server's fingerprint. Another one than before is an error.
func (k Known) Remember(ctx context.Context, address, pin string) error {
	if err := k.remember(ctx, address, pin); err != nil {
		return fmt.Errorf("remember server %s: %w", address, err)
	}
	return nil
}

func (k Known) remember(ctx context.Context, address, pin string) error {
	if err := os.MkdirAll(filepath.Dir(k.path), 0o700); err != nil {
		return err
	}
	// The lock is of a file of its own: the other gets a new one under its name.
	lock, err := os.OpenFile(k.path+".lock", os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	if err := flock.Lock(ctx, lock); err != nil {
		return err
	}
	defer lock.Close()
	data, err := os.ReadFile(k.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	switch old := pinIn(string(data), address); {
	case old == pin:
		return nil
	case old != "":
		return k.otherKey(address, old, pin)
	}
	if n := len(data); n > 0 && data[n-1] != '\n' {
		data = append(data, '\n')
	}
	return wholefile.Replace(k.path, fmt.Appendf(data, "%s %s\n", address, pin))
}

func (k Known) otherKey(address, old, pin string) error {
	return &Error{
		Text: fmt.Sprintf("server %s is known by the key %s, and this is another: %s: refused", address, old, pin),
		Hint: fmt.Sprintf("somebody may pose as it; if it has a new key and you trust who says so, remove its line from %s", k.path),
		Err:  errors.Join(transport.ErrRefused, ErrUnreachable),
	}
}

// pinned returns a with the fingerprint by which we know the server.
func (k Known) pinned(a transport.Addr) (transport.Addr, error) {
	pin, err := k.Pin(a.Address)
	switch {
	case err != nil || pin == "" || pin == a.Pin:
	case a.Pin == "":
		a.Pin = pin
	default:
		err = k.otherKey(a.Address, pin, a.Pin)
	}
	return a, err
}
