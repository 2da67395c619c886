// Hub attaches terminals to shells that outlive them, and is the command line
// of the server that keeps them; see hub(1).
package main

import (
	"os"
	"path/filepath"

	"hubfs/internal/hubfscli"
	"hubfs/internal/supervise"
)

func main() {
	if supervise.Main(os.Args) {
		return // this process was the supervisor of tasks
	}
	// One file serves as both: hub install makes hubfs a link to hub.
	if filepath.Base(os.Args[0]) == "hubfs" {
		os.Exit(hubfscli.Run(os.Args[1:], os.Stdout, os.Stderr))
	}
	os.Exit(run(os.Args[1:]))
}
