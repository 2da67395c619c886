package p9

import (
	"context"
	"testing"
	"testing/synctest"

	"hubfs/internal/wire"
	"hubfs/tree"
)

// TestAServerThatEndsAnswersWhatTookEffect: a write that is under way when the
// server ends, perhaps because that is what was written, is answered when it is
// done. What only waited has not taken place, and is not.
func TestAServerThatEndsAnswersWhatTookEffect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, end := context.WithCancel(context.Background())
		m := newMem()
		f := slowFile{m.file("ctl", "", 0o666), make(chan struct{})}
		m.root.kids["ctl"] = f
		c := dialContext(ctx, t, &Server{Root: m.root}, Peer{}).login("")
		c.open(1, "stream", tree.OpenRead)
		c.open(2, "ctl", tree.OpenWrite)
		c.send(tread(3, 1, 10))
		c.send(twrite(4, 2, "quit"))
		c.send(twrite(5, 2, "behind it"))
		c.send(wire.Msg{Type: wire.Tflush, Tag: 6, Oldtag: 4})
		synctest.Wait()
		end()
		synctest.Wait() // for the write
		close(f.done)
		c.expect(`Rwrite tag 4 count 4`)
		c.expect(`Rflush tag 6`)
		if r, ok := c.take(); ok || !c.hungUp() {
			t.Errorf("got %v", &r)
		}
		if err := <-c.done; err != nil {
			t.Error(err)
		}
		m.checkFreed(t)
	})
}

// A slowFile is written when it is done.
type slowFile struct {
	*memFile
	done chan struct{}
}

func (f slowFile) Open(c *tree.Caller, mode uint8) (tree.Handle, error) {
	h, err := f.memFile.Open(c, mode)
	if err != nil {
		return nil, err
	}
	return slowHandle{h.(readWriter), f.done}, nil
}

type slowHandle struct {
	readWriter
	done chan struct{}
}

func (h slowHandle) WriteAt(p []byte, off int64) (int, error) {
	<-h.done
	return h.readWriter.WriteAt(p, off)
}
