package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"hubfs/cmd/hub/internal/server"
	"hubfs/transport"
)

// inviteFor is how long an invitation holds that was made for no other time:
// nobody shall find one open that was forgotten.
const inviteFor = 24 * time.Hour

// An inviteOptions says whom to let in, and where they find us.
type inviteOptions struct {
	view, owner bool
	life        time.Duration
	uses        int
	as          string
	ask         bool
	listen      string // HOST:PORT to listen at; "": the server does already
	host        string // HOST[:PORT] for the link; "": as we know it
}

func (o *inviteOptions) flags(cmd *cobra.Command, life time.Duration) {
	f := cmd.Flags()
	f.DurationVar(&o.life, "for", life, "how long it holds, a `TIME` as 30m or 2h; 0: until it is revoked")
	f.IntVar(&o.uses, "uses", 1, "how many may use the link, `N`")
	f.BoolVar(&o.ask, "ask", false, "guests only watch until somebody approves")
	f.StringVar(&o.listen, "listen", "", "have the server listen at `HOST:PORT` or :PORT, for TLS")
	f.StringVar(&o.host, "host", "", "where guests reach the server, `HOST[:PORT]`")
}

func (o *inviteOptions) check() error {
	switch {
	case o.view && o.owner:
		return usagef("--view and --owner are two things")
	case o.life < 0:
		return usagef("--for %v: expected a time above 0, as 2h", o.life)
	case o.uses < 1:
		return usagef("--uses %d: expected 1 or more", o.uses)
	}
	if _, port, err := net.SplitHostPort(o.host); err == nil {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return usagef("--host %s: expected HOST or HOST:PORT", o.host)
		}
	}
	return nil
}

func (o *inviteOptions) invitation(name string) server.Invitation {
	i := server.Invitation{Role: "write", Name: name, For: o.life, Uses: o.uses, As: o.as, Ask: o.ask}
	switch {
	case o.view:
		i.Role = "view"
	case o.owner:
		i.Role = "owner"
	}
	return i
}

func (a *app) inviteCmd() *cobra.Command {
	var o inviteOptions
	var list, asJSON bool
	var revoke string
	cmd := &cobra.Command{
		Use:   "invite [--view | --owner] [--for TIME] [--uses N] [--ask] [--listen ADDR] NAME",
		Short: "let somebody else come to a shell or hub, by a link",
		Long: `Let somebody else come to a shell or hub: print one line, a command with a link,
for them to paste. Its first use makes their key known to the server, which holds
the role from then on: the link is worth nothing after that. They may watch and
type; with --view only watch; with --owner also end and remove, and let others in.
NAME may be a pattern, as 'ci/*'; '*' is everything.

The link holds for a day unless --for says otherwise, and what came of it ends
with it; what came of one without an end, --for 0, ends 30 days later. --list
shows invitations and who came by them; --revoke ID ends one, and cuts at once
who is there by it.

Guests come over TLS, and know the server by the fingerprint in the link. A server
that does not listen for them is made to with --listen, as --listen :7777.`,
		Args:              a.atMost(1),
		ValidArgsFunction: a.completeAll,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.check(); err != nil {
				return err
			}
			if n := len(args); n == 1 && (list || revoke != "") || n == 0 && !list && revoke == "" || list && revoke != "" || asJSON && !list {
				return &usageError{usagef("hub invite: expected one of NAME, --list [--json], --revoke ID"), helpFor(cmd)}
			}
			return a.with(cmd.Context(), false, func(ctx context.Context, srv *server.Server) error {
				switch {
				case list:
					return a.listGrants(ctx, srv, asJSON)
				case revoke != "":
					return srv.Revoke(ctx, revoke)
				}
				return a.invite(ctx, srv, args[0], o)
			})
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.view, "view", false, "they may only watch")
	f.BoolVar(&o.owner, "owner", false, "they may do everything")
	f.StringVar(&o.as, "as", "", "what the guest is called, `NAME`")
	o.flags(cmd, inviteFor)
	f.BoolVar(&list, "list", false, "list invitations, and who came by them")
	f.BoolVar(&asJSON, "json", false, "with --list: for programs")
	f.StringVar(&revoke, "revoke", "", "end invitation or right `ID`")
	return cmd
}

// remoteName is what is to be invited to who is to run commands on the nodes, see
// them, or with the role write be one.
const remoteName = "remote"

// invite prints an invitation to name.
func (a *app) invite(ctx context.Context, srv *server.Server, name string, o inviteOptions) error {
	st, err := srv.Status(ctx)
	if err != nil {
		return err
	}
	addr, err := guestAddr(ctx, srv, o)
	if err != nil {
		return err
	}
	_, token, err := srv.Invite(ctx, o.invitation(name))
	if err != nil {
		return err
	}
	joins := name == remoteName && !o.view && !o.owner
	if name != remoteName && !there(st, name) { // it may come later, or be mistyped
		fmt.Fprintf(a.stderr, "hub: there is no shell or hub %s yet\n", printable(name))
	}
	link := transport.Link{Addr: addr, Name: name, Token: token}
	command := guestCommand(st, link)
	if joins {
		link.Name = ""
		command = fmt.Sprintf("hubfs --join '%s'", link)
	}
	_, err = fmt.Fprintln(a.stdout, command)
	return err
}

// there reports whether something has the name, or could match it.
func there(st server.Status, name string) bool {
	_, ok := st.Hub(name)
	return ok || strings.ContainsAny(name, `*?[\`) ||
		slices.ContainsFunc(st.Shells, func(sh server.Shell) bool { return sh.Name == name })
}

// guestCommand is what a guest pastes. A link to what is no shell is for the
// commands that take hubs.
func guestCommand(st server.Status, l transport.Link) string {
	name := l.Name
	if name == remoteName {
		l.Name = ""
		return fmt.Sprintf("hub -s '%s' nodes", l)
	}
	if strings.ContainsAny(name, `*?[\`) {
		l.Name = ""
		return fmt.Sprintf("hub -s '%s' ls", l)
	}
	if _, ok := st.Hub(name); ok {
		l.Name = ""
		return fmt.Sprintf("hub -s '%s' watch %s", l, strings.TrimSuffix(server.Line(name), "\n"))
	}
	return fmt.Sprintf("hub attach '%s'", l)
}

func (a *app) listGrants(ctx context.Context, srv *server.Server, asJSON bool) error {
	grants, err := srv.Grants(ctx)
	if err != nil {
		return err
	}
	if asJSON {
		e := json.NewEncoder(a.stdout)
		e.SetIndent("", "  ")
		return e.Encode(grants)
	}
	return writeGrants(a.stdout, grants, time.Now())
}

func writeGrants(w io.Writer, grants []server.Grant, now time.Time) error {
	if len(grants) == 0 {
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tKIND\tWHO\tROLE\tTO\tEXPIRES\tUSES\tSTATE")
	for _, g := range grants {
		expires, uses := "-", "-"
		if !g.Expires.IsZero() {
			expires = "in " + g.Expires.Sub(now).Round(time.Second).String()
		}
		if g.Kind == "link" {
			uses = strconv.Itoa(g.Uses)
		}
		f := []string{g.ID, g.Kind, cmp.Or(g.Who, "-"), g.Role, g.Patterns, expires, uses, g.State}
		for i := range f {
			f[i] = printable(f[i])
		}
		fmt.Fprintln(t, strings.Join(f, "\t"))
	}
	return t.Flush()
}
