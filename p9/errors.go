package p9

import (
	"errors"
	"fmt"

	"hubfs/tree"
)

// A protoError is what the server itself has to say about a request. The
// texts are those that Linux's v9fs maps to an errno (net/9p/error.c) where it
// has one for the case.
type protoError string

func (e protoError) Error() string { return string(e) }

const (
	errUnknownFid  protoError = "fid unknown or out of range"
	errFidInUse    protoError = "fid already in use"
	errBadUse      protoError = "bad use of fid"
	errDirOffset   protoError = "bad offset in directory read"
	errElement     protoError = "illegal path element"
	errName        protoError = "illegal name"
	errMode        protoError = "illegal mode"
	errExclusive   protoError = "exclusive use file already open"
	errRemoveRoot  protoError = "cannot remove root"
	errWstat       protoError = "wstat prohibited"
	errWstatDir    protoError = "wstat can't convert between files and directories"
	errDirCount    protoError = "read count too small for a directory entry"
	errNoAuth      protoError = "no authentication required"
	errNotAfid     protoError = "afid is no open authentication"
	errOtherAfid   protoError = "afid is for another user or tree"
	errAuthWrite   protoError = "expected \"token TOKEN\", in one write"
	errAuthTwice   protoError = "logged in already"
	errNoVersion   protoError = "Tversion has to come first"
	errSmallMsize  protoError = "msize is too small"
	errDupTag      protoError = "tag is in use"
	errClunked     protoError = "fid was clunked"
	errReplySize   protoError = "reply is longer than msize"
	errNothingDone protoError = "i/o error"
)

// errLogin is what a peer gets that is nobody yet, or not any more.
var errLogin = fmt.Errorf("%w: this server wants a token or a key that it knows", tree.ErrPermission)

// ename returns the text of an Rerror. This is the one place that chooses it.
//
// An error that is one of package tree's gets the very words that clients
// know. One that wraps it keeps its own text, which says more to a person;
// but v9fs knows errors by their exact words alone, so that it (linux) gets
// the words of what is wrapped, and an i/o error for what it does not know.
func ename(err error, linux bool) string {
	is := func(kind error) bool {
		return err == kind || linux && errors.Is(err, kind)
	}
	var own protoError
	switch {
	case is(tree.ErrNotExist):
		return "file does not exist"
	case is(tree.ErrExist):
		return "file already exists"
	case is(tree.ErrPermission):
		return "permission denied"
	case is(tree.ErrIsDir):
		return "Is a directory"
	case is(tree.ErrNotDir):
		return "not a directory"
	case is(tree.ErrNotEmpty):
		return "directory is not empty"
	case is(tree.ErrBusy):
		return "file is in use"
	case is(tree.ErrInvalid):
		return "Invalid argument"
	case is(tree.ErrLimit):
		return "No space left on device"
	case errors.As(err, &own):
		return err.Error()
	case linux:
		return "i/o error"
	}
	return err.Error()
}
