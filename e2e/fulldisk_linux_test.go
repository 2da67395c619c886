package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestAFullDiskCostsOnlyTheDisk: a job that is kept on a disk which fills up is
// not held up, and its watchers get all; /events and the end of tee say that the
// disk has not.
func TestAFullDiskCostsOnlyTheDisk(t *testing.T) {
	w := newWorld(t)
	state := filepath.Join(w.dir, "state")
	if err := os.Mkdir(state, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("hub-e2e", state, "tmpfs", 0, "size=1m,mode=700"); err != nil {
		t.Skipf("no small disk can be made here: mount: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(state, unix.MNT_DETACH) })
	w.serve("-s", "default", "--state", filepath.Join(state, "hub"))
	events := w.events()
	input := string(numbered(3 << 20))
	tee := w.hubInput(input, "tee", "--spool", "-q", "8M", "job")
	if tee.code != 0 || tee.stdout != input {
		t.Errorf("tee: exit %d, %d of %d bytes", tee.code, len(tee.stdout), len(input))
	}
	if want := "hub: hub job is only in the server's memory now, not on its disk; its log says why\n"; tee.stderr != want {
		t.Errorf("tee said %q, want %q", tee.stderr, want)
	}
	events.expect("hub nospool job ")
	events.expect("no space left on device")
	if got := w.want("watch", "job"); got != input {
		t.Errorf("watch: %d bytes, want %d", len(got), len(input))
	}
	if ls := w.want("ls", "--json"); !strings.Contains(ls, `"mode": "calm,ended,nospool"`) {
		t.Errorf("ls: %s", ls)
	}
}
