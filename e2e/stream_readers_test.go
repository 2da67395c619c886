package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"

	"hubfs/client"
)

const (
	blockSize = 64 << 10
	cycleSize = 16 * blockSize // the stream repeats after this many bytes
)

// cycle holds the bytes of which every stream is made: each word of eight
// bytes is its own place, so that a byte lost, doubled or moved shows.
var cycle = sync.OnceValue(func() []byte {
	c := make([]byte, cycleSize)
	for i := 0; i < len(c); i += 8 {
		binary.LittleEndian.PutUint64(c[i:], uint64(i)|0xa5<<56)
	}
	return c
})

// readerName is argv[0] of a test binary that is the readers of a stream.
const readerName = "stream-readers"

// streamReaders makes this process the readers of a benchmark's stream if it
// was started as that, and does not return then. Whoever measures reads in a
// process of its own, as the readers of a real stream do.
func streamReaders() {
	if os.Args[0] == readerName {
		if err := readStreams(os.Args[1], os.Args[2], os.Args[3]); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}

// readStreams opens a number of readers. Then, for each line on its standard
// input, they read so many bytes each, and check all of them or some: the
// answer is a line that says ok, or what was wrong.
func readStreams(kind, where, number string) error {
	n, err := strconv.Atoi(number)
	if err != nil {
		return err
	}
	ctx := context.Background()
	reads := make([]source, n)
	for i := range reads {
		if reads[i], err = openStream(ctx, kind, where, i); err != nil {
			return err
		}
	}
	fmt.Println("ok")
	rounds := bufio.NewScanner(os.Stdin)
	for rounds.Scan() {
		var total int
		var all bool
		if _, err := fmt.Sscan(rounds.Text(), &total, &all); err != nil {
			return err
		}
		errs := make([]error, n)
		var wg sync.WaitGroup
		for i, read := range reads {
			wg.Go(func() { errs[i] = receive(read, total, all) }) // ends with the round's last byte
		}
		wg.Wait()
		if err := errors.Join(errs...); err != nil {
			return errors.New(strings.ReplaceAll(err.Error(), "\n", "; "))
		}
		fmt.Println("ok")
	}
	return rounds.Err()
}

// A source returns the next bytes of a stream, at least one and at most max.
// They are good until it is called again.
type source func(max int) ([]byte, error)

// sourceOf makes a source of a Read, with a buffer as large as a block.
func sourceOf(read func([]byte) (int, error)) source {
	buf := make([]byte, blockSize)
	return func(max int) ([]byte, error) {
		n, err := read(buf[:min(len(buf), max)])
		return buf[:n], err
	}
}

// openStream opens reader i: an inherited socket, a fifo, a hub, a TLS connection,
// a hub over one, or a subject of nats.
func openStream(ctx context.Context, kind, where string, i int) (source, error) {
	switch kind {
	case "socket":
		f := os.NewFile(uintptr(3+i), "socket")
		defer f.Close()
		c, err := net.FileConn(f)
		if err != nil {
			return nil, err
		}
		return sourceOf(c.Read), nil
	case "fifo":
		f, err := os.OpenFile(where+strconv.Itoa(i), os.O_RDWR, 0) // not to wait for the writer here
		if err != nil {
			return nil, err
		}
		return sourceOf(f.Read), nil
	case "hub":
		network, addr, _ := strings.Cut(where, " ")
		conn, err := net.Dial(network, addr)
		if err != nil {
			return nil, err
		}
		return openHub(ctx, conn, "/stream")
	case "tls":
		conn, err := dialTLS(ctx, where)
		if err != nil {
			return nil, err
		}
		return sourceOf(conn.Read), nil
	case "hub-tls":
		conn, err := dialTLS(ctx, where)
		if err != nil {
			return nil, err
		}
		return openHub(ctx, conn, "/stream")
	case "kept-tls":
		conn, err := dialTLS(ctx, where)
		if err != nil {
			return nil, err
		}
		return openKept(ctx, conn, "/stream@")
	case "nats":
		return openNats(where, i)
	}
	return nil, fmt.Errorf("readers of %q", kind)
}

// openHub opens a hub on a connection of its own.
func openHub(ctx context.Context, conn net.Conn, path string) (source, error) {
	c, err := client.New(ctx, conn, streamOptions)
	if err != nil {
		return nil, err
	}
	f, err := c.Open(ctx, path, client.OREAD)
	if err != nil {
		return nil, err
	}
	in := f.Reader(4)
	var rest []byte
	return func(max int) (p []byte, err error) {
		if len(rest) == 0 {
			if rest, err = in.Next(ctx); err != nil {
				return nil, err
			}
		}
		p = rest[:min(len(rest), max)]
		rest = rest[len(p):]
		return p, nil
	}, nil
}

// openKept opens a hub that is read from its beginning when its end has come.
func openKept(ctx context.Context, conn net.Conn, path string) (source, error) {
	c, err := client.New(ctx, conn, streamOptions)
	if err != nil {
		return nil, err
	}
	f, err := c.Open(ctx, path, client.OREAD)
	if err != nil {
		return nil, err
	}
	in := f.Onward(0, client.Window{Reads: 4, Bytes: blockSize, MostReads: 16, MostOne: 4 * blockSize})
	var rest []byte
	return func(max int) (p []byte, err error) {
		if len(rest) == 0 {
			if in.Offset() == keptBytes {
				in.SeekTo(0)
			}
			if rest, err = in.Next(ctx); err != nil {
				return nil, err
			}
		}
		p = rest[:min(len(rest), max)]
		rest = rest[len(p):]
		return p, nil
	}, nil
}

// streamOptions are hub's own.
var streamOptions = client.Options{Uname: "bench", Ordered: true}

// receive reads and checks the bytes of one round, which begins at the
// beginning of the cycle.
func receive(next source, total int, all bool) error {
	for pos := 0; pos < total; {
		p, err := next(total - pos)
		if err != nil {
			return fmt.Errorf("read at %d of %d: %w", pos, total, err)
		}
		if len(p) == 0 {
			return fmt.Errorf("read at %d of %d: the stream ended", pos, total)
		}
		if at, ok := check(p, pos, all); !ok {
			return fmt.Errorf("read of %d bytes at %d: wrong byte at %d", len(p), pos, at)
		}
		pos += len(p)
	}
	return nil
}

// check compares p with the stream at pos, all of it or the beginning.
func check(p []byte, pos int, all bool) (wrong int, ok bool) {
	if !all {
		p = p[:min(8, len(p))]
	}
	for len(p) > 0 {
		want := cycle()[pos%cycleSize:]
		n := min(len(p), len(want))
		if !bytes.Equal(p[:n], want[:n]) {
			return pos, false
		}
		p, pos = p[n:], pos+n
	}
	return 0, true
}
