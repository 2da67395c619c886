package soak

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// A plan is what one actor is to do, one step after another. It follows from
// the seed and the actor's name alone: each step draws the same few numbers,
// whatever is made of them.
type plan struct{ rnd *rand.Rand }

func newPlan(seed, actor uint64) plan { return plan{rand.New(rand.NewPCG(seed, actor))} }

// A step is some random numbers, each for a question of its own.
type step struct{ what, who, where, size, time, how uint32 }

func (p plan) next() step {
	u := p.rnd.Uint32
	return step{u(), u(), u(), u(), u(), u()}
}

func (s step) String() string {
	return fmt.Sprintf("%x.%x.%x.%x.%x.%x", s.what, s.who, s.where, s.size, s.time, s.how)
}

// of returns a number below n.
func of(u uint32, n int) int { return int(uint64(u) * uint64(n) >> 32) }

// one returns one of all.
func one[T any](u uint32, all ...T) T { return all[of(u, len(all))] }

// words returns a number of words: mostly few, now and then many.
func (s step) words() int {
	switch most := int(s.size & 0xffff); s.size >> 16 % 16 {
	case 0:
		return 1 + most%(16<<10)
	case 1, 2, 3:
		return 1 + most%1024
	default:
		return 1 + most%32
	}
}

// pause returns a time of some milliseconds, or none.
func (s step) pause() time.Duration { return time.Duration(s.time%8000) * time.Microsecond }
