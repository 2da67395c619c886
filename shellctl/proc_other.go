//go:build !linux

package shellctl

import "errors"

// markAll would mark all descriptors close-on-exec.
func markAll() error { return errors.ErrUnsupported }

// sessionPIDs would list the processes of session sid.
func sessionPIDs(sid int) ([]int, error) { return nil, errors.ErrUnsupported }
