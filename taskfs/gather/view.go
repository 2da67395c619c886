package gather

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"

	"hubfs/hub"
	"hubfs/taskfs/ranks"
)

// A view is a hub with one stream of some tasks.
type view struct {
	// Immutable.
	key   viewKey
	set   ranks.Set
	alone bool // of one task: everything goes at once
	hub   *hub.Hub
	w     *hub.Writer // used with Store.order held, and before the view is in views

	inLine bool // what put wrote last was not the end of a line; until the view is in views

	// Guarded by Store.mu.
	holders     int
	left        int  // tasks that have not ended
	end, reopen bool // what is to be done to the hub, if the view is in turned
}

type viewKey struct {
	st  Stream
	set string
}

// views are those that somebody holds. Store.mu guards it.
type views struct {
	byKey  map[viewKey]*view
	alone  map[int][2]*view // by rank and stream
	wide   []*view          // of several tasks
	turned []*view          // whose tasks have all ended, or begun again
}

func newViews() views {
	return views{byKey: map[viewKey]*view{}, alone: map[int][2]*view{}}
}

// A turn is what is to be done to the hub of a view whose tasks have all ended, or
// do not any more: before and after what they have put out.
type turn struct {
	hub         *hub.Hub
	reopen, end bool
}

// turnsLocked returns what is to be done, once.
func (vs *views) turnsLocked() (list []turn) {
	for _, v := range vs.turned {
		list = append(list, turn{v.hub, v.reopen, v.end})
		v.reopen, v.end = false, false
	}
	vs.turned = nil
	return list
}

func (vs *views) list() []*view { return slices.Collect(maps.Values(vs.byKey)) }

func (vs *views) add(v *view) {
	vs.byKey[v.key] = v
	if !v.alone {
		vs.wide = append(vs.wide, v)
		return
	}
	pair := vs.alone[v.set.Min()]
	pair[v.key.st-1] = v
	vs.alone[v.set.Min()] = pair
}

func (vs *views) remove(v *view) {
	delete(vs.byKey, v.key)
	if !v.alone {
		vs.wide = slices.DeleteFunc(vs.wide, func(w *view) bool { return w == v })
		return
	}
	pair := vs.alone[v.set.Min()]
	pair[v.key.st-1] = nil
	vs.alone[v.set.Min()] = pair
	if pair == [2]*view{} {
		delete(vs.alone, v.set.Min())
	}
}

// of yields the views of a stream of any of the tasks, in no order.
func (vs *views) of(set ranks.Set, st Stream) iter.Seq[*view] {
	return func(yield func(*view) bool) {
		for _, v := range vs.wide {
			if v.key.st == st && !yield(v) {
				return
			}
		}
		if len(vs.alone) < set.Len() {
			for r, pair := range vs.alone {
				if v := pair[st-1]; v != nil && set.Contains(r) && !yield(v) {
					return
				}
			}
			return
		}
		for r := range set.All() {
			if v := vs.alone[r][st-1]; v != nil && !yield(v) {
				return
			}
		}
	}
}

// endedLocked counts a task that has ended (+1), or begins again (-1).
func (vs *views) endedLocked(rank, by int) {
	turn := func(v *view) {
		v.left -= by
		switch {
		case v.left == 0:
			v.end = true
		case v.left == 1 && by < 0 && !v.end:
			v.reopen = true
		case v.left == 1 && by < 0:
			v.end = false // it was not done yet
		default:
			return
		}
		if !slices.Contains(vs.turned, v) {
			vs.turned = append(vs.turned, v)
		}
	}
	for _, v := range vs.alone[rank] {
		if v != nil {
			turn(v)
		}
	}
	for _, v := range vs.wide {
		if v.set.Contains(rank) {
			turn(v)
		}
	}
}

// View returns the hub of one stream of some tasks, line by line for more than
// one. It is made at the first call, with what is kept of what came before (a
// line says how much is not), task by task, and lives as long as somebody holds
// it: release it once. It ends when all its tasks have.
func (s *Store) View(set ranks.Set, st Stream) (h *hub.Hub, release func()) {
	set = set.Intersect(s.all)
	key := viewKey{st, set.String()}
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.views.byKey[key]
	if v == nil {
		v = s.newViewLocked(key, set)
		s.views.add(v)
	}
	v.holders++
	return v.hub, sync.OnceFunc(func() { s.releaseView(v) })
}

func (s *Store) releaseView(v *view) {
	s.mu.Lock()
	v.holders--
	last := v.holders == 0
	if last {
		s.views.remove(v)
	}
	s.mu.Unlock()
	if last {
		v.hub.Close()
	}
}

// newViewLocked returns a view with what is kept for it.
func (s *Store) newViewLocked(key viewKey, set ranks.Set) *view {
	v := &view{key: key, set: set, alone: set.Len() == 1, hub: hub.New(s.o.View)}
	v.w = v.hub.NewWriter(false)
	if h := s.said[key.st-1]; h != nil {
		h.fill(v, s.o.View.Size)
	}
	for r := range set.All() {
		if !s.ended[r] {
			v.left++
		}
	}
	if v.left == 0 || s.closed {
		v.hub.End("")
	}
	return v
}

// fill writes what is kept of the output of a view's tasks: of the last of them,
// if that is more than the hub retains.
func (h *history) fill(v *view, size int64) {
	tasks := slices.Collect(v.set.All())
	from, room := len(tasks), size
	for ; from > 0; from-- {
		kept, _ := h.measure(h.cursor(tasks[from-1]), v.alone)
		if room -= kept; room < 0 && from < len(tasks) {
			break
		}
	}
	skipped := int64(0)
	for _, r := range tasks[:from] {
		kept, lost := h.measure(h.cursor(r), v.alone)
		skipped += kept + lost
	}
	v.say(skipped)
	for _, r := range tasks[from:] {
		c := h.cursor(r)
		kept, lost := h.measure(c, v.alone)
		for _, data := range h.pieces(c, kept) {
			v.put(data)
		}
		v.say(lost)
	}
}

// measure returns how much is kept, and how much is not, of what was said at a
// cursor and is in no line that is only begun, or in one of them too.
func (h *history) measure(c cursor, begun bool) (kept, lost int64) {
	size := c.at
	if !begun {
		size -= int64(c.begun)
	}
	if c.n.beyond == nil {
		return size, 0
	}
	kept = min(size, c.n.parent.end())
	return kept, size - kept
}

// pieces returns the first size bytes that were said at a cursor.
func (h *history) pieces(c cursor, size int64) (list [][]byte) {
	n := c.n
	if n.beyond != nil {
		n = n.parent
	}
	for ; n.parent != nil; n = n.parent {
		if n.start < size {
			list = append(list, n.data[:min(size, n.end())-n.start])
		}
	}
	slices.Reverse(list)
	return list
}

// say tells the readers of a view, on a line of its own, of bytes that are not
// there.
func (v *view) say(lost int64) {
	switch {
	case lost == 0:
		return
	case v.inLine:
		v.put([]byte("\n"))
	}
	v.put(fmt.Appendf(nil, "taskfs: %d bytes were not kept\n", lost))
}

// put appends to a view that has no readers yet: it never waits.
func (v *view) put(p []byte) {
	if len(p) > 0 {
		v.w.TryWrite(hub.Piece{Data: p}, 0, nil)
		v.inLine = p[len(p)-1] != '\n'
	}
}
