package proxy

import "math/rand/v2"

// A Kind is what can befall a connection.
type Kind int

const (
	None       Kind = iota
	Cut             // both ends see it closed
	Reset           // both ends get an error, where the network knows one
	SilentUp        // what the client sends vanishes
	SilentDown      // what the server sends vanishes
	Blackhole       // both
	Hold            // nothing is delivered, and nothing lost, until Release
)

func (k Kind) String() string {
	names := [...]string{"none", "cut", "reset", "silent up", "silent down", "blackhole", "hold"}
	return names[k]
}

// A Fault is what befalls a connection when it has delivered so many bytes, to
// both ends together: the byte behind them is not delivered as if nothing were.
type Fault struct {
	Kind  Kind
	After int64
}

// Random returns a plan for Proxy.Plan: each connection gets one of the kinds,
// or of Cut, Reset, SilentUp, SilentDown and Blackhole, behind fewer than most
// bytes. The same seed gives the same plan, whatever came before: the nth
// connection's fault depends on n and seed alone.
func Random(seed uint64, most int64, kinds ...Kind) func(nth int) Fault {
	if len(kinds) == 0 {
		kinds = []Kind{Cut, Reset, SilentUp, SilentDown, Blackhole}
	}
	return func(nth int) Fault {
		r := rand.New(rand.NewPCG(seed, uint64(nth)))
		return Fault{kinds[r.IntN(len(kinds))], r.Int64N(most)}
	}
}
