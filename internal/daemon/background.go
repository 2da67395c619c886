package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"hubfs/internal/flock"
	"hubfs/transport"
)

// readyFD is where a process that runs in the background finds the pipe on
// which its starter waits.
const readyFD = 3

// FirstFD is where it finds the first of the files that its starter gave it.
const FirstFD = readyFD + 1

// ReadyFlag is the flag that tells a program that somebody waits for it: it
// must call Ready when it serves, or cannot.
const ReadyFlag = "ready"

// maxLog is how large a log may be for the next server to append to it.
const maxLog = 1 << 20

// Dial connects to the server at a. If a is the NAME of a server that does
// not run, it starts this very program with args, which must make it that
// server, and connects then. The server ends by itself when it is idle.
//
// Of several processes that start a server at the same time one does; the
// others wait for it and join.
func Dial(ctx context.Context, a transport.Addr, args []string) (net.Conn, error) {
	c, err := transport.Dial(ctx, a)
	if !errors.Is(err, transport.ErrNotRunning) || !a.Local() {
		return c, err
	}
	// transport looks at the folder whenever it dials or listens, and refuses
	// one that is not private.
	if err := os.Mkdir(filepath.Dir(a.Address), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("start server %s: %w", a, err)
	}
	unlock, err := lockStart(ctx, a)
	if err != nil {
		return nil, fmt.Errorf("start server %s: %w", a, err)
	}
	defer unlock()
	// Somebody else may have started it while we waited for the lock.
	if c, err = transport.Dial(ctx, a); !errors.Is(err, transport.ErrNotRunning) {
		return c, err
	}
	err = Background(ctx, logPath(a), append(slices.Clone(args), "--idle", "1m", "--"+ReadyFlag))
	if err != nil && !errors.Is(err, transport.ErrInUse) {
		return nil, fmt.Errorf("start server %s: %w", a, err)
	}
	return transport.Dial(ctx, a)
}

// logPath is where a server in the background writes what it has to say.
func logPath(a transport.Addr) string {
	return strings.TrimSuffix(a.Address, ".sock") + ".log"
}

// lockStart takes the lock that starters of the server at a hold, one at a
// time, and waits for it.
func lockStart(ctx context.Context, a transport.Addr) (unlock func(), err error) {
	f, err := os.OpenFile(a.Address+".start", os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := flock.Lock(ctx, f); err != nil {
		return nil, err
	}
	return func() { f.Close() }, nil
}

// Background starts this very program with args, ReadyFlag among them, as a
// process that outlives the caller: in a session of its own, in the root folder, with nothing of
// the caller's input and output, its standard error in the file log. It has
// files as its descriptors from FirstFD on. It returns when the process says
// that it is ready, or with the reason why it is not.
func Background(ctx context.Context, log string, args []string, files ...*os.File) error {
	exe, err := Executable()
	if err != nil {
		return err
	}
	logFile, err := openLog(log)
	if err != nil {
		return err
	}
	defer logFile.Close()
	ready, childEnd, err := os.Pipe()
	if err != nil {
		return err
	}
	defer ready.Close()

	cmd := exec.Command(exe, args...)
	cmd.Args[0] = os.Args[0]
	cmd.Dir = "/"
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool {
		// They say in which shell the caller is, which the process is not.
		return strings.HasPrefix(v, "HUB_SHELL=") || strings.HasPrefix(v, "HUB_SERVER=")
	})
	cmd.Stderr = logFile
	cmd.ExtraFiles = append([]*os.File{childEnd}, files...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	childEnd.Close()
	if err != nil {
		return err
	}
	go cmd.Wait() // ends with the process, or with ours; leaves no zombie

	// A pipe's read ends when the process is ready, and when it is gone.
	stop := context.AfterFunc(ctx, func() { ready.Close() })
	defer stop()
	answer, err := io.ReadAll(io.LimitReader(ready, 4096))
	switch text := string(answer); {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return err
	case text == "ready":
		return nil
	case text == "":
		return fmt.Errorf("it ended at once: see %s", log)
	case strings.HasPrefix(text, "in use:"):
		return fmt.Errorf("%s: %w", strings.TrimPrefix(text, "in use:"), transport.ErrInUse)
	default:
		return errors.New(text)
	}
}

// Ready returns what a process started by Background calls once, with nil
// when it is ready, else with the reason why it is not.
func Ready() func(error) {
	// The processes that we start are not to hold the pipe open.
	syscall.CloseOnExec(readyFD)
	f := os.NewFile(readyFD, "ready")
	return func(err error) {
		defer f.Close()
		switch {
		case err == nil:
			io.WriteString(f, "ready")
		case errors.Is(err, transport.ErrInUse):
			io.WriteString(f, "in use:"+err.Error())
		default:
			io.WriteString(f, err.Error())
		}
	}
}

// Executable is this program's file. Under `go run` it is deleted when the
// go command ends; Linux still finds it then.
func Executable() (string, error) {
	exe, err := os.Executable()
	if err == nil {
		if _, err = os.Stat(exe); err == nil {
			return exe, nil
		}
	}
	if runtime.GOOS == "linux" {
		return "/proc/self/exe", nil
	}
	return "", fmt.Errorf("find this program's file: %w", err)
}

// openLog opens a log for appending, and begins anew when it has grown large.
func openLog(path string) (*os.File, error) {
	flags := os.O_WRONLY | os.O_CREATE | os.O_APPEND | syscall.O_NOFOLLOW
	if fi, err := os.Lstat(path); err == nil && fi.Size() > maxLog {
		flags |= os.O_TRUNC
	}
	return os.OpenFile(path, flags, 0o600)
}

// Log makes the log of a server: on w, or in the file at path if there is one.
func Log(path string, w io.Writer, trace bool) (*slog.Logger, func() error, error) {
	done := func() error { return nil }
	if path != "" {
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			return nil, nil, err
		}
		w, done = f, f.Close
	}
	level := slog.LevelInfo
	if trace {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level})), done, nil
}

// Dir is the private folder in which the sockets of servers are, and the logs
// of what runs in the background.
func Dir() (string, error) {
	a, err := transport.Parse("default")
	if err != nil {
		return "", err
	}
	dir := filepath.Dir(a.Address)
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	return dir, nil
}
