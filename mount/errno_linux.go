package mount

import (
	"context"
	"errors"
	"strings"
	"syscall"

	"hubfs/client"
)

// The words with which servers of 9P say what has an errno, as Linux's own
// client of 9P knows them (net/9p/error.c) and hubfs says them.
var words = []struct {
	said  string
	errno syscall.Errno
}{
	{"permission denied", syscall.EACCES},
	{"wstat prohibited", syscall.EPERM},
	{"does not exist", syscall.ENOENT},
	{"not found", syscall.ENOENT},
	{"no such file", syscall.ENOENT},
	{"already exists", syscall.EEXIST},
	{"is a directory", syscall.EISDIR},
	{"not a directory", syscall.ENOTDIR},
	{"directory not empty", syscall.ENOTEMPTY},
	{"directory is not empty", syscall.ENOTEMPTY},
	{"in use", syscall.EBUSY},
	{"limit reached", syscall.ENOSPC},
	{"no space left", syscall.ENOSPC},
	{"invalid argument", syscall.EINVAL},
	{"illegal name", syscall.EINVAL},
	{"illegal mode", syscall.EINVAL},
	{"expected", syscall.EINVAL}, // a word of a ctl file: what was expected
	{"unknown", syscall.EINVAL},
	{"has ended", syscall.EPIPE}, // nothing more is taken
	{"released", syscall.EPIPE},
	{"resources", syscall.EBUSY}, // a session's
	{"not started", syscall.ESRCH},
	{"gap:", syscall.ESPIPE}, // a write through NAME@ beyond the end
	{"conflict:", syscall.ESPIPE},
	{"discarded:", syscall.ESPIPE}, // a read of what is kept no more
}

// errno is what a system call says of err, which came of op on the file at path.
// What it cannot say goes to the log.
func (t *tree) errno(op, path string, err error) syscall.Errno {
	e := errnoOf(err)
	if e != 0 && e != syscall.EINTR && e != syscall.ENOENT {
		t.complaints.add(op, path, err)
	}
	return e
}

// reason is what the server said, without where.
func reason(err error) string {
	if said := (*client.Error)(nil); errors.As(err, &said) {
		return said.Text
	}
	return err.Error()
}

// errnoOf tells by the words what it was: errors are text in 9P.
func errnoOf(err error) syscall.Errno {
	var said *client.Error
	var own syscall.Errno
	switch {
	case err == nil:
		return 0
	case errors.Is(err, client.ErrLost):
		return syscall.ENOTCONN
	case errors.Is(err, context.Canceled):
		return syscall.EINTR
	case errors.As(err, &own):
		return own
	case errors.As(err, &said):
		text := strings.ToLower(said.Text)
		for _, w := range words {
			if strings.Contains(text, w.said) {
				return w.errno
			}
		}
	}
	return syscall.EIO
}
