package pipes

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// Copy moves bytes from src to dst until src is complete, and returns nil
// then. What one read gives is written at once. It stops early at an error of
// either side, which is wrapped, or when ctx is done.
//
// At each eof mark of src, when dst has taken everything before it, Copy calls
// mark; an error of mark ends the copy. A nil mark passes over the marks.
//
// The buffer is used for the copying; Copy panics if it is empty.
func Copy(ctx context.Context, dst Sink, src Source, buf []byte, mark func() error) error {
	if len(buf) == 0 {
		panic("pipes: Copy with an empty buffer")
	}
	for {
		n, err := src.ReadContext(ctx, buf)
		if n > 0 {
			if _, err := dst.WriteContext(ctx, buf[:n]); err != nil {
				return fmt.Errorf("write: %w", err)
			}
		}
		switch {
		case err == nil:
		case IsEnded(err):
			return nil
		case !errors.Is(err, io.EOF):
			return fmt.Errorf("read: %w", err)
		case mark != nil:
			if err := mark(); err != nil {
				return err
			}
		}
	}
}
