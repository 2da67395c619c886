package e2e

import (
	"encoding/binary"
	"sync"
	"testing"
	"time"

	natsd "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

const (
	natsSubject = "stream"
	natsAcks    = "acks"

	// A server of nats hangs up on who is slow, for its memory's sake. So the
	// readers say how far they have come, each natsStep, and the writer stays
	// within natsWindow of the slowest: little for who reads as fast as they do.
	natsStep   = 1 << 20
	natsWindow = 4 << 20
)

// natsCarrier is a subject of a nats server in this process, where the writer
// is too. The readers come by TCP, for it knows no other sockets.
func natsCarrier(b *testing.B, readers int) *carrier {
	s, err := natsd.NewServer(&natsd.Options{
		Host: "127.0.0.1", Port: natsd.RANDOM_PORT, NoLog: true, NoSigs: true,
		MaxPending: 1 << 30, WriteDeadline: time.Minute,
	})
	if err != nil {
		b.Fatal(err)
	}
	s.Start()
	b.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(patience) {
		b.Fatal("the nats server does not come up")
	}
	nc, err := nats.Connect("", nats.InProcessServer(s))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(nc.Close)

	var mu sync.Mutex
	come := make([]int, readers) // guarded by mu: how far each reader is
	moved := make(chan struct{}, 1)
	if _, err := nc.Subscribe(natsAcks, func(m *nats.Msg) {
		mu.Lock()
		come[binary.LittleEndian.Uint32(m.Data)] += natsStep
		mu.Unlock()
		select {
		case moved <- struct{}{}:
		default:
		}
	}); err != nil {
		b.Fatal(err)
	}
	c := &carrier{name: "nats"}
	c.readers(b, "nats", s.ClientURL(), readers)
	sent, low := 0, 0 // low is how far the slowest was when last looked at
	c.write = func(block []byte) error {
		for sent-low > natsWindow {
			if err := nc.Flush(); err != nil { // what was published is to be on its way
				return err
			}
			<-moved
			mu.Lock()
			low = slowest(come)
			mu.Unlock()
		}
		sent += len(block)
		return nc.Publish(natsSubject, block)
	}
	c.flush = nc.Flush
	return c
}

func slowest(come []int) int {
	low := come[0]
	for _, n := range come {
		low = min(low, n)
	}
	return low
}

// openNats subscribes reader i.
func openNats(url string, i int) (source, error) {
	nc, err := nats.Connect(url)
	if err != nil {
		return nil, err
	}
	sub, err := nc.SubscribeSync(natsSubject)
	if err != nil {
		return nil, err
	}
	if err := sub.SetPendingLimits(-1, -1); err != nil {
		return nil, err
	}
	if err := nc.Flush(); err != nil { // the server knows
		return nil, err
	}
	ack := binary.LittleEndian.AppendUint32(nil, uint32(i))
	var rest []byte
	var got int
	return func(max int) ([]byte, error) {
		if len(rest) == 0 {
			m, err := sub.NextMsg(time.Minute)
			if err != nil {
				return nil, err
			}
			rest = m.Data
		}
		n := min(max, len(rest))
		p := rest[:n]
		rest = rest[n:]
		if got += n; got/natsStep > (got-n)/natsStep {
			if err := nc.Publish(natsAcks, ack); err != nil {
				return nil, err
			}
		}
		return p, nil
	}, nil
}
