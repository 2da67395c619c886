package access

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"hubfs/tree"
)

// Options say how a store works.
type Options struct {
	Log *slog.Logger // who came in; nil: silent

	// Wait is how long Open waits for the process that has the file, which may
	// be about to end.
	Wait time.Duration
}

// A Store holds the grants of one server. Its methods may be called from
// several goroutines.
type Store struct {
	log   *slog.Logger // immutable
	state atomic.Pointer[state]

	tries    sync.Mutex
	attempts attempts // guarded by tries

	// changing orders changes. It is held while the file is written, which is
	// its job.
	changing sync.Mutex
	file     *file           // guarded by changing; nil: in memory alone, or closed
	closed   bool            // guarded by changing
	alarm    *time.Timer     // guarded by changing: at the next end of a grant; nil: none
	watchers []func([]Event) // guarded by changing
}

// A state is what a store holds at one time. It is immutable.
type state struct {
	last   uint64   // the last ID given out
	grants []*grant // in the order of IDs, so that none comes before its parent
	byID   map[string]*grant
	names  []bearer // in the order of Last
}

// Open returns the store that is kept in a file, which is made when there is
// something to keep; "" keeps it in memory. The error of a file that is not as
// this package wrote it says what is wrong with it: nobody's grants are
// dropped silently.
func Open(path string, o Options) (*Store, error) {
	s := &Store{log: o.Log}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	st := &state{}
	if path != "" {
		s.file = &file{path: path}
		var err error
		if st, err = s.file.load(o.Wait); err != nil {
			s.file.close()
			return nil, fmt.Errorf("grants in %s: %w", path, err)
		}
	}
	st.index()
	s.state.Store(st)
	// What has expired meanwhile ends now, and the rest in its time.
	if err := s.change(true, func(*draft) error { return nil }); err != nil {
		s.log.Warn("access: grants that have expired stay in the file", "err", err)
	}
	return s, nil
}

// Close lets go of the file: nothing is written any more, and what there is
// stays as it is.
func (s *Store) Close() error {
	s.changing.Lock()
	defer s.changing.Unlock()
	s.closed = true
	if s.alarm != nil {
		s.alarm.Stop()
	}
	if s.file == nil {
		return nil
	}
	return s.file.close()
}

// List returns all grants, oldest first.
func (s *Store) List() []Grant {
	st, now := s.state.Load(), time.Now()
	var out []Grant
	for _, g := range st.grants {
		if !g.ended(now) {
			out = append(out, g.copy())
		}
	}
	return out
}

// Revoke ends a grant and what came of it. That holds even if the error says
// that it could not be written: then it is so until the server ends.
func (s *Store) Revoke(id string) error {
	err := s.change(true, func(d *draft) error {
		if d.find(id) == nil {
			return fmt.Errorf("no grant %.20q: %w", id, tree.ErrNotExist)
		}
		d.remove(id)
		return nil
	})
	if err != nil {
		return fmt.Errorf("revoke: %w", err)
	}
	return nil
}

// Approve answers a grant that asks: it is all that its role says, or is
// revoked.
func (s *Store) Approve(id string, yes bool) error {
	err := s.change(!yes, func(d *draft) error {
		g := d.find(id)
		switch {
		case g == nil:
			return fmt.Errorf("no grant %.20q: %w", id, tree.ErrNotExist)
		case !g.Asks():
			return invalid("grant %s does not ask", id)
		case !yes:
			d.remove(id)
			return nil
		}
		now := *g
		now.Approved = true
		d.replace(&now)
		return nil
	})
	if err != nil {
		return fmt.Errorf("approve: %w", err)
	}
	return nil
}

// endToken ends what a connection held.
func (s *Store) endToken(id string) {
	err := s.change(true, func(d *draft) error {
		d.remove(id)
		return nil
	})
	if err != nil {
		s.log.Warn("access: end of a connection", "grant", id, "err", err)
	}
}

// errClosed is what a change gets that would not be kept.
var errClosed = errors.New("the server is ending")

// A draft is a state that is being made of another.
type draft struct {
	state
	now time.Time
}

// change makes the next state. If it cannot be written it does not come to be,
// unless it must.
func (s *Store) change(must bool, f func(*draft) error) error {
	events, watchers, err := s.changeAlone(must, f)
	if len(events) > 0 {
		for _, w := range watchers {
			w(events)
		}
	}
	return err
}

func (s *Store) changeAlone(must bool, f func(*draft) error) (news []Event, watchers []func([]Event), err error) {
	s.changing.Lock()
	defer s.changing.Unlock()
	if s.closed && !must {
		return nil, nil, errClosed
	}
	was := s.state.Load()
	// Without the monotonic clock, which stands still while the machine sleeps.
	d := &draft{state: *was, now: time.Now().Round(0).UTC()}
	d.grants = slices.Clone(was.grants)
	if err := f(d); err != nil {
		return nil, nil, err
	}
	d.sweep()
	d.index()
	if s.file != nil && !s.closed {
		err = s.file.save(&d.state)
	}
	if err != nil && !must {
		return nil, nil, err
	}
	s.state.Store(&d.state)
	s.setAlarm(d)
	return events(was, &d.state), slices.Clone(s.watchers), err
}

// recheck is how long an alarm sleeps at most: a machine that was asleep
// meanwhile looks at the clock that soon.
const recheck = time.Minute

// setAlarm sees to it that grants end in time. The caller holds changing.
func (s *Store) setAlarm(d *draft) {
	var next time.Time
	for _, g := range d.grants {
		if e := g.Expires; !e.IsZero() && (next.IsZero() || e.Before(next)) {
			next = e
		}
	}
	switch {
	case s.closed:
		return
	case next.IsZero():
		if s.alarm != nil {
			s.alarm.Stop()
		}
		return
	}
	in := min(next.Sub(d.now), recheck)
	if s.alarm == nil {
		s.alarm = time.AfterFunc(in, s.expire)
	} else {
		s.alarm.Reset(in)
	}
}

// expire ends what is over.
func (s *Store) expire() {
	if err := s.change(true, func(*draft) error { return nil }); err != nil {
		s.log.Warn("access: grants that have expired stay in the file", "err", err)
	}
}

// index fills in byID.
func (st *state) index() {
	st.byID = make(map[string]*grant, len(st.grants))
	for _, g := range st.grants {
		st.byID[g.ID] = g
	}
}

func (d *draft) at(id string) (int, bool) {
	n, err := parseID(id)
	if err != nil {
		return 0, false
	}
	return slices.BinarySearchFunc(d.grants, n, func(g *grant, n uint64) int {
		have, _ := parseID(g.ID)
		return cmp.Compare(have, n)
	})
}

func (d *draft) find(id string) *grant {
	if i, ok := d.at(id); ok {
		return d.grants[i]
	}
	return nil
}

// replace puts g in the place of the grant with its ID.
func (d *draft) replace(g *grant) {
	if i, ok := d.at(g.ID); ok {
		d.grants[i] = g
	}
}

func (d *draft) remove(id string) {
	if i, ok := d.at(id); ok {
		d.grants = slices.Delete(d.grants, i, i+1)
	}
}

// add enters a new grant, of which ID and Made are set here.
func (d *draft) add(g *grant) (Grant, error) {
	if len(d.grants) >= MaxGrants {
		return Grant{}, fmt.Errorf("%d grants, which is all that there may be: %w", len(d.grants), tree.ErrLimit)
	}
	if err := d.room(g); err != nil {
		return Grant{}, err
	}
	d.last++
	g.ID, g.Made, g.Expires = formatID(d.last), d.now, g.Expires.Round(0).UTC()
	if err := g.check(); err != nil {
		return Grant{}, err
	}
	d.grants = append(d.grants, g)
	return g.copy(), nil
}

// room says whether one more grant may come of those of one guest: it may have a
// part of them all, lest the owners have none to give. Who owns the server may
// have as many as there are.
func (d *draft) room(g *grant) error {
	var first *grant // of those that somebody holds and g comes of
	for p := d.find(g.Parent); p != nil; p = d.find(p.Parent) {
		if p.Kind != KindLink {
			first = p
		}
	}
	if first == nil || first.Role == Owner && first.Covers("") {
		return nil
	}
	of := map[string]bool{first.ID: true} // parents come before children
	for _, g := range d.grants {
		if of[g.Parent] {
			of[g.ID] = true
		}
	}
	if len(of) > MaxGuests {
		return fmt.Errorf("%d grants have come of grant %s, no more may: %w", MaxGuests, first.ID, tree.ErrLimit)
	}
	return nil
}

// sweep removes what is over: grants whose time has come, what came of grants
// that have gone, and links that are used up and of which nothing is left.
func (d *draft) sweep() {
	live, children := map[string]bool{}, map[string]bool{}
	d.grants = slices.DeleteFunc(d.grants, func(g *grant) bool {
		if g.ended(d.now) || g.Parent != "" && !live[g.Parent] {
			return true
		}
		live[g.ID], children[g.Parent] = true, true
		return false
	})
	d.grants = slices.DeleteFunc(d.grants, func(g *grant) bool {
		return g.Kind == KindLink && g.Uses == 0 && !children[g.ID]
	})
}

func formatID(n uint64) string { return strconv.FormatUint(n, 10) }

// parseID reads an ID in the only way in which it is written.
func parseID(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || n == 0 || formatID(n) != s {
		return 0, invalid("ID %.20q: expected a number", s)
	}
	return n, nil
}
