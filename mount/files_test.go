//go:build linux

package mount_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"hubfs/client"
	"hubfs/hubfs"
)

func TestFilesAreThoseOfTheServer(t *testing.T) {
	w := newWorld(t)
	w.make("a", "hello\n")
	w.ctl("end a")
	if err := syscall.Mkdir(w.at("ci"), 0o755); err != nil {
		t.Fatal(err)
	}
	w.write("ci/b", syscall.O_CREAT|syscall.O_TRUNC, "made here\n")
	w.write("ci/b", syscall.O_APPEND, "and more\n")
	w.ctl("end ci/b")
	if got := w.readAll("a"); got != "hello\n" {
		t.Errorf("a holds %q", got)
	}
	if got := w.readAll("ci/b"); got != "made here\nand more\n" {
		t.Errorf("ci/b holds %q", got)
	}
	st, info := w.stat("a"), must(w.c.Stat(t.Context(), "a"))
	if st.Size != 6 || st.Mode != syscall.S_IFREG|info.Mode&0o777 || st.Ino != info.Path || st.Mtim.Sec != info.Mtime.Unix() || st.Uid != 0 {
		t.Errorf("stat a: %+v, and the server says %+v", st, info)
	}
	if st := w.stat("ci"); st.Mode&syscall.S_IFMT != syscall.S_IFDIR {
		t.Errorf("stat ci: %+v", st)
	}
	if st := w.stat("ctl"); st.Size != 0 {
		t.Errorf("stat ctl: %+v", st)
	}
	names := func(dir string) string {
		out, err := exec.Command("ls", "-A", w.at(dir)).Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(strings.Fields(string(out)), " ")
	}
	if got := names("."); got != "a ci ctl events shell stats status" {
		t.Errorf("the root holds %s", got)
	}
	if err := syscall.Rename(w.at("ci/b"), w.at("ci/c")); err != nil {
		t.Fatal(err)
	}
	if got := names("ci"); got != "c" {
		t.Errorf("after mv ci holds %s", got)
	}
	if err := syscall.Chmod(w.at("a"), 0o600); err != nil || w.stat("a").Mode&0o777 != 0o600 {
		t.Errorf("chmod: %v, mode %o", err, w.stat("a").Mode)
	}
	if err := errors.Join(syscall.Unlink(w.at("ci/c")), syscall.Rmdir(w.at("ci")), syscall.Unlink(w.at("a"))); err != nil {
		t.Fatal(err)
	}
	if got := names("."); got != "ctl events shell stats status" {
		t.Errorf("at the end the root holds %s", got)
	}
}

// TestErrorsAreErrnos: what a server says in words.
func TestErrorsAreErrnos(t *testing.T) {
	w := newWorld(t)
	w.make("ended", "x")
	w.ctl("end ended")
	w.write("dir-full", syscall.O_CREAT, "")
	if err := errors.Join(syscall.Mkdir(w.at("d"), 0o755), syscall.Mkdir(w.at("d/e"), 0o755)); err != nil {
		t.Fatal(err)
	}
	open := func(name string, flags int) error {
		fd, err := syscall.Open(w.at(name), flags, 0o644)
		if err == nil {
			syscall.Close(fd)
		}
		return err
	}
	into := func(name, text string) error {
		fd := w.open(name, syscall.O_WRONLY)
		_, err := syscall.Write(int(fd), []byte(text))
		return err
	}
	for _, c := range []struct {
		what string
		got  error
		want syscall.Errno
	}{
		{"open what is not there", open("nosuch", syscall.O_RDONLY), syscall.ENOENT},
		{"write a file that is read", open("status", syscall.O_WRONLY), syscall.EACCES},
		{"make a name that cannot be", open("a\x01b", syscall.O_CREAT|syscall.O_WRONLY), syscall.EINVAL},
		{"make what is there", open("ended", syscall.O_CREAT|syscall.O_EXCL|syscall.O_WRONLY), syscall.EEXIST},
		{"make a folder that is there", syscall.Mkdir(w.at("d"), 0o755), syscall.EEXIST},
		{"remove a folder with something in it", syscall.Rmdir(w.at("d")), syscall.ENOTEMPTY},
		{"an unknown word of ctl", into("ctl", "nonsense\n"), syscall.EINVAL},
		{"write what has ended", into("ended", "x"), syscall.EPIPE},
		{"move to another folder", syscall.Rename(w.at("ended"), w.at("d/ended")), syscall.ENOTSUP},
		{"give away", syscall.Chown(w.at("ended"), 1, -1), syscall.EPERM},
		{"link", syscall.Link(w.at("ended"), w.at("other")), syscall.ENOTSUP},
		{"symlink", syscall.Symlink("ended", w.at("other")), syscall.ENOTSUP},
	} {
		if !errors.Is(c.got, c.want) {
			t.Errorf("%s: %v, want %v", c.what, c.got, c.want)
		}
	}
}

// TestReadsComeAtOnce: a read returns what there is, however much it asks for.
func TestReadsComeAtOnce(t *testing.T) {
	w := newWorld(t)
	const script = `
import hashlib, mmap, os, sys
fd, shift, left = os.open(sys.argv[1], os.O_RDONLY), int(sys.argv[2]), int(sys.argv[3])
room = memoryview(mmap.mmap(-1, 5 << 20)) # where in a page it begins decides how much the kernel asks for
sum = hashlib.sha256()
while left > 0: # one read too many would wait for ever
    n = os.readv(fd, [room[shift:shift + (4 << 20)]])
    sum.update(room[shift:shift + n])
    left -= n
print(sum.hexdigest())
`
	const mega = 1 << 20
	for _, size := range []int{1, 4 << 10, 128 << 10, mega - 4<<10, mega - 100, mega - 1, mega, mega + 1, 3 * mega} {
		data := bytes.Repeat([]byte("0123456789abcde\n"), size/16+1)[:size]
		name := fmt.Sprint("h", size)
		w.make(name, "")
		w.ctl("size " + name + " 8388608")
		w.write(name, 0, string(data))
		for _, shift := range []int{0, 100} {
			w.start("python3", "-c", script, w.at(name), fmt.Sprint(shift), fmt.Sprint(size)).says(fmt.Sprintf("%x\n", sha256.Sum256(data)))
		}
	}
}

// TestSignalEndsAWait: and the server hears of it at once.
func TestSignalEndsAWait(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGKILL} {
		t.Run(sig.String(), func(t *testing.T) {
			w := newWorld(t)
			w.make("h", "first\n")
			cat, other := w.start("cat", w.at("h")), w.start("cat", w.at("h"))
			cat.says("first\n")
			other.says("first\n")
			w.readers("h", 2)
			cat.end(sig)
			w.readers("h", 1)
			w.write("h", syscall.O_APPEND, "second\n")
			other.says("second\n")
			other.end(sig)
			w.readers("h", 0)
		})
	}
}

// TestInterruptedReadLosesNothing: what a signal that is handled has cut short
// goes on where it was.
func TestInterruptedReadLosesNothing(t *testing.T) {
	w := newWorld(t)
	w.make("h", "")
	const script = `
import os, signal, sys
signal.signal(signal.SIGUSR1, lambda *a: os.write(1, b"signal\n"))
fd = os.open(sys.argv[1], os.O_RDONLY)
while True:
    os.write(1, os.read(fd, 1000)) # after EINTR Python reads again
`
	py := w.start("python3", "-c", script, w.at("h"))
	w.readers("h", 1)
	for i := range 20 {
		if err := py.cmd.Process.Signal(syscall.SIGUSR1); err != nil {
			t.Fatal(err)
		}
		line := fmt.Sprintf("line %d\n", i)
		if i%2 == 0 {
			py.says("signal\n")
			w.write("h", 0, line)
			py.says(line)
			continue
		}
		// At the same time: either may come first, and both have to.
		w.write("h", 0, line)
		got := make([]byte, len("signal\n")+len(line))
		if n, err := readFull(py, got); err != nil {
			t.Fatalf("%q, %v", got[:n], err)
		}
		if s := string(got); s != "signal\n"+line && s != line+"signal\n" {
			t.Fatalf("round %d: %q", i, s)
		}
	}
}

func TestManyReadersWaitAndEachGetsAll(t *testing.T) {
	w := newWorld(t)
	w.make("h", "")
	const n = 40
	var cats []*program
	for range n {
		cats = append(cats, w.start("cat", w.at("h")))
	}
	w.readers("h", n)
	w.write("h", syscall.O_TRUNC, "for all\n") // > is not to touch it
	for _, cat := range cats {
		cat.says("for all\n")
	}
	w.ctl("end h")
	for _, cat := range cats {
		if err := <-cat.ended; err != nil {
			t.Error(err)
		}
	}
}

// TestWriterThatWaitsStopsNobody: the kernel has one writer of an inode at a
// time, and who waits for that lock cannot be killed.
func TestWriterThatWaitsStopsNobody(t *testing.T) {
	w := newWorld(t)
	w.make("h", "")
	w.ctl("fear h")
	w.ctl("size h 4096")
	slow := must(w.c.Open(t.Context(), "h", client.OREAD))
	defer slow.Close()
	first := w.start("sh", "-c", `exec head -c 100000 /dev/zero >"$0"`, w.at("h"))
	w.until("the first writer has to wait", func(status string) bool { return !strings.Contains(status, "\nhub h 0 0 ") })
	second := w.start("sh", "-c", `echo second >"$0"`, w.at("h"))
	w.until("the second writer is there", func(status string) bool {
		return slices.ContainsFunc(strings.Split(status, "\n"), func(line string) bool {
			f := strings.Fields(line)
			return len(f) > 6 && f[0] == "hub" && f[1] == "h" && f[6] == "2"
		})
	})
	w.stat("h")
	second.end(syscall.SIGKILL)
	first.end(syscall.SIGINT)
	w.until("both writers are gone", func(status string) bool {
		return slices.ContainsFunc(strings.Split(status, "\n"), func(line string) bool {
			f := strings.Fields(line)
			return len(f) > 6 && f[0] == "hub" && f[1] == "h" && f[6] == "0"
		})
	})
}

// TestOneDescriptorReadsAndWrites: a read that waits must not hold up a write of
// the same open, as it does where both move one offset.
func TestOneDescriptorReadsAndWrites(t *testing.T) {
	w := newWorld(t)
	w.make("h", "")
	const script = `
import os, sys, threading
fd = os.open(sys.argv[1], os.O_RDWR)
def read(): os.write(1, os.read(fd, 100))
reader = threading.Thread(target=read)
reader.start()
sys.stdin.readline() # the reader waits
os.write(fd, b"said to itself")
reader.join()
try:
    os.lseek(fd, 0, os.SEEK_SET)
except OSError as e:
    os.write(1, b", " + os.strerror(e.errno).encode())
`
	py := w.start("python3", "-c", script, w.at("h"))
	w.readers("h", 1)
	py.stdin.Close()
	py.says("said to itself, Illegal seek")
}

// TestEndedHubIsAPlainFile: tail(1) reads it from its end. Its first bytes may be
// gone.
func TestEndedHubIsAPlainFile(t *testing.T) {
	w := newWorld(t)
	w.make("h", "")
	w.ctl("size h 5000")
	var want string
	for i := range 20000 {
		line := fmt.Sprintf("line %d\n", i)
		if i%2000 == 0 {
			w.write("h", 0, want)
		}
		want += line
	}
	w.ctl("end h")
	all := w.readAll("h")
	if int64(len(all)) != w.stat("h").Size || len(all) < 5000 {
		t.Fatalf("%d bytes, and the size is %d", len(all), w.stat("h").Size)
	}
	f := w.open("h", syscall.O_RDONLY)
	for _, off := range []int{len(all) - 1, 0, 1, 0, 4000, 17, len(all), len(all) + 1} {
		p := make([]byte, 100)
		n, err := syscall.Pread(int(f), p, int64(off))
		if rest := all[min(off, len(all)):]; err != nil || string(p[:n]) != rest[:min(100, len(rest))] {
			t.Errorf("at %d: %q, %v", off, p[:n], err)
		}
	}
	lines := strings.SplitAfter(all, "\n")
	w.start("tail", "-n", "2", w.at("h")).says(lines[len(lines)-3] + lines[len(lines)-2])
}

// TestPython: open(...).read(), and a file of commands that is read and written.
func TestPython(t *testing.T) {
	w := newWorld(t)
	w.make("h", "one\ntwo\n")
	w.ctl("end h")
	const script = `
import sys, os
d = sys.argv[1]
assert open(d + "/h").read() == "one\ntwo\n"
assert open(d + "/h").readlines()[1] == "two\n"
with open(d + "/h") as f:
    f.seek(4)
    assert f.read() == "two\n"
with open(d + "/ctl", "r+") as f:
    assert "Buffersize" in f.read()
    f.write("fear h\n")
with open(d + "/new", "w") as f:
    f.write("written\n")
with open(d + "/new", "a") as f:
    f.write("appended\n")
with open(d + "/new@", "rb", 0) as f:
    f.seek(8)
    assert f.read(100) == b"appended\n"
try:
    with open(d + "/ctl", "w") as f:
        f.write("nonsense\n")
    assert False
except OSError as e:
    assert e.errno == 22, e
os.rename(d + "/new", d + "/old")
assert "old" in os.listdir(d)
print("ok")
`
	w.start("python3", "-c", script, w.dir).says("ok\n")
}

// TestRenameReplaces: as rename(2) has it, though 9P has not.
func TestRenameReplaces(t *testing.T) {
	w := newWorld(t)
	w.make("a", "A")
	w.make("b", "B")
	w.ctl("end a")
	if err := syscall.Rename(w.at("a"), w.at("b")); err != nil {
		t.Fatal(err)
	}
	if got := w.readAll("b"); got != "A" {
		t.Errorf("b holds %q", got)
	}
	if infos := must(w.c.ReadDir(t.Context(), "/")); slices.ContainsFunc(infos, func(i client.Info) bool { return i.Name == "a" || strings.HasPrefix(i.Name, ".mv") }) {
		t.Errorf("left: %+v", infos)
	}
	// What cannot be replaced loses nobody its name.
	w.make("c", "C")
	if err := syscall.Rename(w.at("c"), w.at("status")); err == nil {
		t.Error("a hub has replaced status")
	}
	if err := syscall.Rename(w.at("ctl"), w.at("c")); err == nil {
		t.Error("ctl has replaced a hub")
	}
	w.ctl("end c")
	if got := w.readAll("c"); got != "C" {
		t.Errorf("c holds %q", got)
	}
}

// TestFolderStaysWhereSomebodyWorks: also when others look at it.
func TestFolderStaysWhereSomebodyWorks(t *testing.T) {
	w := newWorld(t)
	if err := syscall.Mkdir(w.at("d"), 0o755); err != nil {
		t.Fatal(err)
	}
	sh := w.start("sh", "-c", `cd "$0" && ls >/dev/null "$0" "$0/.." && stat "$0/../d" >/dev/null && echo x >h && /bin/pwd && ls`, w.at("d"))
	sh.says(w.at("d") + "\nh\n")
	if err := syscall.Rename(w.at("d"), w.at("e")); err != nil {
		t.Fatal(err)
	}
	w.stat("e/h")
}

// TestFolderIsItsPath: who works in a folder that others have replaced works in
// the new one; and who works in one that is gone works nowhere.
func TestFolderIsItsPath(t *testing.T) {
	w := newWorld(t)
	if err := syscall.Mkdir(w.at("d"), 0o755); err != nil {
		t.Fatal(err)
	}
	sh := w.start("sh", "-c", `cd "$0"; for i in 1 2 3; do if echo x 2>/dev/null >h; then echo yes; else echo no; fi; read go; done`, w.at("d"))
	sh.says("yes\n")
	if err := errors.Join(w.c.Remove(t.Context(), "d/h"), w.c.Remove(t.Context(), "d"), w.c.Mkdir(t.Context(), "d", 0o755)); err != nil {
		t.Fatal(err)
	}
	w.stat("d")
	sh.stdin.WriteString("go\n")
	sh.says("yes\n")
	w.stat("d/h")
	if err := errors.Join(w.c.Remove(t.Context(), "d/h"), w.c.Remove(t.Context(), "d")); err != nil {
		t.Fatal(err)
	}
	sh.stdin.WriteString("go\n")
	sh.says("no\n")
	if infos := must(w.c.ReadDir(t.Context(), "/")); slices.ContainsFunc(infos, func(i client.Info) bool { return i.Name == "h" }) {
		t.Error("it has worked in the root")
	}
}

// TestTruncation: where > empties a hub it does, and it is no change of the
// length, which has no effect.
func TestTruncation(t *testing.T) {
	w := newWorldOf(t, hubfs.Config{Zap: true})
	w.write("h", syscall.O_CREAT, "old")
	w.write("h", syscall.O_TRUNC, "new")
	w.ctl("end h")
	if got := w.readAll("h"); got != "new" {
		t.Errorf("h holds %q", got)
	}
}
