package hub

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
)

// A driver does what a string of bytes says to a Hub and to its model, and
// compares all that comes of it.
type driver struct {
	t     *testing.T
	ops   []byte
	trace []string

	hub     *Hub
	model   model
	readers []*drivenReader
	writers []*drivenWriter
	budget  *Budget
	owners  []*countedOwner
	held    []held
	written uint32
	disk    *fakeSpool // that the hub goes to, or went to last; nil: to none yet
	failed  int        // as OnSpoolFail told
	lastID  uint64
	dropped []uint64 // as OnDrop told
	seqs    [2]*Sequence
	lens    [2]int64 // of the sequences, as they are to be
}

type drivenReader struct {
	*Reader
	m     *modelReader
	off   int64
	max   int
	wakes *int // of the wait, nil: none
}

type drivenWriter struct {
	*Writer
	m      *modelWriter
	data   []byte
	off    int64
	owner  bool
	wakes  *int
	budget bool // waits for the budget
}

type countedOwner struct {
	passed bool // to the hub
	freed  atomic.Int32
}

func (o *countedOwner) Free() { o.freed.Add(1) }

func (d *driver) fatalf(format string, args ...any) {
	d.t.Helper()
	for _, line := range d.trace[max(0, len(d.trace)-40):] {
		d.t.Log(line)
	}
	d.t.Fatalf(format, args...)
}

func (d *driver) tracef(format string, args ...any) {
	d.trace = append(d.trace, fmt.Sprintf(format, args...))
}

// byte returns the next byte of the program; 0 at its end.
func (d *driver) byte() int {
	if len(d.ops) == 0 {
		return 0
	}
	b := d.ops[0]
	d.ops = d.ops[1:]
	return int(b)
}

// amount returns a number that is mostly small and sometimes large.
func (d *driver) amount() int {
	b := d.byte()
	switch {
	case b < 160:
		return b + 1
	case b < 240:
		return (b - 150) * 50
	}
	return (b - 230) * 2000
}

func (d *driver) bool() bool { return d.byte()&1 == 1 }

func runModel(t *testing.T, ops []byte) {
	d := &driver{t: t, ops: ops}
	flags := d.byte()
	d.model.size = int64(d.amount())
	d.model.input = flags&1 != 0
	d.model.fear = flags&3 != 0
	d.model.trunc = flags&4 != 0
	d.model.budgetMax = 1 << 40
	if flags&8 != 0 {
		d.model.budgetMax = 3000
	}
	d.budget = NewBudget(d.model.budgetMax)
	var store Store
	if flags&48 == 48 && !d.model.input {
		d.disk = newFakeSpool()
		store = d.disk
		d.model.spooled = true
	}
	d.hub = New(Options{
		Store: store, OnSpoolFail: func(error) { d.failed++ },
		Size: d.model.size, Input: d.model.input, Fear: flags&2 != 0, Trunc: d.model.trunc, Budget: d.budget,
		OnDrop: func(id uint64, label, reason string) { d.dropped = append(d.dropped, id) },
	})
	d.seqs = [2]*Sequence{d.hub.NewSequence(), d.hub.NewSequence()}
	d.tracef("new size %d flags %04b", d.model.size, flags&15)
	for len(d.ops) > 0 {
		d.step()
		if err := d.model.check(d.hub); err != nil {
			d.fatalf("%v", err)
		}
		if lens := [2]int64{d.seqs[0].Len(), d.seqs[1].Len()}; lens != d.lens {
			d.fatalf("the sequences have %v bytes, want %v", lens, d.lens)
		}
		d.checkWakes()
		used, _ := d.budget.Used()
		if want := d.model.budgetOthers + d.model.next() - d.model.charged(); used != want {
			d.fatalf("budget: %d used, want %d", used, want)
		}
		if m := d.model; d.disk != nil && d.disk.closed == (m.spooled || m.old) || d.failed != m.fails {
			d.fatalf("the store is closed: %v; told of %d failures, want %d", d.disk.closed, d.failed, m.fails)
		}
	}
	d.finish()
}

func (d *driver) step() {
	switch op := d.byte() % 37; op {
	case 0, 1:
		d.openReader()
	case 2:
		if r := pick(d, d.readers); r != nil {
			d.tracef("close reader at %d", r.m.pos)
			r.Close()
			d.model.closeReader(r.m)
			d.readers = slices.DeleteFunc(d.readers, func(o *drivenReader) bool { return o == r })
		}
	case 3:
		if len(d.writers) < 6 {
			kind := d.byte()
			w := &drivenWriter{m: &modelWriter{addressed: kind&1 != 0}}
			w.Writer = d.hub.NewWriter(w.m.addressed)
			if kind&0xc0 == 0xc0 {
				i := kind >> 1 & 1
				w.m.addressed, w.m.seq = false, &d.lens[i]
				w.Writer = d.seqs[i].NewWriter()
			}
			d.writers = append(d.writers, w)
		}
	case 4:
		if w := pick(d, d.writers); w != nil {
			d.tracef("close writer")
			w.Close()
			d.dequeue(w)
			d.writers = slices.DeleteFunc(d.writers, func(o *drivenWriter) bool { return o == w })
		}
	case 5, 6, 7, 8, 9, 10, 11, 12:
		if r := pick(d, d.readers); r != nil {
			d.read(r)
		}
	case 13, 14, 15, 16, 17, 18, 19:
		if w := pick(d, d.writers); w != nil {
			d.write(w)
		}
	case 20:
		if r := pick(d, d.readers); r != nil && r.m.parked {
			d.tracef("cancel read")
			r.CancelRead()
			r.m.parked, r.wakes = false, nil
		}
	case 21:
		if w := pick(d, d.writers); w != nil && w.wakes != nil {
			d.tracef("cancel write")
			if n := w.CancelWrite(); n != w.m.taken {
				d.fatalf("CancelWrite = %d, want %d", n, w.m.taken)
			}
			d.dequeue(w)
		}
	case 22, 23:
		d.retryWoken()
	case 24:
		d.tracef("eof at %d", d.model.next())
		d.hub.EOF()
		d.model.eof()
	case 25:
		d.flip("end", &d.model.ended, func(on bool) {
			if on {
				d.hub.End("over")
			} else {
				d.hub.Reopen()
			}
		})
	case 26:
		d.flip("freeze", &d.model.frozen, func(on bool) {
			if on {
				d.hub.Freeze()
			} else {
				d.hub.Melt()
			}
		})
	case 27:
		d.flip("fear", &d.model.fear, d.hub.Fear)
	case 28:
		d.flip("trunc", &d.model.trunc, d.hub.Trunc)
	case 29:
		d.model.size = int64(d.amount())
		d.tracef("size %d", d.model.size)
		if err := d.hub.SetSize(d.model.size); err != nil {
			d.fatalf("SetSize: %v", err)
		}
		d.model.trim()
	case 30:
		switch b := d.byte(); {
		case b < 64:
			d.tracef("clear")
			d.hub.Clear()
			d.model.startAt(d.model.next())
		case b < 160:
			if r := pick(d, d.readers); r != nil {
				d.drop(r)
			}
		}
	case 31:
		others := int64(d.byte()) * 12
		d.tracef("others retain %d", others)
		d.budget.charge(others - d.model.budgetOthers)
		d.model.budgetOthers = others
	default:
		d.disturb(op)
	}
}

// disturb does something to the hub's store.
func (d *driver) disturb(op int) {
	m := &d.model
	switch {
	case op == 32 && !m.spooled:
		d.tracef("spool at %d", m.next())
		disk := newFakeSpool()
		if err := d.hub.Spool(disk); (err != nil) != m.input {
			d.fatalf("Spool: %v", err)
		}
		if m.input {
			return
		}
		d.disk = disk
		m.startAt(m.charged())
		m.stable, m.resident, m.broken = m.first, 0, false
		m.spooled, m.old = true, false
	case op == 32 && d.byte() < 128:
		d.tracef("unspool")
		if d.hub.Unspool() != Spool(d.disk) {
			d.fatalf("Unspool returned another store")
		}
		m.fall()
	case !m.spooled && !m.old:
	case op == 33 || op == 34:
		m.stable = max(m.stable, m.inStore()-int64(d.byte()/32))
		d.tracef("stable up to %d", m.stable)
		d.disk.settleUpTo(m.stable)
	case op == 35 && d.bool():
		m.resident = max(m.resident, m.first+(m.next()-m.first)*int64(d.byte())/256)
		d.tracef("evict before %d", m.resident)
		d.disk.evict(m.resident)
	case op == 35:
		d.tracef("load")
		m.resident = 0
		d.disk.load()
	case op == 36:
		switch b := d.byte(); {
		case b < 128:
			m.startAt(m.first + (m.inStore()-m.first)*int64(b)/256)
			d.tracef("store starts at %d", m.first)
			d.disk.retire(m.first)
		case b < 150:
			d.tracef("store fails")
			d.disk.fail(ErrNoSpace)
			if m.spooled {
				m.fall()
				m.fails++
			}
		case b < 170:
			d.tracef("store will fail")
			d.disk.broken = ErrNoSpace
			m.broken = m.spooled
		}
	}
	m.trim()
}

func (d *driver) flip(what string, on *bool, set func(bool)) {
	*on = !*on
	d.tracef("%s %v", what, *on)
	set(*on)
	d.model.trim()
}

func pick[T any](d *driver, all []*T) *T {
	if len(all) == 0 {
		return nil
	}
	return all[d.byte()%len(all)]
}

func (d *driver) openReader() {
	if len(d.readers) >= 6 {
		return
	}
	kind := d.byte()
	at := []Start{FromOldest, FromOldest, FromEnd, Back(int64(d.byte())), Addressed}[kind%5]
	lazy := kind >= 200
	d.tracef("open reader at %d lazy %v", at, lazy)
	d.lastID++
	r := &drivenReader{Reader: d.hub.NewReader(at, ReaderOptions{Lazy: lazy, ID: d.lastID})}
	r.m = d.model.newReader(at, lazy)
	r.m.id = d.lastID
	d.readers = append(d.readers, r)
}

// drop drops a reader, which hears of it and is closed then.
func (d *driver) drop(r *drivenReader) {
	d.tracef("drop reader at %d", r.m.pos)
	if !d.hub.DropReader(r.m.id, "why not") || d.hub.DropReader(r.m.id, "again") {
		d.fatalf("the reader was not dropped once")
	}
	if len(d.dropped) != 1 || d.dropped[0] != r.m.id {
		d.fatalf("told of %v, want %d", d.dropped, r.m.id)
	}
	d.dropped = nil
	if r.wakes != nil && *r.wakes != 1 {
		d.fatalf("a read of a dropped reader got %d wakes", *r.wakes)
	}
	if _, ready, err := r.TryRead(nil, 0, 10, nil); ready || err == nil || err.Error() != "dropped: why not" {
		d.fatalf("a dropped reader gets ready %v, %v", ready, err)
	}
	r.Close()
	d.model.closeReader(r.m)
	d.readers = slices.DeleteFunc(d.readers, func(o *drivenReader) bool { return o == r })
}

// read starts a read, or tries again the one that waits.
func (d *driver) read(r *drivenReader) {
	if !r.m.parked {
		r.max = d.amount()
		r.off = max(0, r.m.pos+int64(d.byte())-100)
		if d.bool() {
			r.off = d.model.first + int64(d.byte()) // where an addressed reader mostly is
		}
	}
	want := d.model.read(r.m, r.off, r.max, false)
	wakes := new(int)
	pieces, ready, err := r.TryRead(nil, r.off, r.max, func() { *wakes++ })
	got := result{data: string(joined(pieces)), ready: ready}
	if err != nil {
		got.err = err.Error()
	}
	d.tracef("read at %d off %d max %d: %v", r.m.pos, r.off, r.max, got)
	if got != want {
		d.fatalf("read: got %v, want %v", got, want)
	}
	r.wakes = nil
	if r.m.parked {
		r.wakes = wakes
	} else if *wakes != 0 {
		d.fatalf("a read that was answered was woken")
	}
	d.held = append(d.held, held{pieces, want.data})
	if len(d.held) > 20 {
		d.freeOldest()
	}
}

func (d *driver) freeOldest() {
	if err := d.held[0].check(); err != nil {
		d.fatalf("%v", err)
	}
	freeAll(d.held[0].pieces)
	d.held = d.held[1:]
}

// write starts a write, or tries again the one that waits.
func (d *driver) write(w *drivenWriter) {
	if w.wakes == nil {
		w.data = make([]byte, d.amount())
		for i := range w.data {
			d.written++
			w.data[i] = byte(d.written ^ d.written>>8)
		}
		end := d.model.next()
		if w.m.seq != nil {
			end = *w.m.seq
		}
		w.off = max(0, end+int64(d.byte())/4-50)
		if d.byte() < 200 { // what is there already, as it is
			copy(w.data, d.model.all[min(w.off, d.model.next()):])
		}
		w.owner = d.bool()
	}
	taken := w.m.taken > 0
	want, budget := d.model.write(w.m, w.data, w.off, false)
	p := Piece{Data: slices.Clone(w.data)}
	owner := new(countedOwner)
	if w.owner {
		p.Owner = owner
		d.owners = append(d.owners, owner)
	}
	wakes := new(int)
	n, ready, err := w.TryWrite(p, w.off, func() { *wakes++ })
	got := result{n: n, ready: ready}
	if err != nil {
		got.err = err.Error()
	}
	d.tracef("write %d at %d: %v", len(w.data), w.off, got)
	if got != want {
		d.fatalf("write: got %v, want %v", got, want)
	}
	owner.passed = w.owner && n > 0 && !taken
	w.budget, w.wakes = budget, nil
	if !ready && err == nil {
		w.wakes = wakes
	} else if *wakes != 0 {
		d.fatalf("a write that was answered was woken")
	}
	if !w.owner {
		clear(p.Data) // it is the caller's again
	}
}

// dequeue says that w does not wait any more.
func (d *driver) dequeue(w *drivenWriter) {
	w.wakes = nil
	w.m.taken, w.m.same = 0, 0
	d.model.queue = slices.DeleteFunc(d.model.queue, func(o *modelWriter) bool { return o == w.m })
}

// retryWoken does what a server does: tries again whoever was woken, until
// nobody is.
func (d *driver) retryWoken() {
	for again := true; again; {
		again = false
		for _, r := range d.readers {
			if r.wakes != nil && *r.wakes > 0 {
				again = true
				d.read(r)
			}
		}
		for _, w := range d.writers {
			if w.wakes != nil && *w.wakes > 0 {
				again = true
				d.write(w)
			}
		}
	}
}

// checkWakes checks that whoever could go on was woken, and nobody twice.
func (d *driver) checkWakes() {
	for _, r := range d.readers {
		if r.wakes == nil {
			continue
		}
		res := d.model.read(r.m, r.off, r.max, true)
		if could := res.ready || res.err != ""; *r.wakes > 1 || could && *r.wakes == 0 {
			d.fatalf("a waiting read at %d got %d wakes; it would be %v", r.m.pos, *r.wakes, res)
		}
	}
	for _, w := range d.writers {
		if w.wakes == nil {
			continue
		}
		res, _ := d.model.write(w.m, w.data, w.off, true)
		could := res.ready || res.err == ErrEnded.Error() || res.n > 0 && w.m.taken == 0
		if *w.wakes > 1 || could && *w.wakes == 0 && !w.budget {
			d.fatalf("a waiting write got %d wakes; it would be %v", *w.wakes, res)
		}
	}
}

// finish closes everything and checks that nothing is left.
func (d *driver) finish() {
	for len(d.held) > 0 {
		d.freeOldest()
	}
	for _, r := range d.readers {
		r.Close()
	}
	for _, w := range d.writers {
		w.Close()
	}
	if err := d.hub.Close(); err != nil {
		d.fatalf("Close: %v", err)
	}
	if used, _ := d.budget.Used(); used != d.model.budgetOthers {
		d.fatalf("after Close the budget is charged with %d bytes", used-d.model.budgetOthers)
	}
	for _, o := range d.owners {
		want := int32(0)
		if o.passed {
			want = 1
		}
		if n := o.freed.Load(); n != want {
			d.fatalf("a piece given to the hub (taken: %v) was freed %d times", o.passed, n)
		}
	}
}

func program(seed uint64) []byte {
	rnd := rand.New(rand.NewPCG(seed, 0))
	ops := make([]byte, 2000)
	for i := range ops {
		ops[i] = byte(rnd.Uint32())
	}
	return ops
}

func TestModel(t *testing.T) {
	for seed := range uint64(100) {
		t.Run(fmt.Sprint("seed", seed), func(t *testing.T) { runModel(t, program(seed)) })
	}
}

// With -fuzzminimizetime 10x: the pools make coverage differ from run to run,
// and the fuzzer else spends its time on making inputs shorter.
func FuzzModel(f *testing.F) {
	for seed := range uint64(8) {
		f.Add(program(seed))
	}
	f.Fuzz(runModel)
}
