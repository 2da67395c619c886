// Package job is a session of taskfs as hub's commands see it: one command on
// many nodes, whose files are in /remote/N.
//
// # Ordering
//
// The lines of wait come in the order in which tasks end. Output that Copy
// gives is in the order of the stream, each byte once. Nothing is promised
// between the two: what a task wrote may be read after the line that says that
// it has ended, and so a job is over when its streams are.
//
// # Blocking
//
// What asks the server takes a context. Nothing here touches a terminal but
// Screen, which writes in the goroutine of the caller.
//
// # Ownership
//
// A Job that was cloned holds the control file of its session. Close lets go of
// it, which ends the session unless Persist was called: so does a connection
// that is lost.
package job

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"hubfs/client"
	"hubfs/cmd/hub/internal/server"
)

// Dir is the folder of the sessions.
const Dir = "/remote"

// A Job is a session of a server.
type Job struct {
	Number int

	srv *server.Server
	ctl *client.File // nil: the session is held by others, or persists
}

// ParseName reads the name of a job, remote/3.
func ParseName(s string) (number int, ok bool) {
	digits, ok := strings.CutPrefix(strings.TrimPrefix(s, "/"), "remote/")
	if !ok || digits == "" || digits[0] == '+' || digits[0] == '-' {
		return 0, false
	}
	n, err := strconv.Atoi(digits)
	return n, err == nil
}

// Of returns the job that a hub is a stream of, as remote/3/stdout, if it is one's.
func Of(hub string) (number int, ok bool) {
	rest, ok := strings.CutPrefix(hub, "remote/")
	digits, _, below := strings.Cut(rest, "/")
	if !ok || !below {
		return 0, false
	}
	return ParseName("remote/" + digits)
}

// Name is what people call the job.
func Name(number int) string { return "remote/" + strconv.Itoa(number) }

// Clone makes a new session. It is an error that has a hint if the server knows
// none.
func Clone(ctx context.Context, srv *server.Server) (*Job, error) {
	buf := make([]byte, 32)
	f, n, err := srv.OpenRead(ctx, Dir+"/clone", client.ORDWR, buf)
	if err != nil {
		return nil, noRemote(srv, err)
	}
	number, err := strconv.Atoi(strings.TrimSpace(string(buf[:n])))
	if err != nil || number < 0 {
		f.Close()
		return nil, fmt.Errorf("read %s/clone: expected the number of a session, not %q", Dir, buf[:n])
	}
	return &Job{Number: number, srv: srv, ctl: f}, nil
}

// noRemote makes err, which came of opening a file of /remote, say what it means
// that there is none.
func noRemote(srv *server.Server, err error) error {
	if !errors.Is(err, client.ErrNotExist) {
		return err
	}
	return &server.Error{
		Text: fmt.Sprintf("server %s runs no jobs for us", srv.Addr),
		Hint: "it is older than this hub, or what let us in is not for its nodes",
		Err:  err,
	}
}

// Find returns a job that there is.
func Find(ctx context.Context, srv *server.Server, number int) (*Job, error) {
	j := &Job{Number: number, srv: srv}
	if _, err := srv.Stat(ctx, j.path("summary")); err != nil {
		return nil, j.missing(err)
	}
	return j, nil
}

// missing says that there is no such job, or nothing of it any more, if that is
// what err means.
func (j *Job) missing(err error) error {
	var e *client.Error
	if errors.As(err, &e) && e.Text == "Resources already released" {
		return &server.Error{
			Text: fmt.Sprintf("job %s has ended, who started it has let it go, and what it wrote was read", j.Name()),
			Err:  err,
		}
	}
	if !errors.Is(err, client.ErrNotExist) {
		return err
	}
	return &server.Error{
		Text: fmt.Sprintf("no job %s on server %s", j.Name(), j.srv.Addr),
		Hint: "hub ls shows what there is",
		Err:  err,
	}
}

// Name is what people call the job.
func (j *Job) Name() string { return Name(j.Number) }

// Server is the connection through which the job is seen.
func (j *Job) Server() *server.Server { return j.srv }

// path is the path of a file of the job.
func (j *Job) path(file string) string {
	return strings.TrimSuffix(Dir+"/"+strconv.Itoa(j.Number)+"/"+file, "/")
}

// Ctl gives the session a word of control. What the server has against it is
// the error, without a word on how it was asked.
func (j *Job) Ctl(ctx context.Context, words ...string) error {
	line := []byte(server.Line(words...))
	if j.ctl != nil {
		_, err := j.ctl.WriteContext(ctx, line)
		return server.Said(err)
	}
	// To open the control file of a session that was released makes a new one.
	tasks, err := j.Tasks(ctx)
	if err != nil {
		return err
	}
	if len(tasks) == 1 && tasks[0].State == released {
		return &server.Error{
			Text: fmt.Sprintf("job %s has ended, and who started it has let it go", j.Name()),
			Hint: "what it has written can be read until somebody has: hub watch " + j.Name(),
		}
	}
	return server.Said(j.missing(j.srv.WriteFile(ctx, j.path("ctl"), line)))
}

// released is the state of a session that has nothing any more but output.
const released = "Released"

// Wipe ends the session and takes its files away.
func (j *Job) Wipe(ctx context.Context) error {
	return server.Said(j.missing(j.srv.WriteFile(ctx, j.path("ctl"), []byte("wipe\n"))))
}

// Open opens a file of the job.
func (j *Job) Open(ctx context.Context, file string, mode uint8) (*client.File, error) {
	f, err := j.srv.Open(ctx, j.path(file), mode)
	return f, j.missing(err)
}

// ReadFile reads a file of the job.
func (j *Job) ReadFile(ctx context.Context, file string) ([]byte, error) {
	p, err := j.srv.ReadFile(ctx, j.path(file))
	return p, j.missing(err)
}

// WriteFile writes a file of the job.
func (j *Job) WriteFile(ctx context.Context, file string, p []byte) error {
	return server.Said(j.missing(j.srv.WriteFile(ctx, j.path(file), p)))
}

// Size reads how many tasks the job has, those that have ended too.
func (j *Job) Size(ctx context.Context) (int, error) {
	p, err := j.ReadFile(ctx, "summary")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(p)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "tasks" {
			return strconv.Atoi(f[1])
		}
	}
	return 0, fmt.Errorf("summary of job %s: expected a line tasks N", j.Name())
}

// Tasks reads what there is to know of each task.
func (j *Job) Tasks(ctx context.Context) ([]Task, error) {
	p, err := j.ReadFile(ctx, "status")
	if err != nil {
		return nil, err
	}
	return parseTasks(p)
}

// Close lets go of the session. It may be called more than once, one after
// another.
func (j *Job) Close() error {
	if j.ctl == nil {
		return nil
	}
	f := j.ctl
	j.ctl = nil
	return f.Close()
}
