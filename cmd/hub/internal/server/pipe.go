package server

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"

	"hubfs/client"
)

// A Pipe is what a server says of one: it carries hub From into hub To.
type Pipe struct {
	ID      int    `json:"id"`
	From    string `json:"from"`
	To      string `json:"to"`
	State   string `json:"state"` // running, ending, ended
	In      int64  `json:"in"`    // bytes read
	Out     int64  `json:"out"`   // bytes written
	Command string `json:"command,omitempty"`
	Lost    int64  `json:"lost"`           // bytes that it was overtaken by
	Said    string `json:"said,omitempty"` // the last line that the command wrote to its standard error
	End     string `json:"end,omitempty"`  // why it ended
}

// Ended reports whether the pipe carries nothing any more.
func (p Pipe) Ended() bool { return p.State == "ended" }

// Gain is how many bytes have come out for each that has gone in; not a number
// if none has.
func (p Pipe) Gain() float64 {
	switch {
	case p.Command == "":
		return 1
	case p.In == 0:
		return math.NaN()
	}
	return float64(p.Out) / float64(p.In)
}

// parsePipe reads ID FROM TO STATE IN OUT CMD LOST SAID [END]. More fields may
// come.
func parsePipe(f []string) (Pipe, error) {
	if len(f) < 9 {
		return Pipe{}, fmt.Errorf("status of a pipe: expected 9 fields, not %q", f)
	}
	n, err := numbers([]string{f[0], f[4], f[5], f[7]})
	if err != nil {
		return Pipe{}, fmt.Errorf("status of pipe %s: %w", f[0], err)
	}
	p := Pipe{ID: int(n[0]), From: f[1], To: f[2], State: f[3], In: n[1], Out: n[2], Command: f[6], Lost: n[3], Said: f[8]}
	if p.Ended() && len(f) > 9 {
		p.End = f[9]
	}
	return p, nil
}

// A PipeSpec says which pipe to make.
type PipeSpec struct {
	From string   // the path of a hub
	At   string   // where in it to begin: "", "@end", "@-N"
	Argv []string // the command; none: a plain copy
	To   string   // the path of a hub
	Ends bool     // To ends with the pipe
}

func (p PipeSpec) words() []string {
	w := []string{"pipe"}
	if p.Ends {
		w = append(w, "-e")
	}
	// A slash keeps the first letter of a name from being an option's.
	w = append(w, "/"+p.From+p.At)
	if len(p.Argv) > 0 {
		w = append(append(append(w, "--"), p.Argv...), "--")
	}
	return append(w, "/"+p.To)
}

// Pipe makes a pipe and returns its number.
func (s *Server) Pipe(ctx context.Context, p PipeSpec) (id int, err error) {
	f, err := s.Open(ctx, "/ctl", client.ORDWR)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	if _, err := f.WriteContext(ctx, []byte(Line(p.words()...))); err != nil {
		return 0, err
	}
	// Who has made a pipe on an open of /ctl reads its number there.
	buf := make([]byte, 100)
	n, err := f.ReadContext(ctx, buf)
	if err != nil {
		return 0, err
	}
	number, ok := strings.CutPrefix(strings.TrimSpace(string(buf[:n])), "pipe ")
	if id, err = strconv.Atoi(number); !ok || err != nil {
		return 0, fmt.Errorf("number of the new pipe: the server says %q", buf[:n])
	}
	return id, nil
}

// Input returns the hub that name is for one who writes: the hub itself, or what
// shell name reads. If there is neither, ok is false.
func (st Status) Input(name string) (hub string, ok bool) {
	switch out, ok := st.output(name); {
	case !ok:
		return "", false
	case out != name:
		return name + "0", true
	}
	return name, true
}
