package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"hubfs/cmd/hub/internal/server"
)

// ask has the loop run do, and waits for it. It is how the goroutine that
// reads the keys does anything but send them.
func (s *session) ask(ctx context.Context, do func(ctx context.Context) error) {
	c := call{do: do, done: make(chan struct{})}
	select {
	case s.calls <- c:
		<-c.done
	case <-ctx.Done():
	}
}

// key does what a key behind the prefix asks for.
func (s *session) key(ctx context.Context, key rune) error {
	v := s.view
	switch key {
	case rune(s.cfg.Prefix):
		if v.typed != nil {
			v.typed.put([]byte{byte(key)})
		}
	case 'd':
		s.end = &End{Shell: v.name}
	case '%', ':':
		s.open1("", "%", func(ctx context.Context, line string) error { return s.percentLine(ctx, line) })
	case 'n', 'p':
		return s.neighbour(ctx, map[rune]int{'n': 1, 'p': -1}[key])
	case 'l':
		return s.choose(ctx)
	case 'r':
		if s.away != nil {
			s.away.hurry()
			return nil
		}
		ctx, cancel := context.WithTimeout(ctx, serverPatience)
		defer cancel()
		return s.trouble(v.redraw(ctx))
	case 's':
		text, err := s.statusText(ctx)
		return s.page(text, err)
	case 'w':
		return s.who(ctx)
	case 'x':
		return s.throwOut(ctx)
	case 'y':
		return s.letType(ctx)
	case '?', 'h':
		return s.page(s.helpText(), nil)
	default:
		return s.page(fmt.Sprintf("no such key; %s ? lists them", s.cfg.Prefix), nil)
	}
	return nil
}

// helpText is what the prefix key and ? show.
func (s *session) helpText() string {
	var b strings.Builder
	fmt.Fprintf(&b, "After the prefix key, %s:\n", s.cfg.Prefix)
	for _, l := range []string{
		"d    detach; the shell goes on",
		"%    a command; help lists them",
		"n p  the next, the previous shell",
		"l    choose a shell from a list",
		"r    redraw; while the connection is lost, try again at once",
		"s    where we are",
		"w    who is here",
		"y x  let a guest type who asks, throw a guest out",
		"?    this help",
	} {
		b.WriteString("  " + l + "\n")
	}
	fmt.Fprintf(&b, "  %s again sends itself\n", s.cfg.Prefix)
	return b.String()
}

// page shows a text, or an error, until a key is typed. In line mode it is
// simply printed. An error of the connection is passed on.
func (s *session) page(text string, err error) error {
	if err != nil {
		return s.trouble(err)
	}
	if !s.raw {
		s.screen.say(text)
		return nil
	}
	s.open1(text, "-- any key goes on --", nil)
	return nil
}

// trouble shows an error that leaves the session as it is; one that the
// session cannot go on from is returned.
func (s *session) trouble(err error) error {
	if err == nil || s.ends(err) {
		return err
	}
	return s.page(errorText(err), nil)
}

// tell is trouble for the loop by itself: a page is what the keys look at, and
// they may be looking now.
func (s *session) tell(err error) error {
	if err == nil || s.ends(err) {
		return err
	}
	s.screen.say(errorText(err))
	return nil
}

// ends reports whether the session cannot go on from err as it is: the loop
// sees to that.
func (s *session) ends(err error) bool {
	return lost(err) && s.away == nil && s.srv.Err() != nil
}

// errorText is an error for people, in lines.
func errorText(err error) string {
	text := "hub: " + err.Error() + "\n"
	if e := new(server.Error); errors.As(err, &e) && e.Hint != "" {
		text += "hub: hint: " + e.Hint + "\n"
	}
	return text
}

// open1 opens a prompt: any key ends it if do is nil, else a line that do gets.
func (s *session) open1(text, label string, do func(ctx context.Context, line string) error) {
	s.prompt = &prompt{text: text, label: label, anyKey: do == nil, do: do}
	s.drawPrompt()
}

func (s *session) drawPrompt() {
	_, cols := s.cfg.Terminal.size()
	s.screen.overlay(s.prompt.text, s.prompt.shown(cols))
}

// closePrompt ends the prompt and does what it was for.
func (s *session) closePrompt(ctx context.Context, ok bool) error {
	p := s.prompt
	s.prompt = nil
	if s.screen.close() {
		s.view.nudge()
	}
	if p.anyKey && p.key != 0 && strings.ContainsRune(p.keys, p.key) {
		return s.key(ctx, p.key)
	}
	line := strings.TrimSpace(string(p.line))
	if line == "" {
		line = p.empty
	}
	if ok && p.do != nil && line != "" {
		return p.do(ctx, line)
	}
	return nil
}

// percentLine does a % command that was typed at the prompt.
func (s *session) percentLine(ctx context.Context, line string) error {
	c, err := parsePercent(strings.TrimPrefix(line, "%"))
	if err != nil {
		if errors.As(err, new(unknownWord)) {
			err = &server.Error{Text: err.Error(), Hint: percentWords(), Err: err}
		}
		return s.trouble(err)
	}
	return s.percent(ctx, c)
}

// percent does a % command. An error is one that ends the session.
func (s *session) percent(ctx context.Context, c percent) error {
	ctx, cancel := context.WithTimeout(ctx, serverPatience)
	defer cancel()
	v, srv := s.view, s.srv
	if s.away != nil && c.verb.asks() {
		return s.trouble(s.errAway())
	}
	switch c.verb {
	case verbDetach:
		s.end = &End{Shell: v.name}
	case verbAttach:
		return s.trouble(s.moveTo(ctx, c.name))
	case verbRemote:
		if err := srv.Start(ctx, c.name, server.Spec{Env: s.termEnv(), Rows: v.rows, Cols: v.cols}); err != nil {
			return s.trouble(err)
		}
		return s.trouble(s.moveTo(ctx, c.name))
	case verbLocal:
		if err := s.cfg.Host(ctx, c.name); err != nil {
			return s.trouble(err)
		}
		return s.trouble(s.moveTo(ctx, c.name))
	case verbList:
		st, err := srv.Status(ctx)
		if err != nil {
			return s.trouble(err)
		}
		return s.page(listText(st, v.name), nil)
	case verbStatus:
		text, err := s.statusText(ctx)
		return s.page(text, err)
	case verbEOF:
		return s.trouble(srv.Ctl(ctx, "eof", v.name+"0"))
	case verbIn, verbOut, verbErr:
		i := map[verb]int{verbIn: 0, verbOut: 1, verbErr: 2}[c.verb]
		v.delays[i].Set(c.delay)
	case verbCtl:
		return s.trouble(s.allHubs(ctx, c.word))
	case verbTitle:
		return s.trouble(srv.ShellCtl(ctx, v.name, "title", c.name))
	case verbQuit:
		return s.trouble(srv.Ctl(ctx, "quit"))
	case verbHelp:
		return s.page(percentHelp(), nil)
	}
	return nil
}

// allHubs writes a word of /ctl for each hub of the shell, at once.
func (s *session) allHubs(ctx context.Context, word string) error {
	var lines []byte
	for _, n := range []string{"0", "1", "2"} {
		lines = append(lines, server.Line(word, s.view.name+n)...)
	}
	return s.srv.WriteFile(ctx, "/ctl", lines)
}

// termEnv is what a shell that we start should know of our terminal.
func (s *session) termEnv() []string {
	if t := s.cfg.Terminal.Name; t != "" {
		return []string{"TERM=" + t}
	}
	return nil
}

// moveTo leaves the shell for another. If that cannot be attached to, we stay.
func (s *session) moveTo(ctx context.Context, name string) error {
	if s.away != nil {
		return s.errAway()
	}
	if name == s.view.name {
		return nil
	}
	v, err := s.open(ctx, name)
	if err != nil {
		return err
	}
	s.view.close()
	return s.enter(v)
}

// neighbour goes to the next shell, or the one before.
func (s *session) neighbour(ctx context.Context, step int) error {
	if s.away != nil {
		return s.trouble(s.errAway())
	}
	ctx, cancel := context.WithTimeout(ctx, serverPatience)
	defer cancel()
	st, err := s.srv.Status(ctx)
	if err != nil {
		return s.trouble(err)
	}
	to := neighbour(st.Shells, s.view.name, step)
	if to == s.view.name {
		return s.page("there is no other shell\n", nil)
	}
	return s.trouble(s.moveTo(ctx, to))
}

// choose lets the person choose a shell from a list.
func (s *session) choose(ctx context.Context) error {
	if s.away != nil {
		return s.trouble(s.errAway())
	}
	ctx, cancel := context.WithTimeout(ctx, serverPatience)
	defer cancel()
	st, err := s.srv.Status(ctx)
	if err != nil {
		return s.trouble(err)
	}
	st.Hubs = nil
	s.open1(listText(st, s.view.name), "shell (number or name): ", func(ctx context.Context, line string) error {
		ctx, cancel := context.WithTimeout(ctx, serverPatience)
		defer cancel()
		isName := func(sh server.Shell) bool { return sh.Name == line }
		if n, err := strconv.Atoi(line); err == nil && !slices.ContainsFunc(st.Shells, isName) {
			if n < 1 || n > len(st.Shells) {
				return s.trouble(fmt.Errorf("no shell has the number %d", n))
			}
			line = st.Shells[n-1].Name
		}
		return s.trouble(s.moveTo(ctx, line))
	})
	return nil
}

// listText lists shells and hubs for a person in the session of one of them.
func listText(st server.Status, here string) string {
	var b strings.Builder
	for i, sh := range st.Shells {
		mark := ' '
		if sh.Name == here {
			mark = '*'
		}
		fmt.Fprintf(&b, "%c %2d  %-16s %-8s %3d attached  %s\n", mark, i+1, sh.Name, sh.State, sh.Clients, sh.Command)
	}
	for _, h := range st.Hubs {
		fmt.Fprintf(&b, "  hub %-16s %-8s %3d readers, %d writers, %d bytes so far\n", h.Name, h.Mode, h.Readers, h.Writers, h.Next)
	}
	return b.String()
}

// statusText says where we are, as hubshell did.
func (s *session) statusText(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, serverPatience)
	defer cancel()
	v := s.view
	if s.away != nil {
		return s.awayStatus(), nil
	}
	sh, err := s.srv.Shell(ctx, v.name)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "attached to shell %s of server %s\n", v.name, s.srv.Addr)
	fmt.Fprintf(&b, "%s, process %d, %d attached", sh.State, sh.PID, sh.Clients)
	if v.pty {
		fmt.Fprintf(&b, ", terminal %dx%d", sh.Rows, sh.Cols)
	}
	fmt.Fprintf(&b, "\ncommand: %s\n", sh.Command)
	if v.ro {
		b.WriteString("we only watch\n")
	}
	ms := func(i int) int64 { return v.delays[i].Get().Milliseconds() }
	fmt.Fprintf(&b, "delays: in %d ms, out %d ms, err %d ms\n", ms(0), ms(1), ms(2))
	return b.String(), nil
}
