package server

import (
	"os"
	"time"

	"hubfs/transport"
)

// keepaliveVar shortens the keepalive, for tests that do not want to wait, and
// sets one for sockets of this machine too.
const keepaliveVar = "HUB_KEEPALIVE"

// keepalive is after how long without a word a server is asked for one. On a
// socket of this machine no end is gone without a word.
func keepalive(a transport.Addr) time.Duration {
	if d, err := time.ParseDuration(os.Getenv(keepaliveVar)); err == nil && d >= 0 {
		return d
	}
	if a.Network == "unix" {
		return 0
	}
	return 5 * time.Second
}
