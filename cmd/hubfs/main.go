// Hubfs serves hubs and shells over 9P2000; see hubfs(8).
package main

import (
	"os"

	"hubfs/internal/hubfscli"
)

func main() {
	os.Exit(hubfscli.Run(os.Args[1:], os.Stdout, os.Stderr))
}
