package gather

import "hubfs/taskfs/ranks"

// A Relay is what a node has to send upward of one session.
type Relay struct{}

// NewRelay returns a Relay. wake is called, with no lock held, when there is
// something for Next that was not there before.
func NewRelay(wake func()) *Relay { panic("not built yet") }

// Output takes what a set of tasks has put out, in the order of each task. p is
// copied.
func (r *Relay) Output(set ranks.Set, s Stream, p []byte) { panic("not built yet") }

// Queued is how many bytes wait for Next.
func (r *Relay) Queued() int { panic("not built yet") }

// Next returns the next body of an Output frame, of at most max bytes, and how
// many bytes of output it stands for; none says that nothing waits.
func (r *Relay) Next(max int) (body []byte, n int) { panic("not built yet") }

// A Decoder is the other end of a Relay.
type Decoder struct{}

// NewDecoder returns the other end of a new Relay of tasks [0, size).
func NewDecoder(size int) *Decoder { panic("not built yet") }

// Decode calls each for what is in a body. p is shared and is not to be changed.
func (d *Decoder) Decode(body []byte, each func(set ranks.Set, s Stream, p []byte)) error {
	panic("not built yet")
}
