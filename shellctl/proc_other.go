//go:build !linux

package shellctl

import (
	"errors"
	"time"
)

// markAll would mark all descriptors close-on-exec.
func markAll() error { return errors.ErrUnsupported }

// sessionPIDs would list the processes of session sid.
func sessionPIDs(sid int) ([]int, error) { return nil, errors.ErrUnsupported }

// sessionEnds waits for the end of the session as far as the system shows it.
func (s *Shell) sessionEnds(within time.Duration) bool { return s.groupEnds(within) }
