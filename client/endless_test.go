package client_test

import (
	"context"
	"strings"
	"testing"

	"hubfs/internal/wire"
)

// A file without an end is not read into memory.
func TestReadFileOfAFileWithoutEnd(t *testing.T) {
	piece := strings.Repeat("x", 32<<10)
	c, s := dial(t)
	over := async(func() error {
		_, err := c.ReadFile(context.Background(), "status")
		return err
	})
	for {
		switch m := s.next(); m.Type {
		case wire.Twalk:
			s.reply(m, wire.Msg{Wqid: make([]wire.Qid, len(m.Wname))})
		case wire.Topen:
			s.reply(m, wire.Msg{})
		case wire.Tread:
			s.data(m, piece[:min(len(piece), int(m.Count))])
		default: // it has had enough
			if err := <-over; err == nil || !strings.Contains(err.Error(), "more than") {
				t.Errorf("read: %v", err)
			}
			return
		}
	}
}
