package p9

import "hubfs/tree"

// A lane holds the reads of a fid, or its writes, in arrival order, and runs
// them one at a time.
//
// Whoever sets state to running is the lane's runner, and only the runner
// calls the handle's methods, with no lock held. A wake or a flush that comes
// while somebody runs the lane leaves a note and goes. So there is one party
// that sees what an attempt led to, and it decides under conn.mu: bytes that
// were taken are a reply, a flush that came in between is answered after it;
// nothing was taken, and a flush withdraws the wait.
type lane struct {
	fid    *fid
	writes bool
	stream bool // the handle may let us wait, and never blocks

	// guarded by conn.mu
	head, tail *job
	state      laneState
	waits      bool   // the head was tried and has to wait: the handle may keep a place for it, woken or not
	woken      bool   // a wake came while the lane was running
	gen        uint64 // of wake: withdrawing a wait makes its wake a stale one
	wake       func() // made once and given to every attempt until it is stale

	pieces []tree.Piece // the runner's: what a read was given
}

type laneState uint8

const (
	idle    laneState = iota // no jobs
	running                  // somebody runs it
	parked                   // the head waits for a wake
	stalled                  // has reads; they wait until the peer takes replies
)

func (l *lane) pushLocked(j *job) {
	j.prev = l.tail
	if l.tail == nil {
		l.head = j
	} else {
		l.tail.next = j
	}
	l.tail = j
}

func (l *lane) removeLocked(j *job) {
	if j.prev == nil {
		l.head = j.next
	} else {
		j.prev.next = j.next
	}
	if j.next == nil {
		l.tail = j.prev
	} else {
		j.next.prev = j.prev
	}
	j.next, j.prev = nil, nil
}

// submit puts a read or a write on its lane. If the lane is free and cannot
// block, the job runs here and now.
func (c *conn) submit(l *lane, j *job) {
	j.lane, j.fresh = l, true
	c.mu.Lock()
	l.pushLocked(j)
	c.tags[j.tag] = j
	inPlace := l.stream && l.state == idle
	if !inPlace {
		if err := c.admitLocked(j); err != nil {
			j.cancel, j.err = refused, err
			l.removeLocked(j)
			c.dropLocked(j)
			c.mu.Unlock()
			return
		}
	}
	start := l.state == idle
	if start {
		l.state = running
	}
	c.mu.Unlock()
	switch {
	case inPlace:
		c.run(l)
	case start:
		// Ends when the lane is empty; reset waits for that by waiting
		// for the fid to be closed.
		a := c.account
		go func() {
			a.enter()
			defer a.leave()
			c.run(l)
			c.kick() // a job that was dropped while others ran
		}()
	}
}

// run runs a lane until it is empty or its head waits. The caller has set the
// lane's state to running, and does not hold conn.mu.
func (c *conn) run(l *lane) {
	defer func() {
		// The only panics are those of the handle, which is called with
		// no lock held.
		if v := recover(); v != nil {
			c.panicked(v)
			c.abandon(l)
		}
	}()
	c.mu.Lock()
	for {
		j := l.head
		if j != nil && c.killed && j.cancel == wanted {
			j.cancel = aborted // though the connection takes its time to close
		}
		switch {
		case j == nil:
			l.state = idle
			retired := l.fid.retired
			c.mu.Unlock()
			if retired {
				c.closeIfIdle(l.fid)
				c.kick()
			}
			return
		case j.cancel != wanted:
			taken := 0
			if l.waits {
				taken = c.withdraw(l, j)
			}
			l.removeLocked(j)
			if taken > 0 {
				c.finishLocked(j, taken, nil)
			} else {
				c.dropLocked(j)
			}
			continue
		case !l.writes && c.out.fullLocked(c.repliesLocked()):
			l.state = stalled
			c.out.stalled = append(c.out.stalled, l)
			c.mu.Unlock()
			return
		}
		l.woken = false
		wake := c.wakeLocked(l)
		most := j.count
		if c.account.full() {
			most = min(most, overdrawn)
		}
		c.mu.Unlock()

		n, ready, err := c.try(l, j, most, wake)

		c.mu.Lock()
		l.waits = !ready && err == nil
		if !l.waits {
			l.removeLocked(j)
			copied := c.finishLocked(j, n, err)
			kick := !l.stream || c.out.bytes >= kickBytes
			c.mu.Unlock()
			l.dropPieces(copied)
			if kick {
				c.kick()
			}
			c.mu.Lock()
			continue
		}
		if j.fresh && j.cancel == wanted {
			if err := c.admitLocked(j); err != nil {
				j.cancel, j.err = refused, err
			}
		}
		if !l.woken && j.cancel == wanted {
			l.state = parked
			c.mu.Unlock()
			return
		}
	}
}

// wakeLocked returns what the handle has to call when an attempt is worth
// repeating.
func (c *conn) wakeLocked(l *lane) func() {
	if !l.stream {
		return nil
	}
	if l.wake == nil {
		gen := l.gen
		l.wake = func() { c.wake(l, gen) }
	}
	return l.wake
}

// wake tries a lane's head again. It runs in the goroutine of whoever changed
// the stream.
func (c *conn) wake(l *lane, gen uint64) {
	c.mu.Lock()
	if gen != l.gen || l.state != parked {
		if gen == l.gen {
			l.woken = true // whoever runs the lane sees it
		}
		c.mu.Unlock()
		return
	}
	l.state = running
	c.mu.Unlock()
	c.run(l)
	c.kick()
}

// withdraw takes back the wait of a lane's head, and returns how many bytes of
// it were written all the same. The caller is the runner and holds conn.mu,
// which is released while the handle is called.
func (c *conn) withdraw(l *lane, j *job) (taken int) {
	l.waits = false
	l.gen++
	l.wake = nil
	c.mu.Unlock()
	if l.writes {
		taken = l.fid.handle.(tree.StreamWriter).CancelWrite()
		checkTaken(l.fid.handle, taken, j.size())
		if taken > 0 {
			j.data = tree.Piece{} // it is the stream's
		}
	} else {
		l.fid.handle.(tree.StreamReader).CancelRead()
	}
	c.mu.Lock()
	return taken
}

// abandon ends a lane whose handle panicked: nothing of it is answered, for
// the connection ends with it.
func (c *conn) abandon(l *lane) {
	c.mu.Lock()
	if j := l.head; j != nil {
		// Nobody knows who has the bytes: to forget them is safe.
		j.data = tree.Piece{}
	}
	for l.head != nil {
		j := l.head
		j.cancel = aborted
		l.removeLocked(j)
		c.dropLocked(j)
	}
	l.waits = false
	l.gen++
	l.state = idle
	c.mu.Unlock()
	c.closeIfIdle(l.fid)
}

// cancelLocked cancels all jobs of a lane. It reports whether the caller has
// to run the lane, to withdraw the wait of its head.
func (c *conn) cancelLocked(l *lane, why cancel) (run bool) {
	if l.head == nil {
		return false
	}
	head, rest := l.head, l.head.next
	if l.state == stalled {
		rest = head // it is not with the handle either
	}
	for j := rest; j != nil; j = rest {
		rest = j.next
		j.cancel = why
		l.removeLocked(j)
		c.dropLocked(j)
	}
	switch l.state {
	case stalled:
		l.state = idle
	case running:
		head.cancel = max(head.cancel, why)
	case parked:
		head.cancel = why
		l.state = running
		return true
	}
	return false
}
