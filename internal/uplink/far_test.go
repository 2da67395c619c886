package uplink

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hubfs/p9"
	"hubfs/taskfs/frame"
)

// far carries bytes from src to dst, each of which takes d for the way, whatever is
// under way before it. It ends with either of them.
func far(dst io.WriteCloser, src io.Reader, d time.Duration) {
	type piece struct {
		due time.Time
		p   []byte
	}
	way := make(chan piece, 1<<10)
	go func() { // ends with way
		defer dst.Close()
		for s := range way {
			time.Sleep(time.Until(s.due)) // of the bubble's time
			if _, err := dst.Write(s.p); err != nil {
				break
			}
		}
		for range way {
		}
	}()
	defer close(way)
	for {
		p := make([]byte, 256<<10)
		n, err := src.Read(p)
		if n > 0 {
			way <- piece{time.Now().Add(d), p[:n]}
		}
		if err != nil {
			return
		}
	}
}

// TestALinkIsAsFastFarAway: what goes up and down does not wait for answers.
func TestALinkIsAsFastFarAway(t *testing.T) {
	const (
		way    = 50 * time.Millisecond
		frames = 100
	)
	synctest.Test(t, func(t *testing.T) {
		var took time.Duration
		u := newUpper(t, func(ctx context.Context, l frame.Link) error {
			if err := l.Send(ctx, frame.Frame{Kind: frame.Hello}); err != nil {
				return err
			}
			began := time.Now()
			body := []byte(strings.Repeat("x", 64<<10))
			go func() { // ends with the frames, or with the link
				for range frames {
					if l.Send(ctx, frame.Frame{Kind: frame.Ask, Body: body}) != nil {
						return
					}
				}
			}()
			for range frames {
				if _, err := l.Recv(ctx); err != nil {
					return err
				}
			}
			took = time.Since(began)
			return nil
		})
		j := u.joiner()
		j.Dial = func(context.Context) (io.ReadWriteCloser, error) {
			here, near := net.Pipe()
			beyond, there := net.Pipe()
			go far(beyond, near, way)
			go far(near, beyond, way)
			u.wait.Go(func() { u.s.ServeConn(context.Background(), there, p9.Peer{User: "leaf", Addr: "pipe"}) }) // until it is hung up
			return here, nil
		}
		if err := j.Join(t.Context(), func() {}); took == 0 {
			t.Fatal(err)
		}
		u.wait.Wait()
		// There and back is 100 ms; with one write, and one read, under way a frame
		// would take as much.
		if most := 10 * 2 * way; took > most {
			t.Errorf("%d frames and their answers took %v, want at most %v", frames, took, most)
		}
	})
}
