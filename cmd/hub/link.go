package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"golang.org/x/term"

	"hubfs/transport"
)

// parseServer reads what -s takes: an address, or a link, which is an address,
// perhaps with a secret that lets us in.
func parseServer(s string) (transport.Link, error) {
	if transport.IsLink(s) {
		return transport.ParseLink(s)
	}
	addr, err := transport.Parse(s)
	return transport.Link{Addr: addr}, err
}

// follow makes a link the server that the command is about, and returns the
// shell that it leads to.
func (a *app) follow(link string) (name string, err error) {
	if a.serverFlag != "" {
		return "", usagef("a link says which server: expected no -s")
	}
	l, err := transport.ParseLink(link)
	if err != nil {
		return "", &usageError{err: err, hint: "hub invite and hub share print links"}
	}
	if l.Name == "" {
		return "", usagef("the link names no shell: expected hub://HOST:PORT/NAME")
	}
	a.serverFlag = link
	return l.Name, nil
}

// maxLink is how much of standard input a link may be.
const maxLink = 4096

// readLink reads a link from standard input, where it is not seen in a list of
// processes or a shell's history; from a terminal it is read unseen. Where
// standard input is none, what is typed later comes from the controlling one.
func (a *app) readLink() (link string, err error) {
	if fd := int(os.Stdin.Fd()); term.IsTerminal(fd) {
		line, err := readUnseen(fd)
		if err != nil {
			return "", fmt.Errorf("read a link: %w", err)
		}
		return linkIn(line)
	}
	line, err := bufio.NewReader(io.LimitReader(a.stdin, maxLink)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read a link: %w", err)
	}
	if link, err = linkIn(line); err != nil {
		return "", err
	}
	if a.terminal, err = os.OpenFile("/dev/tty", os.O_RDWR|syscall.O_NOCTTY, 0); err != nil {
		return "", fmt.Errorf("hub attach -: no terminal to type at: %w", err)
	}
	return link, nil
}

// readUnseen asks for a line at a terminal. It asks when nothing is echoed any
// more: who pastes does not wait.
func readUnseen(fd int) (string, error) {
	was, err := term.MakeRaw(fd)
	if err != nil {
		return "", err
	}
	defer term.Restore(fd, was)
	tty := struct {
		io.Reader
		io.Writer
	}{os.Stdin, os.Stderr}
	return term.NewTerminal(tty, "").ReadPassword("link: ")
}

// linkIn is the link in a line, which may be the whole command that hub invite
// prints.
func linkIn(line string) (string, error) {
	for _, word := range strings.Fields(line) {
		if word = strings.Trim(word, `'"`); transport.IsLink(word) {
			return word, nil
		}
	}
	return "", usagef("hub attach -: expected a link on standard input, hub://HOST:PORT/NAME#...")
}
