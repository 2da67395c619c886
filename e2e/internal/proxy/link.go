package proxy

import (
	"net"
	"sync"
	"time"
)

// A link is one connection through the proxy.
type link struct {
	proxy       *Proxy
	here, there net.Conn // the client's end and the server's
	up, down    *way
	over        chan struct{} // closed when the link is cut

	mu      sync.Mutex
	fault   Fault         // guarded by mu; None when it has struck
	carried int64         // guarded by mu; bytes delivered, both ways
	cut     bool          // guarded by mu; over is closed
	held    chan struct{} // guarded by mu; closed by release; nil: not held
}

func newLink(p *Proxy, here, there net.Conn) *link {
	l := &link{proxy: p, here: here, there: there, over: make(chan struct{})}
	l.up = &way{link: l, from: here, to: there, changed: make(chan struct{}, 1), room: make(chan struct{}, 1)}
	l.down = &way{link: l, from: there, to: here, changed: make(chan struct{}, 1), room: make(chan struct{}, 1)}
	return l
}

// carry carries bytes until both ways have ended.
func (l *link) carry() {
	var work sync.WaitGroup
	for _, w := range []*way{l.up, l.down} {
		work.Go(w.read)    // ends with its connection
		work.Go(w.deliver) // ends with read, or when the link is cut
	}
	work.Wait()
	l.strike(Cut)
}

// allow returns how many of n bytes may be delivered before something befalls
// the link; if that is none, it has befallen it.
func (l *link) allow(n int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.fault
	if f.Kind == None {
		l.carried += int64(n)
		return n
	}
	n = int(min(int64(n), f.After-l.carried))
	l.carried += int64(n)
	if n == 0 {
		l.fault.Kind = None
		l.strikeLocked(f.Kind)
	}
	return n
}

// strike lets something befall the link now.
func (l *link) strike(k Kind) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.strikeLocked(k)
}

// strikeLocked does it while no byte can be allowed to pass: which is behind
// the fault and which before it is sure.
func (l *link) strikeLocked(k Kind) {
	switch k {
	case Cut, Reset:
		l.cutLocked(k == Reset)
	case SilentUp:
		l.up.silence()
	case SilentDown:
		l.down.silence()
	case Blackhole:
		l.up.silence()
		l.down.silence()
	case Hold:
		if l.held == nil {
			l.held = make(chan struct{})
		}
	}
}

func (l *link) cutLocked(reset bool) {
	if l.cut {
		return
	}
	l.cut = true
	close(l.over)
	for _, c := range []net.Conn{l.here, l.there} {
		if tcp, ok := c.(*net.TCPConn); ok && reset {
			tcp.SetLinger(0) // what TCP calls a reset
		}
		c.Close()
	}
}

func (l *link) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held != nil {
		close(l.held)
		l.held = nil
	}
}

// gone says that the receiver of w has gone away. Its sender learns of that,
// unless nothing that the receiver's machine says arrives any more: then the way
// goes on, to nowhere, and gone returns true.
func (l *link) gone(w *way) bool {
	back := l.up
	if w == l.up {
		back = l.down
	}
	if back.isSilent() {
		w.silence()
		return true
	}
	l.strike(Cut)
	return false
}

// unheld returns a channel to wait on before something is delivered, or nil.
func (l *link) unheld() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held
}

// A way is one direction of a link.
type way struct {
	link     *link
	from, to net.Conn
	changed  chan struct{} // of capacity 1: there is more to deliver
	room     chan struct{} // of capacity 1: there is room again

	mu     sync.Mutex
	chunks []chunk // guarded by mu; under way
	bytes  int     // guarded by mu; of chunks
	ended  bool    // guarded by mu; nothing comes any more
	silent bool    // guarded by mu; what comes vanishes
}

// A chunk is some bytes, and when they are to arrive.
type chunk struct {
	data []byte
	due  time.Time
}

// silence lets all that is under way, and all that comes, vanish. The way goes
// on to be read: to its sender everything is as before.
func (w *way) silence() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.silent = true
	w.chunks, w.bytes = nil, 0
	signal(w.room)
}

func (w *way) isSilent() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.silent
}

// signal says that something has changed, to the one who looks.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// read takes what the sender sends, as long as the window allows.
func (w *way) read() {
	buf := make([]byte, 64<<10)
	for {
		n, err := w.from.Read(buf)
		if n > 0 && !w.put(append([]byte(nil), buf[:n]...)) {
			return
		}
		if err != nil {
			w.mu.Lock()
			w.ended = true
			w.mu.Unlock()
			signal(w.changed)
			return
		}
	}
}

// put puts bytes on their way. It returns false if the link has been cut.
func (w *way) put(p []byte) bool {
	due := time.Now().Add(w.link.proxy.latency())
	w.mu.Lock()
	if !w.silent {
		w.chunks = append(w.chunks, chunk{p, due})
		w.bytes += len(p)
	}
	full := w.bytes >= window
	w.mu.Unlock()
	signal(w.changed)
	for full {
		select {
		case <-w.room:
		case <-w.link.over:
			return false
		}
		w.mu.Lock()
		full = w.bytes >= window
		w.mu.Unlock()
	}
	return true
}

// deliver delivers what is under way, each byte when it is due.
func (w *way) deliver() {
	for {
		c, ok := w.next()
		if !ok {
			return
		}
		if !w.arrive(c) {
			return
		}
	}
}

// next waits for the next chunk to be due, and takes it. It returns false at the
// end of the way, which it passes on.
func (w *way) next() (chunk, bool) {
	for {
		w.mu.Lock()
		var due time.Time
		ready, ended, silent := len(w.chunks) > 0, w.ended, w.silent
		if ready {
			due = w.chunks[0].due
		}
		w.mu.Unlock()
		switch {
		case ready:
			if !w.until(due) {
				return chunk{}, false
			}
			if c, ok := w.take(); ok {
				return c, true
			}
		case ended && !silent:
			w.close()
			return chunk{}, false
		case ended:
			return chunk{}, false // nobody hears of it
		default:
			select {
			case <-w.changed:
			case <-w.link.over:
				return chunk{}, false
			}
		}
	}
}

// close tells the receiver that the sender has sent all.
func (w *way) close() {
	if c, ok := w.to.(interface{ CloseWrite() error }); ok {
		c.CloseWrite()
	} else {
		w.link.strike(Cut)
	}
}

// until waits for the time, and for the link not to be held.
func (w *way) until(due time.Time) bool {
	if d := time.Until(due); d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-w.link.over:
			return false
		}
	}
	if held := w.link.unheld(); held != nil {
		select {
		case <-held:
		case <-w.link.over:
			return false
		}
	}
	return true
}

// take takes the oldest chunk, unless it has vanished.
func (w *way) take() (chunk, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.chunks) == 0 {
		return chunk{}, false
	}
	c := w.chunks[0]
	w.chunks[0] = chunk{}
	w.chunks = w.chunks[1:]
	w.bytes -= len(c.data)
	signal(w.room)
	return c, true
}

// arrive delivers a chunk, as far as nothing befalls the link. It returns false
// if there is nobody to deliver to.
func (w *way) arrive(c chunk) bool {
	for len(c.data) > 0 {
		n := w.link.allow(len(c.data))
		if n == 0 {
			if w.isSilent() {
				return true
			}
			if !w.until(c.due) { // it may be held now, or be cut
				return false
			}
			continue
		}
		if _, err := w.to.Write(c.data[:n]); err != nil {
			return w.link.gone(w)
		}
		c.data = c.data[n:]
	}
	return true
}
