// Package gather brings together what many tasks put out: on its way up the tree,
// so that what is equal travels once, and at the top, where it is streams and
// groups of tasks that said the same.
package gather

import (
	"hubfs/hub"
	"hubfs/taskfs/ranks"
)

// A Stream is one of the two that a task writes.
type Stream uint8

// The streams of a task.
const (
	Stdout Stream = 1
	Stderr Stream = 2
)

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

// Options are a Store's.
type Options struct {
	Tasks int                   // ranks are [0, Tasks)
	Label func(rank int) string // what stands before a line of the task
	Keep  int64                 // bytes of distinct output kept for Folded and for streams opened late

	// The streams of all tasks, by lines: whoever writes them is the Store.
	Merged   *hub.Hub // stdout
	Errors   *hub.Hub // stderr
	Labelled *hub.Hub // both, each line with its label
}

// A Store is the output of a session at its top.
type Store struct{}

// NewStore returns an empty Store.
func NewStore(o Options) *Store { panic("not built yet") }

// Output takes what tasks have put out.
func (s *Store) Output(set ranks.Set, st Stream, p []byte) { panic("not built yet") }

// End says that nothing more comes of the tasks: what they have begun of a line
// is one. They may begin again (see Reset).
func (s *Store) End(set ranks.Set) { panic("not built yet") }

// Reset forgets what tasks have put out, for folded and per-task output: they are
// run anew.
func (s *Store) Reset(set ranks.Set) { panic("not built yet") }

// A Group is the tasks that have put out the same.
type Group struct {
	Ranks  ranks.Set
	Output []byte // shared
	Lost   bool   // some of it was not kept
}

// Folded returns the groups of what has come up to now, the largest first, then by lowest rank.
func (s *Store) Folded(set ranks.Set, st Stream) []Group { panic("not built yet") }

// View returns the hub of one stream of some tasks, line by line for more than
// one. It is made at the first call, with what is kept of what came before, and
// lives as long as somebody holds it: release it once.
func (s *Store) View(set ranks.Set, st Stream) (h *hub.Hub, release func()) { panic("not built yet") }

// Close ends all views. The hubs of the Options are the caller's.
func (s *Store) Close() { panic("not built yet") }
