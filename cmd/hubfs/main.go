// Hubfs serves hubs and shells over 9P2000; see hubfs(8).
package main

import (
	"os"

	"hubfs/internal/hubfscli"
	"hubfs/internal/supervise"
)

func main() {
	if supervise.Main(os.Args) {
		return // this process was the supervisor of tasks
	}
	os.Exit(hubfscli.Run(os.Args[1:], os.Stdout, os.Stderr))
}
