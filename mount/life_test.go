//go:build linux

package mount_test

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"hubfs/mount"
)

// TestMountGoes: by Close, from outside, and with a file open in it.
func TestMountGoes(t *testing.T) {
	t.Run("Close", func(t *testing.T) {
		w := newWorld(t)
		if err := mount.Check(w.dir); err == nil {
			t.Error("one mount on top of the other is fine?")
		}
		if err := w.m.Close(); err != nil {
			t.Fatal(err)
		}
		<-w.m.Done()
		w.empty()
	})
	t.Run("umount", func(t *testing.T) {
		w := newWorld(t)
		if err := mount.Unmount(w.dir); err != nil {
			t.Fatal(err)
		}
		<-w.m.Done()
		w.empty()
		if err := mount.Unmount(w.dir); err == nil {
			t.Error("there is nothing to unmount")
		}
	})
	t.Run("while somebody reads", func(t *testing.T) {
		w := newWorld(t)
		w.make("h", "x")
		cat := w.start("cat", w.at("h"))
		cat.says("x")
		if err := w.m.Close(); err != nil {
			t.Fatal(err)
		}
		w.empty()
		w.mc.Close() // as the program does that ends
		if err := <-cat.ended; err == nil {
			t.Error("cat has met the end of the file")
		}
		<-w.m.Done()
	})
}

// TestServerGone: everything fails, and nothing waits.
func TestServerGone(t *testing.T) {
	w := newWorld(t)
	w.make("h", "x")
	cat := w.start("cat", w.at("h"))
	cat.says("x")
	w.mc.Close()
	if err := <-cat.ended; err == nil {
		t.Error("cat has met the end of the file")
	}
	var st syscall.Stat_t
	if err := syscall.Lstat(w.at("h"), &st); err != syscall.ENOTCONN {
		t.Errorf("stat: %v", err)
	}
}

// TestKilledMounterLeavesNothing: nor does one that had no fusermount to clean up
// after it stop the next.
func TestKilledMounterLeavesNothing(t *testing.T) {
	needFUSE(t)
	for _, watched := range []bool{true, false} {
		t.Run(fmt.Sprintf("watched %t", watched), func(t *testing.T) {
			if !watched && os.Geteuid() != 0 {
				t.Skip("only root mounts without fusermount3")
			}
			dir := t.TempDir()
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), mounterVar+"="+dir)
			if !watched {
				cmd.Env = append(cmd.Env, directVar+"=1")
			}
			cmd.Stderr = os.Stderr
			out := must(cmd.StdoutPipe())
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if n, err := out.Read(make([]byte, 1)); n != 1 {
				t.Fatal(err)
			}
			cmd.Process.Kill()
			cmd.Wait()
			if watched {
				waitUnmounted(t, dir)
			}
			if err := mount.Check(dir); err != nil {
				t.Error(err)
			}
			if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
				t.Errorf("%v, %v", entries, err)
			}
		})
	}
}
