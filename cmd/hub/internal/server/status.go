package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"hubfs/client"
)

// A Shell is what a server says of one.
type Shell struct {
	Name    string    `json:"name"`
	State   string    `json:"state"` // running, exited, lost
	PID     int       `json:"pid"`
	Rows    int       `json:"rows"` // 0 for a shell on pipes
	Cols    int       `json:"cols"`
	Clients int       `json:"clients"`
	Since   time.Time `json:"since,omitzero"`
	Command string    `json:"command"`
}

// Running reports whether the shell can still be typed to.
func (s Shell) Running() bool { return s.State != "exited" }

// A Hub is what a server says of one.
type Hub struct {
	Name    string    `json:"name"`
	Mode    string    `json:"mode"`
	First   int64     `json:"first"` // offset of the oldest byte retained
	Next    int64     `json:"next"`  // offset of the next byte to come
	Size    int64     `json:"size"`  // bytes retained at most
	Readers int       `json:"readers"`
	Writers int       `json:"writers"`
	Lost    int64     `json:"lost"`          // bytes that readers were overtaken by
	End     string    `json:"end,omitempty"` // the status with which it ended, if any
	Since   time.Time `json:"since,omitzero"`
	Spool   *Spool    `json:"spool,omitempty"` // where its history is kept; nil: in memory
}

// A Spool is a hub's history on the server's disk.
type Spool struct {
	Dir   string `json:"dir"`
	Bytes int64  `json:"bytes"`
	Sync  string `json:"sync"`           // always, second, never
	Keep  int64  `json:"keep,omitempty"` // bytes kept at most; 0: all
	Age   int64  `json:"age,omitempty"`  // seconds for which they are kept; 0: for ever
}

// A Reader is one who has a hub open for reading.
type Reader struct {
	Hub        string
	User, Addr string
	Offset     int64
	Lost       int64
	ID         string        // for the word drop of /ctl
	Slowest    bool          // the writers of a hub in fear wait for it,
	Stalls     time.Duration // and have done so for so long
}

// Is reports whether word is one of the words of the hub's mode.
func (h Hub) Is(word string) bool {
	return slices.Contains(strings.FieldsFunc(h.Mode, func(r rune) bool { return r == ',' || r == '+' || r == ' ' }), word)
}

// Ended reports whether the stream is complete.
func (h Hub) Ended() bool { return h.Is("ended") }

// A Status is what is there on a server, by name.
type Status struct {
	Shells  []Shell  `json:"shells"`
	Hubs    []Hub    `json:"hubs"`
	Pipes   []Pipe   `json:"pipes"`
	Jobs    []Job    `json:"jobs"` // by number
	Readers []Reader `json:"-"`    // in no order
	Run     string   `json:"-"`    // tells this run of the server from all others; "": it does not say
}

// Hub returns the hub called name, and whether there is one.
func (st Status) Hub(name string) (Hub, bool) {
	i, ok := slices.BinarySearchFunc(st.Hubs, name, func(h Hub, name string) int { return strings.Compare(h.Name, name) })
	if !ok {
		return Hub{}, false
	}
	return st.Hubs[i], true
}

// Status reads /status.
func (s *Server) Status(ctx context.Context) (Status, error) {
	data, err := s.ReadFile(ctx, "/status")
	if err != nil {
		return Status{}, fmt.Errorf("read /status: %w", err)
	}
	return parseStatus(data)
}

// StatusSince is Status with the times that only the directories tell: when a
// shell was started, and when a hub was written last.
func (s *Server) StatusSince(ctx context.Context) (Status, error) {
	st, err := s.Status(ctx)
	if err != nil {
		return st, err
	}
	since := func(dir string) map[string]time.Time {
		infos, err := s.ReadDir(ctx, dir)
		if err != nil {
			return nil // gone meanwhile
		}
		m := make(map[string]time.Time, len(infos))
		for _, i := range infos {
			m[i.Name] = i.Mtime
		}
		return m
	}
	shells := since("/shell")
	for i := range st.Shells {
		st.Shells[i].Since = shells[st.Shells[i].Name]
	}
	dirs := map[string]map[string]time.Time{}
	for i := range st.Hubs {
		dir, base := path.Split(st.Hubs[i].Name)
		if dirs[dir] == nil {
			dirs[dir] = since("/" + dir)
		}
		st.Hubs[i].Since = dirs[dir][base]
	}
	return st, nil
}

// Shell reads the status of one shell.
func (s *Server) Shell(ctx context.Context, name string) (Shell, error) {
	data, err := s.ReadFile(ctx, "/shell/"+name+"/status")
	if err != nil {
		return Shell{}, s.ShellError(ctx, name, err)
	}
	return parseShell(Fields(strings.TrimSpace(string(data))))
}

// A ShellStatus is a shell and its hubs NAME0, NAME1 and NAME2.
type ShellStatus struct {
	Shell Shell
	Hubs  [3]Hub
	Run   string // as Status has it
}

// ShellStatus reads the status of a shell. It is what a session begins with,
// and so reads /status only as far as it must: to the shell's line, which comes
// after those of the hubs.
func (s *Server) ShellStatus(ctx context.Context, name string) (st ShellStatus, err error) {
	buf := make([]byte, 16<<10)
	f, n, err := s.OpenRead(ctx, "/status", client.OREAD, buf)
	if err != nil {
		return st, fmt.Errorf("read /status: %w", err)
	}
	defer func() { go f.Close() }() // ends with the server's answer, or with the connection
	var line []byte
	for ; n > 0; n, err = f.ReadContext(ctx, buf) {
		rest := buf[:n]
		for {
			end := bytes.IndexByte(rest, '\n')
			if end < 0 {
				line = append(line, rest...)
				break
			}
			line = append(line, rest[:end]...)
			f := Fields(string(line))
			line, rest = line[:0], rest[end+1:]
			switch {
			case len(f) > 1 && f[0] == "hub" && len(f[1]) == len(name)+1 && strings.HasPrefix(f[1], name):
				if n := f[1][len(name)]; n >= '0' && n <= '2' {
					if st.Hubs[n-'0'], err = parseHub(f[1:]); err != nil {
						return st, err
					}
				}
			case len(f) > 1 && f[0] == "shell" && f[1] == name:
				st.Shell, err = parseShell(f[1:])
				return st, err
			case len(f) > 0 && f[0] == "server":
				st.Run = run(f)
			}
		}
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return st, fmt.Errorf("read /status: %w", err)
	}
	return st, fmt.Errorf("shell %s: %w", name, client.ErrNotExist)
}

// run is the run of the server that its line, server NAME PID STARTED, is about.
func run(f []string) string {
	if len(f) < 4 {
		return ""
	}
	return f[2] + " " + f[3]
}

// Hub returns the status of one hub, and whether there is such a hub.
func (s *Server) Hub(ctx context.Context, name string) (Hub, bool, error) {
	st, err := s.Status(ctx)
	if err != nil {
		return Hub{}, false, err
	}
	h, ok := st.Hub(name)
	return h, ok, nil
}

// Output returns the name of the hub that name is for one who watches: the hub
// itself, or what shell name writes.
func (s *Server) Output(ctx context.Context, name string) (string, error) {
	st, err := s.Status(ctx)
	if err != nil {
		return "", err
	}
	if hub, ok := st.output(name); ok {
		return hub, nil
	}
	return "", s.ThingError(ctx, name, &client.Error{Text: "file does not exist"})
}

func (st Status) output(name string) (hub string, ok bool) {
	switch {
	case slices.Contains(st.hubNames(), name):
		return name, true
	case slices.Contains(st.shellNames(), name):
		return name + "1", true
	}
	return "", false
}

// parseStatus reads the lines of /status; those of other things are skipped.
func parseStatus(data []byte) (Status, error) {
	var st Status
	spools := map[string]*Spool{}
	for line := range bytes.Lines(data) {
		f := Fields(strings.TrimSuffix(string(line), "\n"))
		if len(f) == 0 {
			continue
		}
		switch f[0] {
		case "hub":
			h, err := parseHub(f[1:])
			if err != nil {
				return st, err
			}
			st.Hubs = append(st.Hubs, h)
		case "shell":
			sh, err := parseShell(f[1:])
			if err != nil {
				return st, err
			}
			st.Shells = append(st.Shells, sh)
		case "pipe":
			p, err := parsePipe(f[1:])
			if err != nil {
				return st, err
			}
			st.Pipes = append(st.Pipes, p)
		case "session":
			j, err := parseJob(f[1:])
			if err != nil {
				return st, err
			}
			st.Jobs = append(st.Jobs, j)
		case "reader":
			r, err := parseReader(f[1:])
			if err != nil {
				return st, err
			}
			st.Readers = append(st.Readers, r)
		case "spool":
			name, sp, err := parseSpool(f[1:])
			if err != nil {
				return st, err
			}
			spools[name] = sp
		case "server":
			st.Run = run(f)
		}
	}
	for i := range st.Hubs {
		st.Hubs[i].Spool = spools[st.Hubs[i].Name]
	}
	slices.SortFunc(st.Hubs, func(a, b Hub) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(st.Shells, func(a, b Shell) int { return strings.Compare(a.Name, b.Name) })
	return st, nil
}

// parseShell reads NAME STATE PID ROWS COLS CLIENTS CMD. More fields may come.
func parseShell(f []string) (Shell, error) {
	if len(f) < 7 {
		return Shell{}, fmt.Errorf("status of a shell: expected 7 fields, not %q", f)
	}
	n, err := numbers(f[2:6])
	if err != nil {
		return Shell{}, fmt.Errorf("status of shell %s: %w", f[0], err)
	}
	return Shell{Name: f[0], State: f[1], PID: int(n[0]), Rows: int(n[1]), Cols: int(n[2]),
		Clients: int(n[3]), Command: f[6]}, nil
}

// parseHub reads NAME FIRST NEXT SIZE READERS WRITERS MODE LOST [END]. More
// fields may come.
func parseHub(f []string) (Hub, error) {
	if len(f) < 8 {
		return Hub{}, fmt.Errorf("status of a hub: expected 8 fields, not %q", f)
	}
	n, err := numbers(slices.Concat(f[1:6], f[7:8]))
	if err != nil {
		return Hub{}, fmt.Errorf("status of hub %s: %w", f[0], err)
	}
	h := Hub{Name: f[0], First: n[0], Next: n[1], Size: n[2], Readers: int(n[3]),
		Writers: int(n[4]), Mode: f[6], Lost: n[5]}
	if h.Ended() && len(f) > 8 { // older servers do not say it
		h.End = f[8]
	}
	return h, nil
}

// parseReader reads HUB USER ADDR OFFSET LOST [ID [slowest SECONDS]]. More
// fields may come.
func parseReader(f []string) (Reader, error) {
	if len(f) < 5 {
		return Reader{}, fmt.Errorf("status of a reader: expected 5 fields, not %q", f)
	}
	n, err := numbers(f[3:5])
	if err != nil {
		return Reader{}, fmt.Errorf("status of a reader of %s: %w", f[0], err)
	}
	r := Reader{Hub: f[0], User: f[1], Addr: f[2], Offset: n[0], Lost: n[1]}
	if len(f) > 5 {
		r.ID = f[5]
	}
	if len(f) > 7 && f[6] == "slowest" {
		sec, err := strconv.ParseFloat(f[7], 64)
		if err != nil {
			return r, fmt.Errorf("status of a reader of %s: %q is no number", f[0], f[7])
		}
		r.Slowest, r.Stalls = true, time.Duration(sec*float64(time.Second))
	}
	return r, nil
}

// parseSpool reads HUB DIR BYTES SYNC KEEP AGE. More fields may come.
func parseSpool(f []string) (hub string, s *Spool, err error) {
	if len(f) < 6 {
		return "", nil, fmt.Errorf("status of a spool: expected 6 fields, not %q", f)
	}
	n, err := numbers([]string{f[2], f[4], f[5]})
	if err != nil {
		return "", nil, fmt.Errorf("status of the spool of %s: %w", f[0], err)
	}
	return f[0], &Spool{Dir: f[1], Bytes: n[0], Sync: f[3], Keep: n[1], Age: n[2]}, nil
}

func numbers(f []string) ([]int64, error) {
	out := make([]int64, len(f))
	for i, s := range f {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%q is no number", s)
		}
		out[i] = n
	}
	return out, nil
}

// Fields splits a line of fields apart by blanks, quoted as Plan 9's %q
// does: with single quotes, in which a quote is doubled.
func Fields(line string) []string {
	var out []string
	for {
		line = strings.TrimLeft(line, " ")
		if line == "" {
			return out
		}
		var f strings.Builder
		quoted := false
		i := 0
	field:
		for ; i < len(line); i++ {
			switch c := line[i]; {
			case c == '\'' && quoted && i+1 < len(line) && line[i+1] == '\'':
				f.WriteByte(c)
				i++
			case c == '\'':
				quoted = !quoted
			case c == ' ' && !quoted:
				break field
			default:
				f.WriteByte(c)
			}
		}
		out = append(out, f.String())
		line = line[i:]
	}
}

// Melted waits until a hub is not frozen any more, or is gone. A read of a
// frozen hub that was not waiting before finds the end of a file, again and
// again; what happens to hubs is told in /events.
func (s *Server) Melted(ctx context.Context, name string) error {
	events, err := s.Open(ctx, "/events", client.OREAD)
	if err != nil {
		return err
	}
	defer events.Close()
	buf := make([]byte, 8<<10)
	for {
		// Look when the events are open: what changes from now on is there.
		if h, ok, err := s.Hub(ctx, name); err != nil || !ok || !h.Is("frozen") {
			return err
		}
		for about := false; !about; {
			n, err := events.ReadContext(ctx, buf)
			if err != nil {
				return err
			}
			about = bytes.Contains(buf[:n], []byte(name))
		}
	}
}
