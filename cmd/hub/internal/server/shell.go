package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"hubfs/client"
	"hubfs/shellctl"
)

// A Spec says which shell to start.
type Spec struct {
	Dir        string   // "": the server's choice
	Env        []string // K=V
	Rows, Cols int      // 0: the server's choice
	Pipe       bool     // three pipes instead of a terminal
	Argv       []string // none: the login shell
}

func (p Spec) words(name string) []string {
	w := []string{"shell", name}
	if p.Dir != "" {
		w = append(w, "-d", p.Dir)
	}
	for _, e := range p.Env {
		w = append(w, "-e", e)
	}
	if p.Rows > 0 && p.Cols > 0 {
		w = append(w, "-s", strconv.Itoa(p.Rows)+"x"+strconv.Itoa(p.Cols))
	}
	if p.Pipe {
		w = append(w, "-p")
	}
	if len(p.Argv) > 0 {
		w = append(append(w, "--"), p.Argv...)
	}
	return w
}

// Start starts a shell on the server. The error is client.ErrExist if it runs
// already.
func (s *Server) Start(ctx context.Context, name string, p Spec) error {
	err := s.Ctl(ctx, p.words(name)...)
	if errors.Is(err, client.ErrExist) {
		return &Error{
			Text: fmt.Sprintf("shell %s is running already on server %s", name, s.Addr),
			Hint: fmt.Sprintf("hub attach %s goes there", name),
			Err:  err,
		}
	}
	return err
}

// Send types p into a shell.
func (s *Server) Send(ctx context.Context, name string, p []byte) error {
	return s.ShellError(ctx, name, ended(name, s.WriteFile(ctx, "/shell/"+name+"/stdin", p)))
}

// ShellError makes err, which came of asking for a shell, say that there is
// no such shell if that is what it means.
func (s *Server) ShellError(ctx context.Context, name string, err error) error {
	return s.missing(ctx, "shell", name, err, Status.shellNames)
}

// HubError is ShellError for hubs.
func (s *Server) HubError(ctx context.Context, name string, err error) error {
	return s.missing(ctx, "hub", name, err, Status.hubNames)
}

// ThingError is ShellError for what may be a shell or a hub.
func (s *Server) ThingError(ctx context.Context, name string, err error) error {
	return s.missing(ctx, "shell or hub", name, err, func(st Status) []string {
		return append(st.shellNames(), st.hubNames()...)
	})
}

func (s *Server) missing(ctx context.Context, what, name string, err error, names func(Status) []string) error {
	if !errors.Is(err, client.ErrNotExist) {
		return err
	}
	var there []string
	if st, err := s.Status(ctx); err == nil { // else we only know less
		there = names(st)
	}
	return Missing(what, name, s.Addr.String(), there, "hub ls", err)
}

func (st Status) shellNames() (names []string) {
	for _, sh := range st.Shells {
		names = append(names, sh.Name)
	}
	return names
}

func (st Status) hubNames() (names []string) {
	for _, h := range st.Hubs {
		names = append(names, h.Name)
	}
	return names
}

// Missing is the error for a name that is not there, with the one that was
// perhaps meant. list is the command that shows what there is.
func Missing(what, name, server string, names []string, list string, err error) error {
	if slices.Contains(names, name) {
		return &Error{
			Text: fmt.Sprintf("permission denied: %s is there on server %s, but not for that", name, server),
			Hint: "what let us in is for less: perhaps only to watch",
			Err:  err,
		}
	}
	hint := list + " shows what there is"
	if near := nearest(name, names); near != "" {
		hint = fmt.Sprintf("did you mean %q? %s shows all", near, list)
	}
	return &Error{Text: fmt.Sprintf("no %s %q on server %s", what, name, server), Hint: hint, Err: err}
}

// nearest returns the name that is most like name, or "" if none is.
func nearest(name string, names []string) string {
	best, most := "", max(1, len(name)/2)
	for _, n := range slices.Sorted(slices.Values(names)) {
		if strings.EqualFold(n, name) {
			return n
		}
		if d := distance(name, n); d <= most {
			best, most = n, d-1
		}
	}
	return best
}

// distance is how many letters must be added, dropped, changed or swapped with
// their neighbour to make b of a.
func distance(a, b string) int {
	s, t := []rune(a), []rune(b)
	d := make([][]int, len(s)+1)
	for i := range d {
		d[i] = make([]int, len(t)+1)
		d[i][0] = i
	}
	for j := range d[0] {
		d[0][j] = j
	}
	for i := 1; i <= len(s); i++ {
		for j := 1; j <= len(t); j++ {
			change := 1
			if s[i-1] == t[j-1] {
				change = 0
			}
			d[i][j] = min(d[i-1][j]+1, d[i][j-1]+1, d[i-1][j-1]+change)
			if i > 1 && j > 1 && s[i-1] == t[j-2] && s[i-2] == t[j-1] {
				d[i][j] = min(d[i][j], d[i-2][j-2]+1)
			}
		}
	}
	return d[len(s)][len(t)]
}

// ParseSize reads the size of a terminal, ROWSxCOLS.
func ParseSize(s string) (rows, cols int, err error) {
	r, c, ok := strings.Cut(s, "x")
	rows, err1 := strconv.Atoi(r)
	cols, err2 := strconv.Atoi(c)
	if !ok || err1 != nil || err2 != nil || rows < 1 || cols < 1 || rows > 0xffff || cols > 0xffff {
		return 0, 0, fmt.Errorf("size %q: expected ROWSxCOLS, as 24x80", s)
	}
	return rows, cols, nil
}

// SignalNames are the signals that people send to shells.
var SignalNames = []string{"HUP", "INT", "QUIT", "KILL", "USR1", "USR2", "TERM", "CONT", "STOP", "TSTP", "WINCH"}

// Ended says for people how a shell's process ended.
func Ended(st shellctl.Status) string {
	if st.Signal != "" {
		return "was ended by signal " + st.Signal
	}
	return "exited with " + strconv.Itoa(st.Code)
}

// Discarded returns where a hub starts now, if err says that what was to be
// read of it is no longer retained.
func Discarded(err error) (first int64, ok bool) {
	var e *client.Error
	if !errors.As(err, &e) || !strings.HasPrefix(e.Text, "discarded: ") {
		return 0, false
	}
	i := strings.LastIndex(e.Text, " starts at ")
	if i < 0 {
		return 0, false
	}
	first, perr := strconv.ParseInt(e.Text[i+len(" starts at "):], 10, 64)
	return first, perr == nil
}
