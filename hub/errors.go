package hub

import (
	"errors"
	"fmt"
	"io"
)

// Errors of this package, besides those with a type of their own.
var (
	// ErrEnded says that the stream is complete: nothing follows, and nothing
	// can be written. It is an io.EOF, and pipes.IsEnded knows it.
	ErrEnded error = endedError{}
	// ErrClosed says that the hub, the reader or the writer is closed.
	ErrClosed = errors.New("hub is closed")
	// ErrNoSpace says that the Budget has no room for a write.
	ErrNoSpace = errors.New("no room in the memory budget")
	// ErrOffset says that an offset is negative.
	ErrOffset = errors.New("negative offset")
)

// A DiscardedError answers a read of bytes that are no longer retained.
type DiscardedError struct {
	First int64 // the oldest byte that is
}

func (e *DiscardedError) Error() string {
	return fmt.Sprintf("discarded: stream starts at %d", e.First)
}

// A GapError answers an addressed write that would leave a gap.
type GapError struct {
	Next int64 // where the stream, or the sequence, ends
}

func (e *GapError) Error() string {
	return fmt.Sprintf("gap: stream ends at %d", e.Next)
}

// A ConflictError answers an addressed write whose bytes are there already, and
// are others. Only what is still retained is compared.
type ConflictError struct {
	Offset int64 // of the first that differs
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("conflict: stream holds other bytes at %d", e.Offset)
}

// A DroppedError answers every read of a reader that was dropped.
type DroppedError struct {
	Reason string // for people to read
}

func (e *DroppedError) Error() string { return "dropped: " + e.Reason }

type endedError struct{}

func (endedError) Error() string        { return "stream has ended" }
func (endedError) Ended() bool          { return true }
func (endedError) Is(target error) bool { return target == io.EOF }
