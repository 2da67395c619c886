package job

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"hubfs/client"
	"hubfs/cmd/hub/internal/server"
	"hubfs/shellctl"
)

// Exit statuses of tasks that have none of their own.
const (
	codeNotRun   = 126 // it is there and could not be run
	codeNotFound = 127 // there is no such command
	codeLost     = 125 // its node is gone: not the command's failure
)

// An Ended is how one task ended: a line of wait.
type Ended struct {
	Rank            int
	Node            string
	PID             int
	User, Sys, Real time.Duration
	Status          string // "": success; "exit 3", "signal KILL", "fail REASON", "lost REASON"
	Epoch           uint64
}

// Code is the exit status that the task stands for, as a shell has it.
func (e Ended) Code() int { return code(e.Status) }

func code(status string) int {
	word, reason, _ := strings.Cut(status, " ")
	switch word {
	case "":
		return 0
	case "fail":
		if strings.Contains(reason, "not found") || strings.Contains(reason, "no such file") {
			return codeNotFound
		}
		return codeNotRun
	case "lost", "fenced":
		return codeLost
	}
	st, err := shellctl.ParseStatus(status)
	if err != nil { // a server that says more than we know of: it is no success
		return 1
	}
	return st.ExitCode()
}

// parseEnded reads RANK NODE PID USER SYS REAL STATUS EPOCH, times in
// milliseconds. More fields may come.
func parseEnded(line string) (Ended, error) {
	f := server.Fields(line)
	if len(f) < 8 {
		return Ended{}, fmt.Errorf("a line of wait: expected 8 fields, not %q", line)
	}
	var n [6]int64
	for i, s := range []string{f[0], f[2], f[3], f[4], f[5], f[7]} {
		v, err := strconv.ParseInt(s, 10, 64)
		if err != nil || v < 0 {
			return Ended{}, fmt.Errorf("a line of wait: %q is no number", s)
		}
		n[i] = v
	}
	return Ended{
		Rank: int(n[0]), Node: f[1], PID: int(n[1]),
		User: milliseconds(n[2]), Sys: milliseconds(n[3]), Real: milliseconds(n[4]),
		Status: f[6], Epoch: uint64(n[5]),
	}, nil
}

func milliseconds(n int64) time.Duration { return time.Duration(n) * time.Millisecond }

// Waiting is the file wait of a job, open.
type Waiting struct{ f *client.File }

// Wait opens wait: every task that ends from now on is in it, and those that
// have ended.
func (j *Job) Wait(ctx context.Context) (*Waiting, error) {
	f, err := j.Open(ctx, "wait", client.OREAD)
	if err != nil {
		return nil, err
	}
	return &Waiting{f}, nil
}

// Each calls each for every task that ends, several at a time if they have come
// so, until all have.
func (w *Waiting) Each(ctx context.Context, each func([]Ended)) error {
	var batch []Ended
	return lines(ctx, w.f, func(lines []string) error {
		batch = batch[:0]
		for _, l := range lines {
			e, err := parseEnded(l)
			if err != nil {
				return err
			}
			batch = append(batch, e)
		}
		each(batch)
		return nil
	})
}

// Close ends it.
func (w *Waiting) Close() error { return w.f.Close() }
