package gather

import (
	"bytes"
	"hash/maphash"
	"slices"

	"hubfs/taskfs/ranks"
)

// An item is output that waits in a queue, of all tasks that have said it after
// the same. What a task has said is its items in the order of the queue.
type item struct {
	st    Stream
	data  []byte
	sets  []ranks.Set // of the tasks, apart from one another
	tasks int         // how many those are
	here  int         // how many of them have said nothing behind it
	after *item       // what the first of them had said before; nil: nothing
	kid   *item       // after this, the last that came; nil: none
	key   itemKey     // where the queue's index has it, if nothing else is there

	// sent says that it waits no more: then end is where in the link's window its
	// bytes end, and the rest is nothing.
	sent bool
	end  int64

	prev, next *item // in the queue
}

// An itemKey finds an item by what it follows and how it begins.
type itemKey struct {
	after *item  // nil: nothing that waits
	st    Stream // of the item
	line  uint64 // hash of its first line, or of all if that is not complete
}

// A queue is output that waits. Equal output of tasks that have said the same
// before, as far as that waits too, is one item, however it came in pieces.
type queue struct {
	first, last *item
	kid         *item   // after nothing that waits, the last that came; it may be sent
	at          []*item // by rank: the task's last item, sent or not; nil: none
	index       map[itemKey]*item
	seed        maphash.Seed
	items       int
	bytes       int
}

func newQueue(seed maphash.Seed) queue {
	return queue{index: map[itemKey]*item{}, seed: seed}
}

// waiting returns it, if it waits.
func (it *item) waiting() *item {
	if it == nil || it.sent {
		return nil
	}
	return it
}

// firstLine returns that of p, or all of p if there is no newline.
func firstLine(p []byte) []byte {
	if i := bytes.IndexByte(p, '\n'); i >= 0 {
		return p[:i+1]
	}
	return p
}

func (q *queue) keyOf(after *item, st Stream, p []byte) itemKey {
	return itemKey{after.waiting(), st, maphash.Bytes(q.seed, firstLine(p))}
}

// put adds what tasks have said.
func (q *queue) put(set ranks.Set, st Stream, p []byte) {
	if more := set.Max() + 1 - len(q.at); more > 0 {
		q.at = append(q.at, make([]*item, more)...)
	}
	partition(set, func(rank int) *item { return q.at[rank].waiting() }, func(at *item, same ranks.Set) {
		if at == nil {
			at = q.at[same.Min()]
		}
		q.follow(same, at, st, p)
	})
}

// follow adds what tasks have said after an item, or after any that was sent.
func (q *queue) follow(set ranks.Set, at *item, st Stream, p []byte) {
	n := set.Len()
	if at.waiting() != nil {
		if at.st == st && at.here == n && at.tasks == n {
			q.extend(at, p)
			return
		}
		at.here -= n
	}
	for len(p) > 0 {
		it := q.find(at, st, p)
		if it == nil {
			it = q.append(at, st, p)
		}
		same := common(it.data, p)
		if same < len(p) && same < len(it.data) {
			same = bytes.LastIndexByte(p[:same], '\n') + 1
		}
		if same < len(it.data) {
			it = q.split(it, same)
		}
		it.sets = append(it.sets, set)
		it.tasks += n
		at, p = it, p[same:]
	}
	at.here += n
	for r := range set.All() {
		q.at[r] = at
	}
}

// find returns an item after at that begins with the first line of p. If one of
// the two is not a line yet, the last that came is looked at alone.
func (q *queue) find(at *item, st Stream, p []byte) *item {
	it := q.index[q.keyOf(at, st, p)]
	if it != nil && bytes.Equal(firstLine(it.data), firstLine(p)) {
		return it
	}
	it = (*q.kidOf(at)).waiting()
	if it != nil && it.st == st {
		if same := common(it.data, p); same == len(p) || same == len(it.data) {
			return it
		}
	}
	return nil
}

// kidOf is where the last item after another is, or after any that does not wait.
func (q *queue) kidOf(at *item) **item {
	if at = at.waiting(); at != nil {
		return &at.kid
	}
	return &q.kid
}

// append makes a new item, of no tasks yet.
func (q *queue) append(after *item, st Stream, p []byte) *item {
	it := &item{st: st, data: bytes.Clone(p), after: after, prev: q.last}
	if q.last == nil {
		q.first = it
	} else {
		q.last.next = it
	}
	q.last = it
	q.enter(it)
	*q.kidOf(after) = it
	q.items++
	q.bytes += len(p)
	return it
}

// enter puts an item into the index.
func (q *queue) enter(it *item) {
	it.key = q.keyOf(it.after, it.st, it.data)
	q.index[it.key] = it
}

// leave takes it out, if it is there.
func (q *queue) leave(it *item) {
	if q.index[it.key] == it {
		delete(q.index, it.key)
	}
}

// extend adds to an item after which none of its tasks has said anything.
func (q *queue) extend(it *item, p []byte) {
	begun := bytes.IndexByte(it.data, '\n') < 0
	if begun {
		q.leave(it)
	}
	it.data = append(it.data, p...)
	q.bytes += len(p)
	if begun {
		q.enter(it)
	}
}

// split cuts an item in two and returns the first, which is a new one: the second
// is what tasks have said last, and others after.
func (q *queue) split(it *item, at int) *item {
	q.leave(it)
	it.sets = []ranks.Set{it.set()}
	head := &item{st: it.st, data: it.data[:at:at], sets: slices.Clone(it.sets), tasks: it.tasks, after: it.after}
	q.insert(head, it)
	if kid := q.kidOf(it.after); *kid == it {
		*kid = head
	}
	head.kid = it
	it.after, it.data = head, it.data[at:]
	q.enter(head)
	q.enter(it)
	return head
}

// divide takes some of the tasks of an item out of it, into a new one before it.
func (q *queue) divide(it *item, of, rest ranks.Set) {
	one := &item{st: it.st, data: it.data, sets: []ranks.Set{of}, tasks: of.Len(), after: it.after}
	q.insert(one, it)
	q.bytes += len(one.data)
	it.sets = []ranks.Set{rest}
	it.tasks -= one.tasks
	for r := range of.All() {
		if q.at[r] == it {
			q.at[r] = one
			one.here++
			it.here--
		}
	}
}

// insert puts a new item before another.
func (q *queue) insert(it, before *item) {
	it.prev, it.next = before.prev, before
	before.prev = it
	if it.prev == nil {
		q.first = it
	} else {
		it.prev.next = it
	}
	q.items++
}

// set returns the tasks of an item.
func (it *item) set() ranks.Set { return union(it.sets) }

// union returns the union of sets, in halves: one after the other, each would be
// copied as often as there are others.
func union(sets []ranks.Set) ranks.Set {
	if len(sets) == 1 {
		return sets[0]
	}
	mid := len(sets) / 2
	return union(sets[:mid]).Union(union(sets[mid:]))
}

// heal makes one of the first items, as far as the same tasks have said them one
// after the other.
func (q *queue) heal() {
	first := q.first
	last, data := first, slices.Clip(first.data)
	for next := last.next; next != nil && next.after == last && next.st == last.st && next.tasks == last.tasks; next = next.next {
		// A count is not enough: some of the tasks may have been taken out.
		if next.sets = []ranks.Set{next.set()}; !next.sets[0].Equal(last.set()) {
			break
		}
		q.leave(last)
		data = append(data, next.data...)
		last = next
		q.items--
	}
	if last != first {
		q.leave(last)
		last.data, last.after, last.prev = data, first.after, nil
		if q.first = last; q.kid == first {
			q.kid = last
		}
	}
}

// sent takes the first item out of the queue.
func (q *queue) sent(end int64) {
	it := q.first
	q.leave(it)
	q.first = it.next
	if q.first == nil {
		q.last = nil
	} else {
		q.first.prev = nil
	}
	q.items--
	q.bytes -= len(it.data)
	*it = item{sent: true, end: end}
}
