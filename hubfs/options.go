package hubfs

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"

	"hubfs/internal/lex"
	"hubfs/shellctl"
	"hubfs/tree"
)

const (
	shellUsage = "NAME [-d DIR] [-e K=V]... [-s ROWSxCOLS] [-p] [--] [CMD ARG...]"
	hostUsage  = "NAME [key=KEY] [-s ROWSxCOLS] [--] [CMD ARG...]"
)

// Options that the words shell and host have.
const (
	shellFlags = "desp"
	hostFlags  = "s"
)

// Size of a shell that was given none.
const (
	defaultRows = 24
	defaultCols = 80
)

// shellOptions are the arguments of the words shell and host.
type shellOptions struct {
	name       string
	dir        string   // "": the home directory
	env        []string // of -e
	rows, cols int
	pipe       bool     // no PTY
	argv       []string // nil: the login shell
	hosted     bool
	key        string // of the word host; "": none
}

// parseShell reads the arguments. Options may stand before the name or behind
// it; what follows the options behind it is the command. flags are the options
// that there are, shellFlags or hostFlags.
func parseShell(args []string, flags string) (shellOptions, error) {
	o := shellOptions{rows: defaultRows, cols: defaultCols}
	fail := func(format string, v ...any) (shellOptions, error) {
		return shellOptions{}, lex.Malformed(format, v...)
	}
	for len(args) > 0 {
		arg := args[0]
		if arg == "--" && o.name != "" {
			o.argv = args[1:]
			break
		}
		if !strings.HasPrefix(arg, "-") {
			if o.name == "" {
				o.name, args = arg, args[1:]
				continue
			}
			key, ok := strings.CutPrefix(arg, "key=")
			if !ok || flags != hostFlags {
				o.argv = args
				break
			}
			if !isInputKey(key) {
				return fail("key: 16 to 64 letters, digits, - or _")
			}
			o.key, args = key, args[1:]
			continue
		}
		if len(arg) != 2 || !strings.Contains(flags, arg[1:]) {
			return fail("unknown option %q", lex.Clip(arg))
		}
		if args = args[1:]; arg == "-p" {
			o.pipe = true
			continue
		}
		if len(args) == 0 {
			return fail("%s wants an argument", arg)
		}
		var err error
		switch arg {
		case "-d":
			o.dir = args[0]
		case "-e":
			if k, _, ok := strings.Cut(args[0], "="); !ok || k == "" {
				return fail("-e %q is not K=V", lex.Clip(args[0]))
			}
			o.env = append(o.env, args[0])
		case "-s":
			o.rows, o.cols, err = parseSize(args[0])
		}
		if err != nil {
			return shellOptions{}, err
		}
		args = args[1:]
	}
	if o.name == "" {
		return fail("no name")
	}
	return o, checkShellName(o.name)
}

// parseSize reads ROWSxCOLS.
func parseSize(s string) (rows, cols int, err error) {
	r, c, ok := strings.Cut(s, "x")
	if !ok {
		return 0, 0, lex.Malformed("%q is not ROWSxCOLS", lex.Clip(s))
	}
	return parseSides(r, c)
}

// parseSides reads rows and columns.
func parseSides(r, c string) (rows, cols int, err error) {
	if rows, err = parseSide("rows", r); err == nil {
		cols, err = parseSide("columns", c)
	}
	return rows, cols, err
}

func parseSide(what, s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > MaxSide {
		return 0, lex.Malformed("%q is not a number of %s from 1 to %d", lex.Clip(s), what, MaxSide)
	}
	return n, nil
}

// shellWord is the word shell.
func (fs *FS) shellWord(c *tree.Caller, args []string) error {
	o, err := parseShell(args, shellFlags)
	if err != nil {
		return err
	}
	if len(o.argv) == 0 {
		o.argv = []string{fs.loginShell()}
	}
	if o.dir == "" {
		o.dir = homeDir()
	}
	if !strings.HasPrefix(o.dir, "/") {
		return fmt.Errorf("shell: directory %q is not absolute, and the server is nowhere: %w", lex.Clip(o.dir), tree.ErrInvalid)
	}
	term := "TERM=xterm-256color"
	if o.pipe {
		term = "TERM=dumb"
	}
	env := []string{term, "HUB_SHELL=" + o.name}
	env = append(env, fs.cfg.Env...)
	o.env = append(env, o.env...) // of two of one name the last counts
	return fs.startHere(c, o)
}

// spec says what to start.
func (o shellOptions) spec() shellctl.Spec {
	return shellctl.Spec{
		Argv: o.argv,
		Dir:  o.dir,
		Env:  append(os.Environ(), o.env...),
		Rows: o.rows,
		Cols: o.cols,
		Pipe: o.pipe,
	}
}

// homeDir is where shells start that were given no directory.
func homeDir() string {
	if home, err := os.UserHomeDir(); err == nil {
		if fi, err := os.Stat(home); err == nil && fi.IsDir() {
			return home
		}
	}
	return "/"
}

// loginShell is what runs in a shell without a command.
func (fs *FS) loginShell() string {
	for _, sh := range []string{fs.cfg.Shell, os.Getenv("SHELL"), passwdShell("/etc/passwd", os.Getuid())} {
		if sh != "" {
			return sh
		}
	}
	return "/bin/sh"
}

// passwdShell returns the shell of a user in a file like /etc/passwd, "" if it
// names none. Package os/user does not tell.
func passwdShell(file string, uid int) string {
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	sc := bufio.NewScanner(f)
	for sc.Scan() {
		if p := strings.Split(sc.Text(), ":"); len(p) == 7 && p[2] == strconv.Itoa(uid) {
			return p[6]
		}
	}
	return ""
}
