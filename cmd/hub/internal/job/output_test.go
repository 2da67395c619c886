package job_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hubfs/client"
	"hubfs/cmd/hub/internal/job"
	"hubfs/cmd/hub/internal/jobtest"
	"hubfs/cmd/hub/internal/server"
	"hubfs/transport"
)

// clone makes a session of a server that runs nothing.
func clone(t *testing.T) (*job.Job, *jobtest.Session) {
	t.Helper()
	r := jobtest.New(t)
	addr, err := transport.Parse(r.Addr)
	if err != nil {
		t.Fatal(err)
	}
	srv, err := server.Connect(t.Context(), addr, server.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { srv.Close() })
	j, err := job.Clone(t.Context(), srv)
	if err != nil {
		t.Fatal(err)
	}
	return j, r.Session(j.Number)
}

// TestAMarkIsNoEndOfOutput: anybody may set one while tasks run.
func TestAMarkIsNoEndOfOutput(t *testing.T) {
	j, s := clone(t)
	o, err := j.Output(t.Context(), "stdout")
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan string)
	over, done := make(chan struct{}), make(chan error, 1)
	go func() { // ends with the stream
		done <- o.Copy(t.Context(), over, func(p []byte) error { got <- string(p); return nil })
	}()
	s.Print("stdout", "a")
	if p := <-got; p != "a" {
		t.Errorf("%q", p)
	}
	s.Mark("stdout")
	s.Mark("stdout")
	s.Print("stdout", "b")
	if p := <-got; p != "b" {
		t.Errorf("%q", p)
	}
	s.Mark("stdout")
	close(over)
	s.Print("stdout", "c")
	if p := <-got; p != "c" {
		t.Errorf("%q", p)
	}
	s.Over()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestWhatIsSkippedIsTold: bytes are never lost silently.
func TestWhatIsSkippedIsTold(t *testing.T) {
	j, s := clone(t)
	s.Retain("stdout", 4)
	s.Print("stdout", "0123456789")
	s.Over()
	over := make(chan struct{})
	close(over)
	o, err := j.Output(t.Context(), "stdout")
	if err != nil {
		t.Fatal(err)
	}
	var skipped int64
	var got strings.Builder
	o.Skipped = func(n int64) { skipped += n }
	if err := o.Copy(t.Context(), over, func(p []byte) error { got.Write(p); return nil }); err != nil {
		t.Fatal(err)
	}
	if skipped+int64(got.Len()) != 10 || !strings.HasSuffix("0123456789", got.String()) {
		t.Errorf("%d bytes skipped, then %q", skipped, &got)
	}
}

func TestPush(t *testing.T) {
	j, s := clone(t)
	dir := t.TempDir()
	tool := filepath.Join(dir, "tool")
	for name, text := range map[string]string{"tool/run": "#!/bin/sh\n", "tool/data/x": "x", "one": ""} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o750); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("run", filepath.Join(tool, "link")); err != nil {
		t.Fatal(err)
	}
	if err := j.Push(t.Context(), []string{tool + "/", filepath.Join(dir, "one")}); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"fs/tool/": "755", "fs/tool/run": "750 #!/bin/sh\n", "fs/tool/link": "750 #!/bin/sh\n",
		"fs/tool/data/x": "750 x", "fs/one": "750 "} {
		if got := s.File(path); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}

	if err := os.Symlink("..", filepath.Join(tool, "up")); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		names []string
		want  string
	}{
		{[]string{tool}, "a link to a folder"},
		{[]string{filepath.Join(dir, "one"), filepath.Join(dir, "other", "one")}, "too"},
		{[]string{filepath.Join(dir, "nosuch")}, "no such file"},
		{[]string{"/"}, "with a name"},
		{[]string{os.DevNull}, "no file and no folder"},
	} {
		if err := j.Push(t.Context(), tt.names); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("push %v: %v", tt.names, err)
		}
	}
}

func TestAJobThatIsNotThere(t *testing.T) {
	j, _ := clone(t)
	if _, err := job.Find(t.Context(), j.Server(), 7); !errors.Is(err, client.ErrNotExist) || !strings.Contains(err.Error(), "no job remote/7 on server ") {
		t.Error(err)
	}
}
