package flock

import (
	"context"
	"errors"
	"os"
	"syscall"
	"testing"
)

func open(t *testing.T, dir string) *os.File {
	t.Helper()
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestOneAtATime: the second has the lock when the first has let go, and nobody
// else while one of them has it.
func TestOneAtATime(t *testing.T) {
	dir := t.TempDir()
	look := open(t, dir)
	defer look.Close()
	free := func() bool { return syscall.Flock(int(look.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) == nil }
	first, second := open(t, dir), open(t, dir)
	if err := Lock(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	if free() {
		t.Error("others get the lock too")
	}
	done := make(chan error, 1)
	go func() { done <- Lock(t.Context(), second) }() // ends with first
	first.Close()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if free() {
		t.Error("others get the lock of the second too")
	}
	second.Close()
	if !free() {
		t.Error("the lock outlives the file")
	}
}

// TestAWaitEndsWithItsContext.
func TestAWaitEndsWithItsContext(t *testing.T) {
	dir := t.TempDir()
	taken := open(t, dir)
	defer taken.Close()
	if err := Lock(t.Context(), taken); err != nil {
		t.Fatal(err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Lock(over, open(t, dir)); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestAFileThatCannotBeLockedIsAnError.
func TestAFileThatCannotBeLockedIsAnError(t *testing.T) {
	f := open(t, t.TempDir())
	f.Close()
	if err := Lock(t.Context(), f); err == nil {
		t.Error("a closed file was locked")
	}
}
