// Package proxy stands between a client and its server and is the network of a
// bad day: it delays, cuts, falls silent one way or both ways, holds back.
//
//	p, err := proxy.Listen("tcp", "127.0.0.1:0", "unix", socket)
//	p.Delay(50 * time.Millisecond)
//	p.Plan(proxy.Random(seed, 1<<20))
//
// Up is from the client to the server, down is back. What happens to the
// connections that there are (one that has carried a byte surely is) happens by
// Cut, Reset, Silence, Hold and Release; what will happen to those to come says the plan, as a Fault after a number of
// bytes, so that a seed gives the same day again.
//
// # Delay
//
// A delay adds to the way of each byte and takes nothing from the bandwidth:
// as many bytes are under way as a connection's window allows, and no more. So
// with a delay D no connection can carry more than window/D bytes a second, as
// with TCP over a real line.
//
// # Ordering
//
// Bytes of one way come in order, whole or cut off at the end. A fault falls
// behind the very byte that it names, counted where bytes leave the proxy. A cut
// loses what is under way.
//
// # Blocking
//
// Nothing here waits for a peer, but Close, which waits for the goroutines: they
// end with their connections, which it cuts.
package proxy

import (
	"net"
	"sync"
	"time"
)

// window is how many bytes may be under way in one direction of one connection:
// what Linux gives a TCP connection whose receiver is quick.
const window = 4 << 20

// A Proxy carries connections between its own address and a server's.
type Proxy struct {
	l           net.Listener
	network, to string         // the server
	work        sync.WaitGroup // all goroutines

	mu     sync.Mutex
	from   net.Addr            // guarded by mu; where connections to the server come from; nil: the system's choice
	delay  time.Duration       // guarded by mu
	plan   func(nth int) Fault // guarded by mu; nil: no faults
	count  int                 // guarded by mu; connections that have come
	links  map[*link]struct{}  // guarded by mu; those that there are
	refuse bool                // guarded by mu
	closed bool                // guarded by mu
}

// Listen makes a proxy at an address of its own, before the server at another.
// The server need not be there yet. Networks are those of net.Dial.
func Listen(network, address, toNetwork, to string) (*Proxy, error) {
	l, err := net.Listen(network, address)
	if err != nil {
		return nil, err
	}
	p := &Proxy{
		l:       l,
		network: toNetwork,
		to:      to,
		links:   make(map[*link]struct{}),
	}
	p.work.Go(p.accept) // ends with the listener
	return p, nil
}

// From has the connections to come reach the server from another address of
// this machine, as those of a client that has moved.
func (p *Proxy) From(a net.Addr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.from = a
}

// dial connects to the server.
func (p *Proxy) dial() (net.Conn, error) {
	p.mu.Lock()
	d := net.Dialer{LocalAddr: p.from}
	p.mu.Unlock()
	return d.Dial(p.network, p.to)
}

// Addr is where the proxy listens.
func (p *Proxy) Addr() net.Addr { return p.l.Addr() }

// Close takes the proxy away: nobody listens any more, and every connection is
// cut. Another one can be made at the same address.
func (p *Proxy) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.l.Close()
	p.Cut()
	p.work.Wait()
}

// Delay sets how long each byte takes in each direction, from now on.
func (p *Proxy) Delay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
}

// Plan says what will befall the connections to come: the function is asked
// once for each, with its number, which is 0 for the first that the proxy has
// ever had. nil: nothing.
func (p *Proxy) Plan(fault func(nth int) Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.plan = fault
}

// Refuse says whether connections to come are closed at once, like those to a
// machine on which nobody listens.
func (p *Proxy) Refuse(yes bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = yes
}

// Count returns how many connections have come.
func (p *Proxy) Count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count
}

// Cut closes the connections that there are. What was delivered still arrives.
func (p *Proxy) Cut() { p.each(func(l *link) { l.strike(Cut) }) }

// Reset ends them as a router that was started anew does: the peers get an
// error, and may lose bytes that they have not read.
func (p *Proxy) Reset() { p.each(func(l *link) { l.strike(Reset) }) }

// Silence lets every byte of the connections that there are vanish from now on,
// one way (SilentUp, SilentDown) or both (Blackhole). Their ends are told
// nothing, and may believe for ever that they are connected.
func (p *Proxy) Silence(k Kind) { p.each(func(l *link) { l.strike(k) }) }

// Hold delivers nothing over the connections that there are, and keeps it,
// until Release: a laptop that sleeps.
func (p *Proxy) Hold() { p.each(func(l *link) { l.strike(Hold) }) }

// Release ends Hold.
func (p *Proxy) Release() { p.each((*link).release) }

func (p *Proxy) each(f func(*link)) {
	p.mu.Lock()
	links := make([]*link, 0, len(p.links))
	for l := range p.links {
		links = append(links, l)
	}
	p.mu.Unlock()
	for _, l := range links {
		f(l)
	}
}

func (p *Proxy) accept() {
	for {
		here, err := p.l.Accept()
		if err != nil {
			return
		}
		p.work.Go(func() { p.serve(here) }) // ends with the connection
	}
}

// serve carries one connection.
func (p *Proxy) serve(here net.Conn) {
	p.mu.Lock()
	refuse := p.refuse || p.closed
	p.mu.Unlock()
	if refuse {
		here.Close()
		return
	}
	there, err := p.dial()
	if err != nil {
		here.Close()
		return
	}
	l := p.enter(here, there)
	if l == nil {
		here.Close()
		there.Close()
		return
	}
	l.carry()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.links, l)
}

// enter puts a connection in the books, or returns nil if the proxy is closed.
func (p *Proxy) enter(here, there net.Conn) *link {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	l := newLink(p, here, there)
	if p.plan != nil {
		l.fault = p.plan(p.count)
	}
	p.count++
	p.links[l] = struct{}{}
	return l
}

func (p *Proxy) latency() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.delay
}
