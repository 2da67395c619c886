package gang

import "sync"

// A pump runs step in a goroutine of its own: at least once after each kick,
// never twice at a time, and it costs no goroutine while there is nothing to do.
type pump struct {
	run  func(func()) // starts a goroutine for which somebody waits
	step func()

	mu            sync.Mutex
	running, more bool // guarded by mu
}

// kick has step run. It does not wait.
func (p *pump) kick() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.more = true
	if !p.running {
		p.running = true
		p.run(p.loop) // ends when step has run after the last kick
	}
}

func (p *pump) loop() {
	for p.next() {
		p.step()
	}
}

func (p *pump) next() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running = p.more
	p.more = false
	return p.running
}
