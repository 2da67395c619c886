package job

import (
	"context"
	"errors"
	"io"
	"time"

	"hubfs/client"
	"hubfs/cmd/hub/internal/server"
)

// An Output is a stream of a job that is copied: a hub, opened by its offsets.
type Output struct {
	// Skipped is told of bytes that were gone before they could be read. It is
	// called by Copy's own goroutine.
	Skipped func(n int64)

	f   *client.File
	srv *server.Server
	hub string // its name
}

// Output opens a stream of the job by its file: "stdout", "out/labelled".
func (j *Job) Output(ctx context.Context, file string) (*Output, error) {
	f, err := j.Open(ctx, file+"@", client.OREAD)
	if err != nil {
		return nil, err
	}
	return &Output{f: f, srv: j.srv, hub: j.Name() + "/" + file}, nil
}

// blockSize is most bytes of a read.
const blockSize = 256 << 10

// Copy gives the bytes of the stream to take, until it is over. Before, an end of
// file is only a mark that somebody has set. When over is closed nothing more can
// come.
func (o *Output) Copy(ctx context.Context, over <-chan struct{}, take func([]byte) error) error {
	w := client.Window{Reads: 2, Bytes: blockSize, MostReads: 4}
	if o.srv.Addr.Network != "unix" {
		w.Reads, w.MostReads = 16, 64
	}
	r := o.f.Onward(0, w)
	defer r.Close()
	last, asked := int64(-1), false // where the file ended last; whether that was the last look
	for {
		p, err := r.Next(ctx)
		if err == nil {
			if err := take(p); err != nil {
				return err
			}
			continue
		}
		if first, gone := server.Discarded(err); gone {
			if n := first - r.Offset(); n > 0 && o.Skipped != nil {
				o.Skipped(n)
			}
			r.Resume(first)
			continue
		}
		if !errors.Is(err, io.EOF) {
			return err
		}
		// A stream that has ended says so again and again, a mark once. So the
		// second time in one place we find out.
		if last != r.Offset() {
			last, asked = r.Offset(), false
			continue
		}
		if asked {
			return nil
		}
		if asked, err = o.ended(ctx, over); err != nil {
			return err
		}
		if asked {
			r.SeekTo(last) // the reads under way may have been answered before
		}
	}
}

// soon is how much later than the output of a job its end may be told.
const soon = 100 * time.Millisecond

// ended reports whether nothing can come any more.
func (o *Output) ended(ctx context.Context, over <-chan struct{}) (bool, error) {
	late := time.NewTimer(soon)
	defer late.Stop()
	select {
	case <-over:
		return true, nil
	case <-ctx.Done():
		return false, ctx.Err()
	case <-late.C:
	}
	h, ok, err := o.srv.Hub(ctx, o.hub)
	return !ok || h.Ended(), err
}

// Close ends it.
func (o *Output) Close() error { return o.f.Close() }
