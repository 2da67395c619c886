package job

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"hubfs/client"
)

// maxLine is the longest line that a server may say.
const maxLine = 64 << 10

// lines gives the lines of a file that waits for more, those of each read together,
// to take, until its end.
func lines(ctx context.Context, f *client.File, take func([]string) error) error {
	buf := make([]byte, 64<<10)
	var rest []byte // of a line that is not complete
	var whole []string
	for {
		n, err := f.ReadContext(ctx, buf)
		if errors.Is(err, io.EOF) {
			if len(rest) > 0 {
				return fmt.Errorf("%s ended within a line: %q", f.Path(), rest)
			}
			return nil
		}
		if err != nil {
			return err
		}
		rest = append(rest, buf[:n]...)
		whole = whole[:0]
		for {
			i := bytes.IndexByte(rest, '\n')
			if i < 0 {
				break
			}
			whole = append(whole, string(rest[:i]))
			rest = rest[i+1:]
		}
		if len(rest) > maxLine {
			return fmt.Errorf("%s: a line of more than %d bytes", f.Path(), maxLine)
		}
		if len(whole) > 0 {
			if err := take(whole); err != nil {
				return err
			}
		}
	}
}
