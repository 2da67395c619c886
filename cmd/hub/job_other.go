//go:build !linux

package main

import "io"

// widen is for Linux: elsewhere pipes have the size that they have.
func widen(io.Reader) {}
