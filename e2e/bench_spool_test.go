package e2e

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"hubfs/client"
)

// spoolBlock is how much is written at a time, by all: as much as hub tee does
// to a hub on disk, where a fid's next write is not begun before the last one is
// stable.
const spoolBlock = 1 << 20

// BenchmarkSpoolWrite copies a file into a hub whose history is on disk, until
// the server has answered for all of it, and beside that into a file, with the
// same policy: no fsync, one a second, one for each write.
//
// Goal: hub/copy 0.8.
func BenchmarkSpoolWrite(b *testing.B) {
	for _, policy := range []string{"never", "second", "always"} {
		b.Run(policy, func(b *testing.B) {
			s := newSpooler(b)
			var plain, ours samples
			for b.Loop() {
				plain = append(plain, s.rate(s.copy(policy)))
				ours = append(ours, s.rate(s.write(policy)))
				s.remove()
			}
			noTimes(b)
			b.ReportMetric(plain.median()/1e6, "copy-MB/s")
			b.ReportMetric(ours.median()/1e6, "hub-MB/s")
			ratio(b, "hub", "copy", ours.median(), plain.median())
		})
	}
}

// BenchmarkSpoolRead has hub watch read the whole history of a hub, and cat(1)
// the same files, from exec to exit, into a reader who looks at every byte.
// Client is that reader when it comes itself, without a program between.
//
// Goal: hub/cat 0.8.
func BenchmarkSpoolRead(b *testing.B) {
	s := newSpooler(b)
	s.write("never")
	if err := s.c.WriteFile(b.Context(), "/ctl", []byte("end history exit 0\n")); err != nil {
		b.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(s.dir, "[0-9]*"))
	if err != nil || len(files) == 0 {
		b.Fatalf("%q, %v", files, err)
	}
	var cat, hub, own samples
	for b.Loop() {
		cat = append(cat, s.rate(s.run(exec.Command("cat", files...))))
		hub = append(hub, s.rate(s.run(s.w.command("hub", "watch", "history"))))
		own = append(own, s.rate(s.read()))
	}
	noTimes(b)
	b.ReportMetric(own.median()/1e6, "client-MB/s")
	ratio(b, "client", "cat", own.median(), cat.median())
	b.ReportMetric(cat.median()/1e6, "cat-MB/s")
	b.ReportMetric(hub.median()/1e6, "hub-MB/s")
	ratio(b, "hub", "cat", hub.median(), cat.median())
}

// A spooler has a file to copy, and a server with a disk.
type spooler struct {
	b      *testing.B
	w      *world
	blocks int
	source string
	dir    string // of the hub's history
	c      *client.Conn
}

func newSpooler(b *testing.B) *spooler {
	s := &spooler{b: b, w: newWorld(b), blocks: 1 << 30 / spoolBlock}
	if quick() {
		s.blocks = 4
	}
	s.source, s.dir = filepath.Join(s.w.dir, "source"), filepath.Join(s.w.dir, "history")
	s.w.serve("-s", "default")
	f, err := os.Create(s.source)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	for range s.blocks {
		if _, err := f.Write(cycle()[:spoolBlock]); err != nil {
			b.Fatal(err)
		}
	}
	if err := f.Sync(); err != nil { // or it would be written while others are measured
		b.Fatal(err)
	}
	if s.c, err = client.New(b.Context(), s.w.dial("default"), streamOptions); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.c.Close() })
	return s
}

// rate is all bytes in a time.
func (s *spooler) rate(took time.Duration) float64 {
	return float64(s.blocks*spoolBlock) / took.Seconds()
}

// each calls fn with the blocks of the source, in order.
func (s *spooler) each(fn func(block []byte) error) {
	s.b.Helper()
	f, err := os.Open(s.source)
	if err != nil {
		s.b.Fatal(err)
	}
	defer f.Close()
	buf := make([]byte, spoolBlock)
	for range s.blocks {
		if _, err := io.ReadFull(f, buf); err != nil {
			s.b.Fatal(err)
		}
		if err := fn(buf); err != nil {
			s.b.Fatal(err)
		}
	}
}

// copy copies the source to a new file, and removes that.
func (s *spooler) copy(policy string) time.Duration {
	s.b.Helper()
	path := filepath.Join(s.w.dir, "copy")
	defer os.Remove(path)
	start := time.Now()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		s.b.Fatal(err)
	}
	defer f.Close()
	synced := start
	s.each(func(block []byte) error {
		if _, err := f.Write(block); err != nil {
			return err
		}
		switch {
		case policy == "always":
		case policy == "second" && time.Since(synced) > time.Second:
			synced = time.Now()
		default:
			return nil
		}
		return f.Sync()
	})
	return time.Since(start)
}

// write copies the source into a new hub on disk.
func (s *spooler) write(policy string) time.Duration {
	s.b.Helper()
	ctx := s.b.Context()
	start := time.Now()
	f, err := s.c.Create(ctx, "/history", 0o666, client.OWRITE)
	if err != nil {
		s.b.Fatal(err)
	}
	defer f.Close()
	if err := s.c.WriteFile(ctx, "/ctl", fmt.Appendf(nil, "spool history -f %s %s\n", policy, s.dir)); err != nil {
		s.b.Fatal(err)
	}
	out := f.Writer(8)
	s.each(func(block []byte) error {
		_, err := out.WriteContext(ctx, block)
		return err
	})
	if err := out.Flush(ctx); err != nil {
		s.b.Fatal(err)
	}
	return time.Since(start)
}

// remove removes the hub and its history, which lies where the server leaves it
// alone.
func (s *spooler) remove() {
	s.b.Helper()
	if err := s.c.Remove(s.b.Context(), "/history"); err != nil {
		s.b.Fatal(err)
	}
	if err := os.RemoveAll(s.dir); err != nil {
		s.b.Fatal(err)
	}
}

// run runs cmd and reads the source from it.
func (s *spooler) run(cmd *exec.Cmd) time.Duration {
	s.b.Helper()
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		s.b.Fatal(err)
	}
	start := time.Now()
	if err := cmd.Start(); err != nil {
		s.b.Fatal(err)
	}
	if err := receive(sourceOf(out.Read), s.blocks*spoolBlock, true); err != nil {
		s.b.Fatalf("%v: %v", cmd, err)
	}
	if n, err := out.Read(make([]byte, 1)); err != io.EOF {
		s.b.Fatalf("%v: %d bytes behind the end, %v", cmd, n, err)
	}
	if err := cmd.Wait(); err != nil {
		s.b.Fatal(err)
	}
	return time.Since(start)
}

// read reads the source from the hub, over a new connection.
func (s *spooler) read() time.Duration {
	s.b.Helper()
	start := time.Now()
	conn := s.w.dial("default")
	defer conn.Close()
	next, err := openHub(s.b.Context(), conn, "/history")
	if err == nil {
		err = receive(next, s.blocks*spoolBlock, true)
	}
	if err != nil {
		s.b.Fatal(err)
	}
	return time.Since(start)
}
