package job

import (
	"context"
	"errors"
	"fmt"
	"io"

	"hubfs/client"
	"hubfs/cmd/hub/internal/server"
)

// inputAhead is how many writes of input may be without an answer.
const inputAhead = 16

// An Input is what a job reads. Its end, with Close, is that of the input of
// every task, once all others who write have gone, too.
type Input struct{ f *client.File }

// Input opens the input of all tasks.
func (j *Job) Input(ctx context.Context) (*Input, error) {
	f, err := j.Open(ctx, "stdin", client.OWRITE)
	if err != nil {
		return nil, err
	}
	return &Input{f}, nil
}

// Copy gives the tasks what src has, and the end of it. They take it in their
// own time, and so may this. Who waits in src's Read is not waited for when ctx
// ends.
func (in *Input) Copy(ctx context.Context, src io.Reader) error {
	w := in.f.Writer(inputAhead)
	buf := make([]byte, 64<<10)
	for {
		n, err := src.Read(buf)
		if n > 0 {
			if _, err := w.WriteContext(ctx, buf[:n]); err != nil {
				return inputError(err)
			}
		}
		if errors.Is(err, io.EOF) {
			if err := w.Flush(ctx); err != nil {
				return inputError(err)
			}
			return in.Close()
		}
		if err != nil {
			return fmt.Errorf("read the input: %w", err)
		}
	}
}

// Type gives the tasks what was typed. Their input does not end with it: the last
// close of stdin is the end, and that of an open that says where to begin is not.
func (j *Job) Type(ctx context.Context, p []byte) error {
	f, err := j.Open(ctx, "stdin@end", client.OWRITE)
	if err != nil {
		return err
	}
	_, err = f.WriteContext(ctx, p)
	return server.Said(errors.Join(err, f.Close()))
}

// inputError is nil for tasks that have ended and read no more: that is their
// affair, as with a pipe to a command that does not read to the end.
func inputError(err error) error {
	var e *client.Error
	if errors.As(err, &e) && !server.Lost(err) && !server.Refused(err) {
		return nil
	}
	return err
}

// Close ends the input.
func (in *Input) Close() error { return in.f.Close() }
