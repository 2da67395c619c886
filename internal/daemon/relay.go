package daemon

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"hubfs/transport"
)

// Stdio speaks 9P on standard input and output: it joins them to the server at
// a, which it starts with args as Dial does. It ends when either side hangs up.
func Stdio(ctx context.Context, a transport.Addr, args []string) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	dial, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	c, err := Dial(dial, a, args)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { c.Close() })()
	return Relay(os.Stdin, os.Stdout, c)
}

// Relay copies bytes between a client on r and w and a server on c, both ways,
// until the server hangs up or r ends. It does not wait for r when the server
// hangs up first: the caller is expected to end.
func Relay(r io.Reader, w io.Writer, c net.Conn) error {
	defer c.Close()
	toServer := make(chan error, 1)
	// Ends with r, or with a write to the closed connection.
	go func() {
		_, err := io.Copy(c, r)
		// The server hangs up in turn when its replies have been sent.
		if half, ok := c.(interface{ CloseWrite() error }); ok {
			half.CloseWrite()
		} else {
			c.Close()
		}
		toServer <- err
	}()
	_, err := io.Copy(w, c)
	select {
	case e := <-toServer:
		if e != nil && !errors.Is(e, net.ErrClosed) {
			err = errors.Join(e, err)
		}
	default:
	}
	if errors.Is(err, os.ErrClosed) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
