package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"hubfs/e2e/internal/dialogue"
)

// TestKilledSSH: the program that carries a connection is no more than that.
func TestKilledSSH(t *testing.T) {
	w := newWorld(t)
	w.shell("work")
	ssh := filepath.Join(w.dir, "ssh")
	if err := os.WriteFile(ssh, []byte("#!/bin/sh\nfor last; do :; done\nexec sh -c \"$last\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := w.command("hub", "-s", "ssh://far", "attach", "work")
	cmd.Env = append(cmd.Env, "HUB_SSH="+ssh)
	term := dialogue.Start(t, cmd, dialogue.Options{Timeout: patience})
	term.Type("n=0\r")
	for i := range 3 {
		answers(term, fmt.Sprint("before", i), 1001)
		for _, p := range worldProcesses(w.dir) {
			if slices.Contains(p.args, "-stdio") || slices.Contains(p.args, ssh) {
				p.kill()
			}
			p.close()
		}
		term.Type("n=$((n+1)); echo after-$n-$((1001+1))\r")
		term.Expect(fmt.Sprintf("after-%d-1002", i+1))
	}
	term.Type(detach)
	term.Expect("detached from work")
	term.Exits(0)
}
