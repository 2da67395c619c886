package frame

import "context"

// Pipe returns the two ends of a link in memory, each of which keeps queue bytes
// of what the other has not received; 0: as many as other links.
func Pipe(queue int) (a, b Link) {
	there, back := newQueue(queue), newQueue(queue)
	return &pipeEnd{there, back}, &pipeEnd{back, there}
}

type pipeEnd struct{ out, in *queue }

func (p *pipeEnd) Send(ctx context.Context, f Frame) error {
	return p.out.send(ctx, f)
}

func (p *pipeEnd) Recv(ctx context.Context) (Frame, error) {
	return p.in.recv(ctx)
}

// Close ends both directions. Who closes takes no more; the other end takes what
// was sent before.
func (p *pipeEnd) Close() error {
	p.in.close(ErrClosed, false)
	p.out.close(ErrClosed, true)
	return nil
}

func (p *pipeEnd) Addr() string { return "pipe" }
