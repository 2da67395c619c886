package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"hubfs/e2e/internal/dialogue"
)

func TestMain(m *testing.M) {
	dialogue.Leader() // does not return in a process that is one
	streamReaders()   // likewise
	code := m.Run()
	programs.remove()
	os.Exit(code)
}

// programs are the programs under test, built when the first test asks, so
// that a benchmark of peers alone needs none of them.
var programs built

type built struct {
	once sync.Once
	dir  string
	err  error
}

// in returns the directory that holds hub and hubfs. They are built with the
// race detector if this test is, for then they are what it looks at.
func (p *built) in(tb testing.TB) string {
	tb.Helper()
	p.once.Do(func() { p.err = p.build() })
	if p.err != nil {
		tb.Fatal(p.err)
	}
	return p.dir
}

func (p *built) build() (err error) {
	if p.dir, err = os.MkdirTemp("", "hub-e2e-bin"); err != nil {
		return err
	}
	if err := statSources(); err != nil {
		return err
	}
	args := []string{"build", "-o", p.dir + string(filepath.Separator)}
	env := os.Environ()
	if raceEnabled {
		args = append(args, "-race")
	} else {
		env = append(env, "CGO_ENABLED=0") // as the README has it: half the time to start
	}
	cmd := exec.Command("go", append(args, "hubfs/cmd/hub", "hubfs/cmd/hubfs")...)
	cmd.Env = env
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w\n%s", cmd, err, out)
	}
	return nil
}

// statSources looks at every source of the programs. go test notes what a test
// looks at, and so does not take the result of an earlier run for programs that
// have changed since: it sees no import of them.
func statSources() error {
	return filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err == nil && filepath.Ext(path) == ".go" {
			_, err = os.Stat(path)
		}
		return err
	})
}

func (p *built) remove() {
	if p.dir != "" {
		os.RemoveAll(p.dir)
	}
}

// exitCode is the status of a command that has been run: 0 without an error.
func exitCode(err error) (int, error) {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0, nil
	case errors.As(err, &exit) && exit.ExitCode() >= 0:
		return exit.ExitCode(), nil
	}
	return -1, err
}
