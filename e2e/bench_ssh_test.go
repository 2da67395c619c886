package e2e

import (
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// BenchmarkSSHEcho measures from a key typed to the key seen, through ssh to this
// machine: ssh alone, which runs the program on a terminal there, and hub attach of
// a shell there that runs it.
//
// Goal: hub/ssh at most 1.1.
func BenchmarkSSHEcho(b *testing.B) {
	const strokes = 50 // each in its turn
	w := newWorld(b)
	s := w.there(true).sshd()
	plain := w.fifo("plain")
	ssh := onTerminal(b, s.ssh("-tt", "there", "echo READY; "+echoScript(plain)))
	ssh.await("READY")
	plain.wait(b)

	f := w.fifo("ready")
	w.want("-s", "ssh://there", "new", "--size", "24x80", "bench", "--", "sh", "-c", "echo READY; "+echoScript(f))
	f.wait(b)
	hub := onTerminal(b, w.command("hub", "-s", "ssh://there", "attach", "bench"))
	hub.await("READY")
	typists := []*typist{warm(&typist{screenful: ssh, name: "ssh"}), warm(&typist{screenful: hub, name: "hub"})}
	for b.Loop() {
		for _, t := range typists {
			for range strokes {
				t.stroke(key)
			}
		}
	}
	noTimes(b)
	for _, t := range typists {
		b.ReportMetric(t.took.us(), t.name+"-us")
	}
	ratio(b, "hub", "ssh", typists[1].took.us(), typists[0].took.us())
	ssh.end()
	hub.end()
	s.hub("kill", "bench")
	s.hub("ctl", "quit")
}

// BenchmarkSSHOutput measures 64 MiB of output: ssh that runs cat(1) there, and hub
// read of a hub there that holds the same. Each is timed from its first bytes to
// its last: hub's connection is there already, and ssh makes one each time.
//
// Goal: hub/ssh at least 0.9, in bytes a second.
func BenchmarkSSHOutput(b *testing.B) {
	size := 64 << 20
	if quick() {
		size = 4 << 20
	}
	w := newWorld(b)
	s := w.there(true).sshd()
	file := w.file("out", string(numbered(size)))
	fill := s.w.command("sh", "-c", fmt.Sprintf("hub write big </dev/null && hub ctl size big %d && hub write big <%s", 2*size, file))
	fill.Env = s.env
	if out, err := fill.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	took := map[string]*samples{"ssh": {}, "hub": {}}
	for b.Loop() {
		took["ssh"].add(timeOutput(b, s.ssh("there", "cat "+file), size))
		took["hub"].add(timeOutput(b, w.command("hub", "-s", "ssh://there", "read", "big"), size))
	}
	noTimes(b)
	for name, t := range took {
		b.ReportMetric(float64(size)/t.median()*1e3, name+"-MB/s")
	}
	ratio(b, "hub", "ssh", took["ssh"].median(), took["hub"].median())
	s.hub("ctl", "quit")
}

// ssh is ssh as the world has it.
func (s *sshd) ssh(args ...string) *exec.Cmd {
	return s.w.command(filepath.Join(s.w.dir, "bin", "ssh"), args...)
}

// timeOutput reads so many bytes of what a command puts out, and times all but the
// first.
func timeOutput(b *testing.B, cmd *exec.Cmd, size int) time.Duration {
	b.Helper()
	r := started(b, cmd)
	if _, err := io.ReadFull(r, make([]byte, 1)); err != nil {
		b.Fatalf("%v: %v", cmd, err)
	}
	start := time.Now()
	if n, err := io.CopyN(io.Discard, r, int64(size-1)); err != nil {
		b.Fatalf("%v: %d bytes of %d: %v", cmd, n, size, err)
	}
	took := time.Since(start)
	cmd.Process.Kill()
	cmd.Wait()
	return took
}
