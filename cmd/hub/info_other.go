//go:build !(darwin || dragonfly || freebsd || netbsd || openbsd)

package main

import (
	"os"
	"syscall"
)

// infoSignals ask a program how it is doing.
var infoSignals = []os.Signal{syscall.SIGUSR1}
