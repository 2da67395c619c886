package tree

import "errors"

// Errors that mean the same wherever they come from. The server turns them
// into the words that 9P clients know; an error that wraps one of them keeps
// its own, longer text where the client can show it.
var (
	ErrNotExist   = errors.New("file does not exist")
	ErrExist      = errors.New("file already exists")
	ErrPermission = errors.New("permission denied")
	ErrIsDir      = errors.New("is a directory")
	ErrNotDir     = errors.New("not a directory")
	ErrNotEmpty   = errors.New("directory not empty")
	ErrBusy       = errors.New("file is in use")
	ErrInvalid    = errors.New("invalid argument")
	ErrLimit      = errors.New("limit reached")
)
