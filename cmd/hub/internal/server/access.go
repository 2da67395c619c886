package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"hubfs/client"
	"hubfs/transport"
)

// An Invitation says who may come, to what, and for how long.
type Invitation struct {
	Role string        // view, write or owner
	Name string        // of a shell or hub, or a pattern
	For  time.Duration // 0: as long as the server gives
	Uses int           // 0: one
	As   string        // what the guest is called; "": what he says
	Ask  bool          // only to watch until somebody approves
}

func (i Invitation) words() []string {
	w := []string{"invite", i.Role, i.Name}
	if i.For > 0 {
		w = append(w, "for="+i.For.String())
	}
	if i.Uses > 0 {
		w = append(w, "uses="+strconv.Itoa(i.Uses))
	}
	if i.As != "" {
		w = append(w, "as="+i.As)
	}
	if i.Ask {
		w = append(w, "ask")
	}
	return w
}

// Invite makes an invitation, and returns its name and the secret that is worth
// it.
func (s *Server) Invite(ctx context.Context, i Invitation) (id, token string, err error) {
	f, err := s.access(ctx, i.words()...)
	if e := (*client.Error)(nil); errors.As(err, &e) {
		// How the line is written is not what was asked.
		if text, _, ok := strings.Cut(e.Text, ": invalid argument: expected invite "); ok {
			err = &Error{Text: text, Err: err}
		}
	}
	if err != nil {
		return "", "", err
	}
	defer f.Close()
	buf := make([]byte, 1024)
	n, err := f.ReadContext(ctx, buf)
	if err != nil {
		return "", "", err
	}
	// Not a word of the answer may be in an error: it is a secret.
	id, token, ok := parseInvitation(string(buf[:n]))
	if !ok {
		return "", "", fmt.Errorf("invite to %s: the server's answer is no invitation", i.Name)
	}
	return id, token, nil
}

// parseInvitation reads ID TOKEN. Whatever a server says, a token is of letters
// that mean nothing to a shell: people paste it into one.
func parseInvitation(line string) (id, token string, ok bool) {
	id, token, _ = strings.Cut(strings.TrimSuffix(line, "\n"), " ")
	return id, token, isWord(id) && isWord(token)
}

var isWord = regexp.MustCompile(`^[A-Za-z0-9_-]+$`).MatchString

const accessFile = "/access"

// access writes a line to /access, and returns the open on which the answer is.
func (s *Server) access(ctx context.Context, words ...string) (*client.File, error) {
	f, err := s.Open(ctx, accessFile, client.ORDWR)
	if err != nil {
		return nil, s.accessError(err)
	}
	if _, err := f.WriteContext(ctx, []byte(Line(words...))); err != nil {
		f.Close()
		return nil, Said(err)
	}
	return f, nil
}

// accessError says what it means that /access cannot be opened.
func (s *Server) accessError(err error) error {
	if errors.Is(err, client.ErrNotExist) || errors.Is(err, client.ErrPermission) {
		return &Error{
			Text: fmt.Sprintf("server %s lets only owners invite", s.Addr),
			Hint: "that is who owns the whole server, or a shell, for that shell",
			Err:  err,
		}
	}
	return err
}

// accessWord is access for a line without an answer.
func (s *Server) accessWord(ctx context.Context, words ...string) error {
	f, err := s.access(ctx, words...)
	if err != nil {
		return err
	}
	return f.Close()
}

// Revoke ends a grant and what came of it. Who is here by it is cut at once.
func (s *Server) Revoke(ctx context.Context, id string) error {
	err := s.accessWord(ctx, "revoke", id)
	if e := (*client.Error)(nil); errors.As(err, &e) && errors.Is(e, client.ErrNotExist) {
		return &Error{Text: fmt.Sprintf("no invitation or right %q", id), Hint: "hub invite --list shows them", Err: err}
	}
	return err
}

// RevokeAll ends whatever was given to guests for one shell or hub alone.
func (s *Server) RevokeAll(ctx context.Context, name string) error {
	grants, err := s.Grants(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, g := range grants {
		if g.Patterns != name || g.Kind == "user" {
			continue
		}
		// What came of one that was revoked has ended with it.
		if err := s.Revoke(ctx, g.ID); err != nil && !errors.Is(err, client.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Approve lets one who asked for it type; Deny sends him away.
func (s *Server) Approve(ctx context.Context, id string) error {
	return s.accessWord(ctx, "approve", id)
}

// Deny is the other answer to one who asked.
func (s *Server) Deny(ctx context.Context, id string) error { return s.accessWord(ctx, "deny", id) }

// A Grant is what somebody may do on a server, or an invitation to that.
type Grant struct {
	ID       string    `json:"id"`
	Kind     string    `json:"kind"` // link, key, user, token
	Who      string    `json:"who"`
	Role     string    `json:"role"`
	Patterns string    `json:"patterns"`
	Expires  time.Time `json:"expires,omitzero"`
	Uses     int       `json:"uses"`  // left, of a link
	State    string    `json:"state"` // open, used, asks, approved, expired
}

// LeadsTo reports whether a grant is for the shell or hub of this name, perhaps
// among others.
func (g Grant) LeadsTo(name string) bool {
	return slices.ContainsFunc(strings.Fields(g.Patterns), func(p string) bool {
		ok, err := path.Match(p, name)
		return p == "*" || ok && err == nil
	})
}

// Grants lists them, as far as we may know of them.
func (s *Server) Grants(ctx context.Context) ([]Grant, error) {
	data, err := s.ReadFile(ctx, accessFile)
	if err != nil {
		return nil, s.accessError(err)
	}
	return parseGrants(string(data))
}

// parseGrants reads lines of ID KIND WHO ROLE PATTERNS EXPIRES USES STATE. More
// fields may come.
func parseGrants(text string) ([]Grant, error) {
	grants := []Grant{}
	for line := range strings.Lines(text) {
		f := Fields(strings.TrimSuffix(line, "\n"))
		if len(f) == 0 {
			continue
		}
		if len(f) < 8 {
			return nil, fmt.Errorf("a grant: expected 8 fields, not %q", f)
		}
		g := Grant{ID: f[0], Kind: f[1], Who: f[2], Role: f[3], Patterns: f[4], State: f[7]}
		if f[5] != "" && f[5] != "-" {
			t, err := time.Parse(time.RFC3339, f[5])
			if err != nil {
				return nil, fmt.Errorf("grant %s: %q is no time", g.ID, f[5])
			}
			g.Expires = t
		}
		if f[6] != "" && f[6] != "-" {
			n, err := strconv.Atoi(f[6])
			if err != nil {
				return nil, fmt.Errorf("grant %s: %q is no number", g.ID, f[6])
			}
			g.Uses = n
		}
		grants = append(grants, g)
	}
	return grants, nil
}

// Listeners returns where the server listens for TLS, as far as it tells us,
// those first that others than this machine can reach.
func (s *Server) Listeners(ctx context.Context) ([]transport.Addr, error) {
	data, err := s.ReadFile(ctx, "/status")
	if err != nil {
		return nil, fmt.Errorf("read /status: %w", err)
	}
	return parseListeners(string(data)), nil
}

// parseListeners reads the lines listen ADDR of /status.
func parseListeners(text string) []transport.Addr {
	var near, far []transport.Addr
	for line := range strings.Lines(text) {
		f := Fields(strings.TrimSuffix(line, "\n"))
		if len(f) < 2 || f[0] != "listen" {
			continue
		}
		a, err := transport.Parse(f[1])
		if err != nil || a.Network != "tls" {
			continue
		}
		host, _, err := net.SplitHostPort(a.Address)
		if ip := net.ParseIP(host); err == nil && (host == "localhost" || ip != nil && ip.IsLoopback()) {
			near = append(near, a)
		} else {
			far = append(far, a)
		}
	}
	return append(far, near...)
}

// A Client is one attachment to a shell.
type Client struct {
	ID         string
	User, Addr string
	Mode       string // rw, ro
	Rows, Cols string
	Since      string
}

// Clients reads who is attached to a shell, in the order in which they came.
func (s *Server) Clients(ctx context.Context, shell string) ([]Client, error) {
	text, err := s.ReadFile(ctx, "/shell/"+shell+"/clients")
	if err != nil {
		return nil, s.ShellError(ctx, shell, err)
	}
	var cs []Client
	for line := range strings.Lines(string(text)) {
		f := Fields(strings.TrimSuffix(line, "\n"))
		if len(f) < 7 {
			return nil, fmt.Errorf("a client of shell %s: expected 7 fields, not %q", shell, f)
		}
		cs = append(cs, Client{f[0], f[1], f[2], f[3], f[4], f[5], f[6]})
	}
	return cs, nil
}
