// Hub attaches terminals to shells that outlive them, and is the command line
// of the server that keeps them; see hub(1).
package main

import "os"

func main() {
	os.Exit(run(os.Args[1:]))
}
