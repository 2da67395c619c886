package flock

import (
	"context"
	"errors"
	"os"
	"testing"
)

// TestOneAtATime: the second waits for the first, or gives up when it may.
func TestOneAtATime(t *testing.T) {
	dir := t.TempDir()
	open := func() *os.File {
		f, err := os.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	first := open()
	if err := Lock(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Lock(over, open()); !errors.Is(err, context.Canceled) {
		t.Errorf("with the lock taken and no time: %v", err)
	}
	second, done := open(), make(chan error, 1)
	go func() { done <- Lock(t.Context(), second) }()
	select {
	case err := <-done:
		t.Fatalf("two have the lock: %v", err)
	default:
	}
	first.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
	second.Close()
}

// TestAFileThatCannotBeLockedIsClosed.
func TestAFileThatCannotBeLockedIsClosed(t *testing.T) {
	f, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if err := Lock(t.Context(), f); err == nil {
		t.Error("a closed file was locked")
	}
}
