package e2e

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestTranscriptsOf2010Mounted replays them with cat, echo and Python on a mounted
// tree. Of errors there is only that there is one: which one is errno's to say.
func TestTranscriptsOf2010Mounted(t *testing.T) {
	if _, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0); err != nil {
		t.Skipf("nothing can be mounted here: %v", err)
	}
	if _, err := exec.LookPath("fusermount3"); err != nil {
		if _, err := exec.LookPath("fusermount"); err != nil {
			t.Skip("nothing can be mounted here: no fusermount3, which Debian has in fuse3")
		}
	}
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3")
	}
	eachTranscript(t, func(t *testing.T, n *nodes) player {
		dir := filepath.Join(n.w.dir, "m")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		n.w.want("-s", "root", "mount", dir)
		p := &mountedPlayer{t: t, w: n.w, dir: dir}
		p.shell = p.start(n, "/bin/sh")
		p.snake = p.start(n, python, "-u", "-c", snake)
		if _, err := p.shell.say("cd " + dir); err != nil {
			t.Fatal(err)
		}
		return p
	})
}

// A mountedPlayer has a shell and a Python that stand in the mounted tree.
type mountedPlayer struct {
	t            *testing.T
	w            *world
	dir          string
	shell, snake *speaker
}

// A speaker is a program that is told lines and says what came of each.
type speaker struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
	err *lockedBuffer
	ask func(line string) string
}

// ended stands at the end of what came of a line, with the status behind it.
const ended = "=-=-= "

// snake is a Python that evaluates lines, and prints no value.
const snake = `
import sys
names = {}
for line in sys.stdin:
    status = 0
    try:
        exec(line, names)
    except BaseException as e:
        status = 1
        print(e, file=sys.stderr)
    print("\n` + ended + `%d" % status, flush=True)
`

func (p *mountedPlayer) start(n *nodes, name string, args ...string) *speaker {
	s := &speaker{t: p.t, cmd: n.w.command(name, args...), err: new(lockedBuffer), ask: func(line string) string { return line + "\n" }}
	if len(args) == 0 {
		s.ask = func(line string) string { return line + "\nprintf '\\n" + ended + "%d\\n' $?\n" }
	}
	s.cmd.Dir = p.dir
	s.cmd.Stderr = s.err
	var err error
	if s.in, err = s.cmd.StdinPipe(); err != nil {
		p.t.Fatal(err)
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	s.out = bufio.NewReader(out)
	if err := s.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	return s
}

// say has the program do a line, and returns what it prints.
func (s *speaker) say(line string) (string, error) {
	if _, err := io.WriteString(s.in, s.ask(line)); err != nil {
		return "", err
	}
	late := time.AfterFunc(patience, func() { s.cmd.Process.Kill() })
	defer late.Stop()
	var b strings.Builder
	for {
		got, err := s.out.ReadString('\n')
		if err != nil {
			return b.String(), fmt.Errorf("%s: %w; it said: %s", line, err, s.err)
		}
		if status, ok := strings.CutPrefix(got, ended); ok {
			out := strings.TrimSuffix(b.String(), "\n") // that of ended
			if status != "0\n" {
				return out, errors.New("failed: " + s.err.String())
			}
			return out, nil
		}
		b.WriteString(got)
	}
}

// end has the program end.
func (s *speaker) end() {
	s.in.Close()
	late := time.AfterFunc(patience, func() { s.cmd.Process.Kill() })
	defer late.Stop()
	s.cmd.Wait()
}

// end leaves the mounted tree, and unmounts it.
func (p *mountedPlayer) end() {
	p.shell.end()
	p.snake.end()
	p.w.want("umount", p.dir)
}

func (p *mountedPlayer) sh(command string) (string, error) {
	word, rest, _ := strings.Cut(command, " ")
	if word != "tree" && word != "ls" {
		return p.shell.say(command)
	}
	at, err := p.shell.say("pwd")
	if err != nil {
		return "", err
	}
	at = strings.TrimSuffix(at, "\n")
	if word == "ls" {
		return listLong(folders{}, at)
	}
	name, dirs := strings.CutPrefix(rest, "-d ")
	return drawTree(folders{}, filepath.Join(at, name), name, dirs)
}

func (p *mountedPlayer) python(expression string) (string, error) { return p.snake.say(expression) }

// folders lists what is mounted.
type folders struct{}

func (folders) list(dir string) ([]entry, error) {
	all, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var entries []entry
	for _, e := range all {
		info, err := e.Info()
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry{e.Name(), info.Mode().Perm() | info.Mode()&os.ModeDir})
	}
	slices.SortFunc(entries, func(a, b entry) int { return cmp.Compare(a.name, b.name) })
	return entries, nil
}
