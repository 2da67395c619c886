package filestore

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"hubfs/hub"
)

// killedDir tells the test binary that it is the child that is to be killed,
// and where it writes.
const killedDir = "FILESTORE_TEST_KILLED_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(killedDir); dir != "" {
		if err := writeUntilKilled(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// placed is the byte that belongs at an offset.
func placed(at int64) byte { return byte(at ^ at>>8 ^ at>>16) }

// writeUntilKilled goes on with the store, and says what is stable.
func writeUntilKilled(dir string) error {
	policy, err := ParsePolicy(os.Getenv("FILESTORE_TEST_POLICY"))
	if err != nil {
		return err
	}
	s, err := Open(dir, Options{Sync: policy, Segment: 1 << 20, Tail: 1})
	if err != nil {
		return err
	}
	changed := make(chan struct{}, 1)
	s.Notify(func() { poke(changed) })
	rnd := rand.New(rand.NewPCG(uint64(os.Getpid()), 1))
	for {
		_, next := s.Bounds()
		b := make([]byte, 1+rnd.IntN(200_000))
		for i := range b {
			b[i] = placed(next + int64(i))
		}
		if _, err := s.Append(hub.Piece{Data: b}); err != nil {
			return err
		}
		stable := s.Stable()
		fmt.Println(stable) // one write(2): it is told, or it is not
		for next+int64(len(b))-stable > 1<<20 {
			<-changed
			stable = s.Stable()
		}
	}
}

// A process that is killed with SIGKILL loses nothing that was stable, under
// any policy, and nothing that comes back is wrong.
func TestKilledProcessLosesNothingStable(t *testing.T) {
	for _, policy := range []Policy{Always, Second, Never} {
		t.Run(policy.String(), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			rnd := rand.New(rand.NewPCG(uint64(policy), 5))
			for range 6 {
				stable := killedAfter(t, dir, policy, 5+rnd.IntN(60))
				s := mustOpen(t, dir, Options{Sync: policy, Segment: 1 << 20, Tail: 1})
				if _, next := s.Bounds(); next < stable {
					t.Fatalf("%d bytes came back; %d were stable", next, stable)
				}
				got, err := readFrom(s, 0)
				if err != nil {
					t.Fatal(err)
				}
				for i, c := range got {
					if c != placed(int64(i)) {
						t.Fatalf("wrong byte at %d", i)
					}
				}
				if s.Note() != nil {
					t.Error("a note from nowhere")
				}
				closeAndWait(t, s)
			}
		})
	}
}

// killedAfter runs the child until it has said so many lines, kills it, and
// returns the last offset that it called stable.
func killedAfter(t *testing.T, dir string, policy Policy, lines int) int64 {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), killedDir+"="+dir, "FILESTORE_TEST_POLICY="+policy.String())
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(out)
	var stable int64
	for n := 0; ; n++ {
		if n == lines {
			cmd.Process.Kill()
		}
		line, err := in.ReadString('\n')
		if err != nil { // all that it said before the end is read
			break
		}
		if stable, err = strconv.ParseInt(strings.TrimSpace(line), 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	cmd.Wait()
	if stderr.Len() > 0 {
		t.Fatal(stderr.String())
	}
	return stable
}
