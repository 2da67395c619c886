//go:build !linux

package e2e

import (
	"testing"
	"time"
)

// Elsewhere than on Linux we do not look for what a test left behind.
type process struct{}

func worldProcesses(string) []process               { return nil }
func (process) isServer() bool                      { return false }
func (process) names(string) bool                   { return false }
func (process) terminate(_ testing.TB, _ time.Time) {}
func (process) close()                              {}
func (process) kill()                               {}
func (process) gone(time.Time) bool                 { return true }
