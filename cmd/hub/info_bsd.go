//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package main

import (
	"os"
	"syscall"
)

// infoSignals ask a program how it is doing; a terminal sends the second with
// Ctrl-T.
var infoSignals = []os.Signal{syscall.SIGUSR1, syscall.SIGINFO}
