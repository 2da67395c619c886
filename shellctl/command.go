package shellctl

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// command prepares the process of spec.
func command(spec Spec) (*exec.Cmd, error) {
	if len(spec.Argv) == 0 || spec.Argv[0] == "" {
		return nil, errors.New("no command to run")
	}
	env := spec.Env
	if env == nil {
		env = os.Environ()
	}
	path, err := Find(spec.Argv[0], spec.Dir, env)
	if err != nil {
		return nil, err
	}
	if filepath.IsAbs(spec.Dir) {
		// The name that the user gave, which may lead through symbolic links.
		env = append(slices.Clip(env), "PWD="+spec.Dir)
	}
	return &exec.Cmd{
		Path: path,
		Args: spec.Argv,
		Dir:  spec.Dir,
		Env:  env,
		// A session of its own, whatever it runs on: so that signals to the
		// server's group do not reach it, and all of it can be ended.
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}, nil
}

// Find returns the file of a command that is to start in dir ("" is our own
// directory) with the environment env. The error says in a person's words what is
// wrong with the directory or the command: after a fork, all that is known is
// that one of them does not exist.
func Find(name, dir string, env []string) (string, error) {
	if dir != "" {
		switch fi, err := os.Stat(dir); {
		case errors.Is(err, fs.ErrNotExist):
			return "", fmt.Errorf("no such directory: %s", dir)
		case err != nil:
			return "", fmt.Errorf("directory %s: %w", dir, errors.Unwrap(err))
		case !fi.IsDir():
			return "", fmt.Errorf("not a directory: %s", dir)
		case unix.Access(dir, unix.X_OK) != nil:
			return "", fmt.Errorf("directory %s: %w", dir, unix.EACCES)
		}
	}
	return lookPath(name, dir, env)
}

// lookPath finds the file of a command as a shell in env would, which may have
// another PATH than ours.
func lookPath(name, dir string, env []string) (string, error) {
	if strings.Contains(name, "/") {
		at := name
		if !filepath.IsAbs(name) {
			at = filepath.Join(dir, name)
		}
		if err := executable(at); err != nil {
			return "", cannotRun(name, err)
		}
		return name, nil
	}
	var path string
	for _, kv := range env { // the last one counts, as for exec.Cmd
		if v, ok := strings.CutPrefix(kv, "PATH="); ok {
			path = v
		}
	}
	found := fs.ErrNotExist
	for _, d := range filepath.SplitList(path) {
		if !filepath.IsAbs(d) {
			continue // never a program that happens to lie in the directory
		}
		at := filepath.Join(d, name)
		err := executable(at)
		if err == nil {
			return at, nil
		}
		if errors.Is(err, fs.ErrPermission) {
			found = err
		}
	}
	return "", cannotRun(name, found)
}

// executable reports why path cannot be run.
func executable(path string) error {
	fi, err := os.Stat(path)
	if err != nil {
		return err
	}
	if fi.IsDir() {
		return fs.ErrPermission
	}
	return unix.Access(path, unix.X_OK)
}

func cannotRun(name string, err error) error {
	var pathErr *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("command not found: %s", name)
	case errors.As(err, &pathErr):
		err = pathErr.Err
	}
	return fmt.Errorf("cannot run %s: %w", name, err)
}

// closeOnExec keeps descriptors that we were started with from the processes
// that we start: a log that somebody's shell had open as 3 would stay open as
// long as any of ours. Those that Go opens are marked already, so marking is
// never wrong.
func closeOnExec() {
	if markAll() == nil {
		return
	}
	names, err := os.ReadDir("/dev/fd")
	if err != nil {
		return // we cannot know them
	}
	for _, name := range names {
		if fd, err := strconv.Atoi(name.Name()); err == nil && fd > 2 {
			syscall.CloseOnExec(fd)
		}
	}
}
