package supervise

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// What we and the supervisor say to one another over a socket: frames of a length
// of four bytes, a kind and a body. A frame that comes with descriptors has them at
// its first byte, so that they never come later than it.
const (
	kindHello  = iota + 1 // to the supervisor, first: whom it works for
	kindStart             // start a task
	kindSignal            // signal a task's group
	kindReady             // from it, when it knows that
	kindBegun             // a task runs
	kindExits             // tasks have ended
	kindOver              // everything has; nothing follows
)

// maxFrame bounds a frame. It is more than the system takes as the arguments and
// environment of a program.
const maxFrame = 8 << 20

const headSize = 5 // length and kind

var errBadFrame = errors.New("a message that is none: the two sides are not of the same version")

// An encoder makes a frame.
type encoder []byte

func newFrame(kind byte) encoder { return encoder{0, 0, 0, 0, kind} }

func (e *encoder) int(v int64)     { *e = binary.AppendVarint(*e, v) }
func (e *encoder) string(s string) { e.int(int64(len(s))); *e = append(*e, s...) }
func (e *encoder) strings(list []string) {
	e.int(int64(len(list)))
	for _, s := range list {
		e.string(s)
	}
}

// frame completes the frame.
func (e encoder) frame() []byte {
	binary.LittleEndian.PutUint32(e, uint32(len(e)-4))
	return e
}

// A decoder takes a frame's body apart. After a mistake it gives zeros.
type decoder struct {
	p   []byte
	bad bool
}

func (d *decoder) int() int64 {
	v, n := binary.Varint(d.p)
	if n <= 0 {
		d.p, d.bad = nil, true
		return 0
	}
	d.p = d.p[n:]
	return v
}

// count is a number of things that follow, each of a byte at least.
func (d *decoder) count() int {
	n := d.int()
	if n < 0 || n > int64(len(d.p)) {
		d.p, d.bad = nil, true
		return 0
	}
	return int(n)
}

func (d *decoder) string() string {
	n := d.count()
	s := string(d.p[:n])
	d.p = d.p[n:]
	return s
}

func (d *decoder) strings() []string {
	list := make([]string, d.count())
	for i := range list {
		list[i] = d.string()
	}
	return list
}

// cut takes the first frame off p. If p holds only a part of it the kind is 0.
func cut(p []byte) (kind byte, body, rest []byte, err error) {
	if len(p) < headSize {
		return 0, nil, p, nil
	}
	n := binary.LittleEndian.Uint32(p)
	if n < 1 || n > maxFrame {
		return 0, nil, p, errBadFrame
	}
	if uint32(len(p)-4) < n {
		return 0, nil, p, nil
	}
	return p[4], p[headSize : 4+n], p[4+n:], nil
}

// hello says whom a supervisor works for.
type hello struct {
	Dir    string // the crew's folder, which goes with it; it need not be there
	Cgroup string // the folder of the crew's cgroup; "": none
}

func (h hello) frame() []byte {
	e := newFrame(kindHello)
	e.string(h.Dir)
	e.string(h.Cgroup)
	return e.frame()
}

func (h *hello) decode(p []byte) error {
	d := decoder{p: p}
	*h = hello{Dir: d.string(), Cgroup: d.string()}
	return d.end()
}

func (d *decoder) end() error {
	if d.bad || len(d.p) > 0 {
		return errBadFrame
	}
	return nil
}

// start says what to run. Its descriptors are sent with it, for each that is there.
type start struct {
	ID    int64
	Argv  []string
	Dir   string // absolute
	Env   []string
	Umask int
	Has   [3]bool // which of standard input, output and error output have a descriptor
}

func (s *start) frame() ([]byte, error) {
	e := newFrame(kindStart)
	e.int(s.ID)
	e.strings(s.Argv)
	e.string(s.Dir)
	e.strings(s.Env)
	e.int(int64(s.Umask))
	has := int64(0)
	for i, h := range s.Has {
		if h {
			has |= 1 << i
		}
	}
	e.int(has)
	if len(e)-4 > maxFrame {
		return nil, fmt.Errorf("arguments and environment of %d bytes: expected at most %d", len(e), maxFrame)
	}
	return e.frame(), nil
}

func (s *start) decode(p []byte) error {
	d := decoder{p: p}
	*s = start{ID: d.int(), Argv: d.strings(), Dir: d.string(), Env: d.strings(), Umask: int(d.int())}
	has := d.int()
	for i := range s.Has {
		s.Has[i] = has&(1<<i) != 0
	}
	if len(s.Argv) == 0 {
		return errBadFrame
	}
	return d.end()
}

// signalFrame says which task gets which signal.
func signalFrame(id int64, sig int) []byte {
	e := newFrame(kindSignal)
	e.int(id)
	e.int(int64(sig))
	return e.frame()
}

// begunFrame says which process a task is. It may come after its end.
func begunFrame(id int64, pid int) []byte {
	e := newFrame(kindBegun)
	e.int(id)
	e.int(int64(pid))
	return e.frame()
}

// An exit is the end of a task, as the kernel tells it.
type exit struct {
	ID              int64
	PID             int
	Wait            uint32 // of wait(2)
	User, Sys, Real time.Duration
	Fail            string // why it was not started; then the rest is nothing
}

func exitsFrame(exits []exit) []byte {
	e := newFrame(kindExits)
	e.int(int64(len(exits)))
	for _, x := range exits {
		e.int(x.ID)
		e.int(int64(x.PID))
		e.int(int64(x.Wait))
		e.int(int64(x.User))
		e.int(int64(x.Sys))
		e.int(int64(x.Real))
		e.string(x.Fail)
	}
	return e.frame()
}

func decodeExits(p []byte) ([]exit, error) {
	d := decoder{p: p}
	exits := make([]exit, d.count())
	for i := range exits {
		exits[i] = exit{
			ID: d.int(), PID: int(d.int()), Wait: uint32(d.int()),
			User: time.Duration(d.int()), Sys: time.Duration(d.int()), Real: time.Duration(d.int()),
			Fail: d.string(),
		}
	}
	return exits, d.end()
}

// overFrame is the last that a supervisor says: why it has ended everything.
func overFrame(why string) []byte {
	e := newFrame(kindOver)
	e.string(why)
	return e.frame()
}
