package job

import (
	"context"
	"fmt"
	"strings"

	"hubfs/client"
	"hubfs/cmd/hub/internal/server"
)

// An Event is a line of a session's events: what has happened, and to what.
type Event struct {
	Word string // lost, restarted, halt, ...
	Args []string
}

// Events is the file events of a job, open.
type Events struct{ f *client.File }

// Events opens the events of the job, from its beginning.
func (j *Job) Events(ctx context.Context) (*Events, error) {
	f, err := j.Open(ctx, "events", client.OREAD)
	if err != nil {
		return nil, err
	}
	return &Events{f}, nil
}

// Each calls each for all that happens, until the session is over.
func (e *Events) Each(ctx context.Context, each func(Event)) error {
	return lines(ctx, e.f, func(lines []string) error {
		for _, l := range lines {
			if f := server.Fields(l); len(f) > 0 {
				each(Event{f[0], f[1:]})
			}
		}
		return nil
	})
}

// Text says for people what has happened; "" of what they need not be told, for
// they see it anyway.
func (e Event) Text() string {
	arg := func(i int) string {
		if i < len(e.Args) {
			return e.Args[i]
		}
		return "?"
	}
	switch e.Word {
	case "lost":
		return fmt.Sprintf("node %s is lost, with %s", arg(1), tasks(arg(0)))
	case "restarted":
		return fmt.Sprintf("node %s runs %s anew", arg(1), tasks(arg(0)))
	case "deadline":
		limit := map[string]string{"run": "--timeout", "idle": "--idle", "total": "--total"}[arg(0)]
		if limit == "" {
			limit = arg(0)
		}
		return fmt.Sprintf("the time of %s is over (%s)", tasks(arg(1)), limit)
	case "halt":
		return arg(0) + ": the other tasks are ended"
	case "input":
		if arg(0) == "stdin" {
			return "input: " + strings.Join(e.Args[1:], " ")
		}
		return "input of " + tasks(strings.TrimSuffix(arg(0), "/stdin")) + ": " + strings.Join(e.Args[min(1, len(e.Args)):], " ")
	}
	return ""
}

// tasks names a set of tasks.
func tasks(set string) string {
	if strings.ContainsAny(set, ",-") {
		return "tasks " + set
	}
	return "task " + set
}
