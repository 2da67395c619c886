package shellctl

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"testing"

	"github.com/creack/pty"
)

// The limit of both benchmarks is a bare PTY: the same program, and a loop
// that does nothing but read and write its master.

func BenchmarkOutput(b *testing.B) {
	const size = 16 << 20
	argv := []string{"sh", "-c", fmt.Sprintf("stty raw; exec head -c %d /dev/zero", size)}
	b.Run("bare", func(b *testing.B) {
		b.SetBytes(size)
		for b.Loop() {
			f, err := pty.Start(exec.Command(argv[0], argv[1:]...))
			if err != nil {
				b.Fatal(err)
			}
			if n, _ := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{f}, make([]byte, 64<<10)); n != size {
				b.Fatal(n)
			}
			f.Close()
		}
	})
	b.Run("shellctl", func(b *testing.B) {
		b.SetBytes(size)
		writes := 0
		for b.Loop() {
			n := 0
			s, err := Start(Spec{Argv: argv}, Streams{Stdout: sinkFunc(func(p []byte) { n += len(p); writes++ })}, nil)
			if err != nil {
				b.Fatal(err)
			}
			if st, err := s.Wait(context.Background()); err != nil || st.Code != 0 || n != size {
				b.Fatal(st, err, n)
			}
		}
		b.ReportMetric(float64(b.N)*size/float64(writes), "B/write")
	})
}

func BenchmarkEcho(b *testing.B) {
	argv := []string{"sh", "-c", "stty raw -echo; echo r; exec cat"}
	b.Run("bare", func(b *testing.B) {
		cmd := exec.Command(argv[0], argv[1:]...)
		f, err := pty.Start(cmd)
		if err != nil {
			b.Fatal(err)
		}
		defer cmd.Wait()
		defer f.Close()
		echo := func(n int) {
			if _, err := io.ReadFull(f, make([]byte, n)); err != nil {
				b.Fatal(err)
			}
		}
		echo(2)
		for b.Loop() {
			f.WriteString("k")
			echo(1)
		}
	})
	b.Run("shellctl", func(b *testing.B) {
		in := newKeyboard()
		out := make(chan int, 8)
		s, err := Start(Spec{Argv: argv}, Streams{Stdin: in, Stdout: sinkFunc(func(p []byte) { out <- len(p) })}, nil)
		if err != nil {
			b.Fatal(err)
		}
		defer func() { s.Kill(0); <-s.Done() }()
		<-out
		b.ReportAllocs()
		for b.Loop() {
			in.keys <- "k"
			<-out
		}
	})
}

type sinkFunc func([]byte)

func (f sinkFunc) WriteContext(_ context.Context, p []byte) (int, error) {
	f(p)
	return len(p), nil
}
