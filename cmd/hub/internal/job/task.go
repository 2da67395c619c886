package job

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"hubfs/cmd/hub/internal/server"
)

// A Task is what a line of a session's status says.
type Task struct {
	Name    string // cmd/4
	State   string // Reserved, Execute, Done, ...
	Dir     string
	Command string
	Rank    int    // -1: the server does not say
	Node    string // "": likewise
}

// parseTasks reads the lines cmd/N OPENS STATE DIR CMD [RANK NODE EPOCH EXIT].
func parseTasks(data []byte) ([]Task, error) {
	var tasks []Task
	for line := range bytes.Lines(data) {
		text := strings.TrimSuffix(string(line), "\n")
		f := server.Fields(text)
		if len(f) < 5 || !strings.HasPrefix(f[0], "cmd/") {
			return nil, fmt.Errorf("status of a job: expected cmd/N OPENS STATE DIR CMD, not %q", text)
		}
		t := Task{Name: f[0], State: f[2], Dir: f[3], Command: f[4], Rank: -1}
		if len(f) > 6 {
			rank, err := strconv.Atoi(f[5])
			if err != nil || rank < 0 {
				return nil, fmt.Errorf("status of a job: %q is no rank", f[5])
			}
			t.Rank, t.Node = rank, f[6]
		}
		tasks = append(tasks, t)
	}
	return tasks, nil
}
