package client

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
)

// Errors to test for with errors.Is. The first three are those of io/fs.
var (
	ErrNotExist   = fs.ErrNotExist
	ErrExist      = fs.ErrExist
	ErrPermission = fs.ErrPermission

	// ErrLost says that the connection is gone. It wraps the reason.
	ErrLost = errors.New("connection lost")
)

var (
	errClosed  = fs.ErrClosed
	errFlushed = errors.New("request was flushed") // what a flushed call ends with
	errTags    = errors.New("too many requests are waiting for an answer")
	errFids    = errors.New("too many files are open")
)

// An Error is what the server said.
type Error struct{ Text string }

// Error returns the server's text as it is.
func (e *Error) Error() string { return e.Text }

// Is tells by the text whether e is one of the errors of this package: errors
// are text in 9P, and servers word them alike.
func (e *Error) Is(target error) bool {
	switch target {
	case ErrNotExist:
		return contains(e.Text, "does not exist", "not found", "no such file")
	case ErrExist:
		return contains(e.Text, "already exists", "file exists")
	case ErrPermission:
		return contains(e.Text, "permission denied")
	}
	return false
}

func contains(s string, oneOf ...string) bool {
	s = strings.ToLower(s)
	return slices.ContainsFunc(oneOf, func(sub string) bool { return strings.Contains(s, sub) })
}

// lost makes of the reason for which a connection ended the error that its
// callers get.
func lost(err error) error {
	if errors.Is(err, ErrLost) {
		return err
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: the server closed it", ErrLost)
	}
	return fmt.Errorf("%w: %w", ErrLost, err)
}

// broken says what the server did against the protocol.
func broken(format string, arg ...any) error {
	return fmt.Errorf("the server broke the protocol: "+format, arg...)
}
