package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"hubfs/transport"
)

// aliveTime is how long a client that has promised to say something now and
// then may be silent. It does so every five seconds.
const aliveTime = 20 * time.Second

// Stdio speaks 9P on standard input and output: it joins them to the server at
// a, which it starts with args as Dial does. It ends when either side hangs up.
//
// If alive is set it says transport.Greeting when it has found the server, and
// ends when the client is silent for twenty seconds: the network may be gone,
// and with it whoever would tell. What the client holds on the server, as the
// size of its terminal, goes with the connection.
func Stdio(ctx context.Context, a transport.Addr, args []string, alive bool) error {
	ctx, stop := untilSignal(ctx)
	defer stop()
	dial, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	c, err := Dial(dial, a, args)
	if err != nil {
		return err
	}
	return stdioWith(ctx, c, alive)
}

// untilSignal is done when somebody asks for the end, or the terminal goes away.
func untilSignal(ctx context.Context) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
}

// stdioWith is Stdio when the server was found.
func stdioWith(ctx context.Context, c net.Conn, alive bool) error {
	defer context.AfterFunc(ctx, func() { c.Close() })()
	var silence time.Duration
	if alive {
		if _, err := io.WriteString(os.Stdout, transport.Greeting); err != nil {
			c.Close()
			return err
		}
		silence = aliveTime
	}
	r, w, c, isQuick := quick(os.Stdin, os.Stdout, c)
	if isQuick {
		runtime.GOMAXPROCS(1) // one byte after another is all that there is to do
	}
	return Relay(r, w, c, silence)
}

// Relay copies bytes between a client on r and w and a server on c, both ways,
// until the server hangs up, r ends, or nothing has come from r for the time
// of silence, if that is not 0. It does not wait for r when the server hangs
// up first, nor for r and w after a silence: the caller is expected to end.
func Relay(r io.Reader, w io.Writer, c net.Conn, silence time.Duration) error {
	defer c.Close()
	silent := make(chan struct{}, 1)
	if silence > 0 {
		timer := time.AfterFunc(silence, func() {
			select {
			case silent <- struct{}{}:
			default: // said already, and something has come since
			}
		})
		defer timer.Stop()
		r = heard{r, func() { timer.Reset(silence) }}
	}
	toServer := make(chan error, 1)
	// Ends with r, or with a write to the closed connection.
	go func() {
		_, err := carry(c, r)
		// The server hangs up in turn when its replies have been sent.
		if half, ok := c.(interface{ CloseWrite() error }); ok {
			half.CloseWrite()
		} else {
			c.Close()
		}
		toServer <- err
	}()
	toClient := make(chan error, 1)
	// Ends with the connection, or with a write to the closed w.
	go func() {
		_, err := carry(w, c)
		toClient <- err
	}()
	var err error
	select {
	case err = <-toClient:
	case <-silent:
		return fmt.Errorf("the client has said nothing for %v", silence)
	}
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

// heard is a reader that says so whenever something has come.
type heard struct {
	io.Reader
	note func()
}

func (h heard) Read(p []byte) (int, error) {
	n, err := h.Reader.Read(p)
	if n > 0 {
		h.note()
	}
	return n, err
}
