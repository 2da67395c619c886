package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"hubfs/taskfs/frame"
)

// maxRows is how many rows an answer may have in all, maxAsked how many questions
// a node answers at a time for each node above, and maxAsking how many may be
// without any answer.
const (
	maxRows   = 100_000
	maxAsked  = 16
	maxAsking = 1000
)

// An asking is a question on its way.
type asking struct {
	rows []Row         // guarded by n.mu until done is closed
	err  string        // likewise
	done chan struct{} // closed when the last part of the answer has come
}

// ask asks the node, and waits for the whole answer.
func (c *Child) ask(ctx context.Context, q question) ([]Row, error) {
	n := c.n
	a := &asking{done: make(chan struct{})}
	n.mu.Lock()
	n.question++
	q.ID = n.question
	c.asked[q.ID] = a
	n.mu.Unlock()
	defer func() {
		n.mu.Lock()
		delete(c.asked, q.ID)
		n.mu.Unlock()
	}()
	q.Within = maxPeriod
	if deadline, ok := ctx.Deadline(); ok {
		q.Within = time.Until(deadline)
	}
	if err := c.link.Send(ctx, frame.Frame{Kind: frame.Ask, Body: encode(q)}); err != nil {
		return nil, fmt.Errorf("ask %s: %w", c.m.name, err)
	}
	select {
	case <-a.done:
	case <-c.ctx.Done():
		return nil, c.lostError()
	case <-ctx.Done():
		return nil, fmt.Errorf("%s does not answer: %w", c.m.name, ctx.Err())
	}
	if a.err != "" {
		return nil, errors.New(OneLine(a.err))
	}
	return a.rows, nil
}

func (c *Child) takeAnswer(p []byte) error {
	var part answer
	if err := decode("answer", p, &part); err != nil {
		return err
	}
	for _, r := range part.Rows {
		if err := r.check(); err != nil {
			return err
		}
	}
	c.n.mu.Lock()
	defer c.n.mu.Unlock()
	a := c.asked[part.ID]
	if a == nil {
		return nil // it was given up
	}
	if a.rows = append(a.rows, part.Rows...); len(a.rows) > maxRows {
		return fmt.Errorf("an answer with more than %d rows", maxRows)
	}
	if !part.More {
		a.err = part.Err
		delete(c.asked, part.ID)
		close(a.done)
	}
	return nil
}

// takeAsk answers a question, in a goroutine of its own.
func (p *Parent) takeAsk(body []byte) error {
	var q question
	if err := decode("question", body, &q); err != nil {
		return err
	}
	n := p.n
	n.mu.Lock()
	p.asked++
	asked := p.asked
	n.mu.Unlock()
	if asked > maxAsking {
		return fmt.Errorf("%d questions at a time: %d may be", asked, maxAsking)
	}
	n.running.Go(func() { // until it is answered, the link ends, or the time that it may take is over
		ctx, cancel := context.WithTimeout(p.ctx, min(q.Within, maxPeriod))
		defer cancel()
		if asked > maxAsked {
			p.answer(answer{ID: q.ID, Err: fmt.Sprintf("%s answers %d questions already", n.o.Info.Name, maxAsked)})
		} else {
			p.settle(ctx, q)
		}
		n.mu.Lock()
		p.asked--
		n.mu.Unlock()
	})
	return nil
}

// answer sends a part of an answer.
func (p *Parent) answer(a answer) {
	// If it fails the link has ended, and who receives knows why.
	p.link.Send(p.ctx, frame.Frame{Kind: frame.Answer, Body: encode(a)})
}

// settle finds the answer to a question, and sends it.
func (p *Parent) settle(ctx context.Context, q question) {
	var err error
	switch q.Op {
	case "rows":
		p.sendRows(q.ID, p.n.Rows(ctx))
		return
	case "end":
		err = p.n.endEpoch(ctx, p.instance, q.Epoch)
	default:
		err = p.n.change(ctx, q.Op, q.Path)
	}
	a := answer{ID: q.ID}
	if err != nil {
		a.Err = OneLine(err.Error())
	}
	p.answer(a)
}

// sendRows answers with rows, as many frames as it takes.
func (p *Parent) sendRows(id uint64, rows []Row) {
	if len(rows) > maxRows {
		p.n.o.Log.Warn("more nodes than an answer may have", "nodes", len(rows), "answered", maxRows)
		rows = rows[:maxRows]
	}
	part, size := 0, 0
	for i, r := range rows {
		if size += r.size(); size > frame.MaxBody/8 { // JSON may write six bytes for one
			p.answer(answer{ID: id, Rows: rows[part:i], More: true})
			part, size = i, r.size()
		}
	}
	p.answer(answer{ID: id, Rows: rows[part:]})
}

// endEpoch ends what runs for an epoch of a node above, and waits until nothing
// does.
func (n *Node) endEpoch(ctx context.Context, instance string, epoch uint64) error {
	n.mu.Lock()
	var of *Parent
	for _, p := range n.parents {
		if p.instance == instance && p.epoch == epoch {
			of = p
		}
	}
	n.mu.Unlock()
	if of == nil {
		return nil
	}
	of.cut(fmt.Errorf("%s has fenced epoch %d", of.node, epoch))
	select {
	case <-of.ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the tasks of epoch %d have not ended yet: %w", epoch, ctx.Err())
	}
}
