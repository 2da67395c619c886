package p9

import "hubfs/internal/wire"

// flush serves Tflush. The reply to a job that took effect comes before the
// Rflush, never after it (flush(5)).
func (c *conn) flush(tag, oldtag uint16) {
	c.mu.Lock()
	j := c.tags[oldtag]
	if j == nil {
		c.shortReplyLocked(wire.Rflush, tag, 0)
		c.mu.Unlock()
		return
	}
	l := j.lane
	j.flushes = append(j.flushes, tag)
	c.tags[tag] = j
	switch {
	case l == nil:
		// A Tclunk is not taken back; it will be answered soon.
	case j == l.head && l.state == running:
		// Its runner decides, when it knows whether bytes were taken.
		j.cancel = max(j.cancel, flushed)
	case j == l.head && l.state == parked:
		j.cancel = flushed
		l.state = running
		c.mu.Unlock()
		c.run(l)
		return
	default:
		// Behind others, or stalled: nothing has been done for it.
		j.cancel = flushed
		l.removeLocked(j)
		c.dropLocked(j)
		if l.head == nil {
			l.state = idle
		}
	}
	c.mu.Unlock()
}
