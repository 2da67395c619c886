package hubfs

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"hubfs/internal/handles"
	"hubfs/internal/lex"
	"hubfs/tree"
)

const pipeUsage = "[-e] FROM[@end|@-N] [-- CMD ARG... --] TO"

// pipeOptions are the arguments of the word pipe.
type pipeOptions struct {
	from, to string
	at       handles.Place
	argv     []string // nil: none
	ends     bool
}

// parsePipe reads the arguments. FROM is the first and TO the last, so that the
// command between the -- may hold any word, -- too.
func parsePipe(args []string) (pipeOptions, error) {
	var o pipeOptions
	fail := func(format string, v ...any) (pipeOptions, error) {
		return pipeOptions{}, lex.Malformed(format, v...)
	}
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		if args[0] != "-e" {
			return fail("unknown option %q", lex.Clip(args[0]))
		}
		o.ends, args = true, args[1:]
	}
	switch n := len(args); {
	case n < 2:
		return fail("%d hubs", n)
	case n > 2 && (args[1] != "--" || args[n-2] != "--"):
		return fail("a command stands between two --")
	case n == 3, n == 4:
		return fail("no command")
	case n > 4:
		o.argv = args[2 : n-2]
	}
	var err error
	if o.from, o.at, err = handles.SplitPlace(args[0]); err != nil {
		return fail("%v", err)
	}
	switch o.at.Kind {
	case handles.FromStart, handles.FromEnd, handles.FromBack:
	default:
		return fail("%q is not where a pipe can begin", lex.Clip(args[0]))
	}
	o.to = args[len(args)-1]
	return o, nil
}

// pipeWord is the word pipe. Its number is read from the open of /ctl on which
// it was written.
func (fs *FS) pipeWord(h *ctlHandle, args []string) error {
	o, err := parsePipe(args)
	if err != nil {
		return err
	}
	id, err := fs.startPipe(h.c, o)
	if err != nil {
		return err
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	h.pipes = true
	if line := fmt.Sprintf("pipe %d\n", id); len(h.made)+len(line) <= maxMade {
		h.made += line
	}
	return nil
}

// maxMade is how many bytes an open of /ctl keeps for who does not read.
const maxMade = 4 << 10

// readPipes tells of the pipes that were made on this open, once. The offset
// says nothing: on a mounted tree it has moved by what was written.
func (h *ctlHandle) readPipes(dst []tree.Piece, max int) []tree.Piece {
	h.f.fs.mu.Lock()
	defer h.f.fs.mu.Unlock()
	n := min(len(h.made), max)
	line := h.made[:n]
	if h.made = h.made[n:]; n == 0 {
		return dst
	}
	return append(dst, tree.Piece{Data: []byte(line)})
}

// unpipe is the word of that name. A plain pipe carries nothing more when it is
// answered; a program may still be at its last words.
func (fs *FS) unpipe(arg string) error {
	id, err := strconv.Atoi(arg)
	if err != nil {
		return lex.Malformed("%q is not the number of a pipe", lex.Clip(arg))
	}
	fs.mu.Lock()
	i := slices.IndexFunc(fs.pipes, func(p *pipe) bool { return p.id == id })
	if i < 0 {
		fs.mu.Unlock()
		return fmt.Errorf("no pipe %d: %w", id, tree.ErrNotExist)
	}
	p := fs.pipes[i]
	if p.state == pipeEnded {
		fs.forgetPipeLocked(p)
		fs.mu.Unlock()
		return nil
	}
	p.unwanted = true
	p.stopLocked(stopFinish, "unpipe")
	fs.unlockDone()
	if p.argv == nil {
		<-p.gone // it waits for nobody
	}
	return nil
}
