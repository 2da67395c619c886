//go:build linux

package mount

import (
	"context"
	"fmt"
	"syscall"
	"testing"

	"hubfs/client"
	served "hubfs/tree"
)

// TestErrnos: what servers say, and what a program in the mount hears of it.
func TestErrnos(t *testing.T) {
	for said, want := range map[string]syscall.Errno{
		served.ErrNotExist.Error():   syscall.ENOENT,
		served.ErrExist.Error():      syscall.EEXIST,
		served.ErrPermission.Error(): syscall.EACCES,
		served.ErrIsDir.Error():      syscall.EISDIR,
		served.ErrNotDir.Error():     syscall.ENOTDIR,
		served.ErrNotEmpty.Error():   syscall.ENOTEMPTY,
		served.ErrBusy.Error():       syscall.EBUSY,
		served.ErrInvalid.Error():    syscall.EINVAL,
		served.ErrLimit.Error():      syscall.ENOSPC,

		"Is a directory":                              syscall.EISDIR,
		"directory is not empty":                      syscall.ENOTEMPTY,
		"No space left on device":                     syscall.ENOSPC,
		"hub h has ended":                             syscall.EPIPE,
		"discarded: h starts at 7":                    syscall.ESPIPE,
		"Resources already released":                  syscall.EPIPE,
		"Resources already in use":                    syscall.EBUSY,
		"No remote resources available":               syscall.EBUSY,
		"insufficient resources: 3 asked, 2 free":     syscall.EBUSY,
		"not started":                                 syscall.ESRCH,
		`unknown command "x": expected res, exec`:     syscall.EINVAL,
		"only rob may do that: permission denied":     syscall.EACCES,
		"something nobody has thought of":             syscall.EIO,
		"wstat prohibited":                            syscall.EPERM,
		"wstat can't convert between files and other": syscall.EIO,
	} {
		err := fmt.Errorf("write ctl: %w", &client.Error{Text: said})
		if got := errnoOf(err); got != want {
			t.Errorf("%q is %v, want %v", said, got, want)
		}
	}
	for err, want := range map[error]syscall.Errno{
		nil:              0,
		context.Canceled: syscall.EINTR,
		fmt.Errorf("read h: %w: the server closed it", client.ErrLost): syscall.ENOTCONN,
		syscall.ENOTSUP: syscall.ENOTSUP,
	} {
		if got := errnoOf(err); got != want {
			t.Errorf("%v is %v, want %v", err, got, want)
		}
	}
}
