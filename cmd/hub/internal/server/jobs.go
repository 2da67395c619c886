package server

import (
	"fmt"
	"strconv"
)

// A Job is what a server says of a session of taskfs.
type Job struct {
	Name    string `json:"name"` // remote/3
	State   string `json:"state"`
	Tasks   int    `json:"tasks"`
	Done    int    `json:"done"` // tasks that have ended
	Failed  int    `json:"failed"`
	User    string `json:"user"`
	Command string `json:"command"`
}

// parseJob reads NUMBER USER STATE TASKS DONE FAILED LABEL CMD. More fields may
// come.
func parseJob(f []string) (Job, error) {
	if len(f) < 8 {
		return Job{}, fmt.Errorf("status of a session: expected 8 fields, not %q", f)
	}
	var n [4]int
	for i, s := range []string{f[0], f[3], f[4], f[5]} {
		v, err := strconv.Atoi(s)
		if err != nil || v < 0 {
			return Job{}, fmt.Errorf("status of session %s: %q is no number", f[0], s)
		}
		n[i] = v
	}
	return Job{Name: "remote/" + strconv.Itoa(n[0]), User: f[1], State: f[2], Tasks: n[1], Done: n[2], Failed: n[3],
		Command: f[7]}, nil
}
