// Package fence makes sure that a node which is not heard of runs nothing any
// more: methods, called by name, and the order in which they are tried.
package fence

import (
	"context"
	"time"
)

// A Target is a node that is to be fenced.
type Target struct {
	Name  string
	Addr  string
	Epoch uint64
	// Heard is when it was heard last; Self is how long after that it ends its
	// tasks by itself at the latest.
	Heard time.Time
	Self  time.Duration
}

// A Method is a way to fence.
type Method interface {
	// Fence returns nil when nothing runs on the target any more. It ends with
	// ctx at the latest.
	Fence(ctx context.Context, t Target) error
}

// A Policy says which methods are tried for which node, and in which order.
type Policy struct{}
