// Package session is a person's terminal attached to a shell: keys go to the
// shell's input hub, its output hub comes to the screen, and some keys are for
// hub itself.
//
// # Ordering
//
// What is typed reaches the shell in order, with several writes in flight.
// A command of ours takes effect between the bytes typed before it and those
// typed after it. When the shell ends, its last output is shown before
// anything is said about it.
//
// # Connections
//
// A session lives through its connections. When one is lost another is looked
// for, with growing pauses, until the person leaves; a server of this machine
// that does not run any more is gone, and so is a shell that is not the very one
// any more. Over the next connection the output goes on at the very byte, by its
// offset, and what was typed and not acknowledged is written again at its own
// place under the session's key, where the server drops what it has: each byte is
// typed once. The attachment is made anew, and with it the vote for the size.
//
// Losses shorter than a second are not seen. Longer ones are told on the last row
// of the terminal, which is put right afterwards, or in a line on standard error.
// What is typed meanwhile is kept, up to 16 MiB.
//
// # Blocking
//
// Nothing that waits for the server stops the prefix key: a shell that takes
// no input can be left, and so can one whose connection is lost. What was typed
// and not taken is then counted.
//
// # Ownership
//
// One goroutine, the loop, owns the session: the view that is shown, what
// happens to it, the terminal's mode. The goroutine that reads the keys hands
// it functions to run and waits for each, so that it may look at the view
// whenever it is not waiting.
package session

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"hubfs/client"
	"hubfs/cmd/hub/internal/server"
	"hubfs/shellctl"
)

// DefaultHistory is how many lines of a shell's output are shown again to
// somebody who attaches.
const DefaultHistory = 500

// serverPatience is how long a command of ours waits for the server.
const serverPatience = 10 * time.Second

// A Config says how to attach.
type Config struct {
	Server *server.Server
	// Again makes another connection to the same server, when that is lost.
	// It is ErrNotRunning where there is none any more. nil: it is not tried.
	Again func(ctx context.Context) (*server.Server, error)

	Terminal Terminal
	Prefix   Prefix
	History  int  // lines of output to show again; -1 is all
	ReadOnly bool // only watch
	Alone    bool // detach the others first

	// Start says how to start the shell if it does not run; nil is not to.
	Start *server.Spec

	// Host starts a process that hosts a shell of this name on this machine,
	// and returns when the shell is there. It is what %local does.
	Host func(ctx context.Context, name string) error
}

// A session is one run of Attach.
type session struct {
	cfg    Config
	screen *screen
	calls  chan call // from the goroutine that reads the keys

	// The loop's, and the keys' goroutine's while the loop runs a call of it.
	srv    *server.Server // the connection; the last one while it is lost
	away   *away          // nil: there is a connection
	view   *view
	raw    bool // keys are passed on as they are typed
	end    *End // set when it is over
	prompt *prompt
	keys   keyScanner
	lines  lineScanner

	restore atomic.Pointer[func()] // puts the terminal back; nil if it is as it was
}

// A call is something to do for the loop.
type call struct {
	do   func(ctx context.Context) error
	done chan struct{}
}

// Attach attaches the terminal to the shell called name, and stays until the
// person leaves, the shell ends, or something goes wrong. The terminal is put
// back in every case.
func Attach(ctx context.Context, cfg Config, name string) (end End, err error) {
	s := &session{
		cfg:   cfg,
		srv:   cfg.Server,
		calls: make(chan call),
		keys:  keyScanner{prefix: cfg.Prefix},
		lines: lineScanner{start: true},
	}
	s.screen = &screen{out: cfg.Terminal.Out, err: cfg.Terminal.Err, size: cfg.Terminal.size}
	defer s.leave()
	if err := s.interruptible(ctx, func(ctx context.Context) error { return s.begin(ctx, name) }); err != nil {
		return End{}, err
	}
	// Ends with what is typed, or with this process: a read of a terminal
	// cannot be called off.
	s.guard(func() { s.readKeys(ctx) })
	err = s.loop(ctx)
	s.hangUp()
	if err != nil {
		return End{}, err
	}
	if v := s.view; v.typed != nil && !s.end.Exited {
		s.end.Untaken, s.end.Perhaps = v.typed.untaken()
	}
	return *s.end, nil
}

// hangUp leaves the shell, and the connections that we have made.
func (s *session) hangUp() {
	if a := s.away; a != nil {
		a.end()
		select {
		case f := <-a.back:
			if f.srv != nil {
				f.srv.Close()
			}
		case <-time.After(time.Second): // a program that connects for us, perhaps
		}
		s.away = nil
	}
	s.view.close()
	if s.srv != s.cfg.Server {
		s.srv.Close()
	}
}

// begin attaches to the first shell, starting it if that was asked for.
func (s *session) begin(ctx context.Context, name string) error {
	v, err := s.open(ctx, name)
	missing := errors.Is(err, client.ErrNotExist)
	if spec := s.cfg.Start; spec != nil && (missing || err == nil && v.dead) {
		if v != nil {
			v.close()
		}
		// If somebody else has started it meanwhile, we join.
		err = s.srv.Start(ctx, name, *spec)
		if err == nil || errors.Is(err, client.ErrExist) {
			v, err = s.open(ctx, name)
		}
	}
	if err != nil {
		return err
	}
	if s.cfg.Alone {
		if _, err := v.link.ctl.WriteContext(ctx, []byte(server.Line("detach", "others"))); err != nil {
			v.close()
			return fmt.Errorf("detach the others: %w", err)
		}
	}
	if err := s.enter(v); err != nil {
		v.close()
		return err
	}
	return nil
}

// interruptible runs fn, but not on after a signal that ends the session.
func (s *session) interruptible(ctx context.Context, fn func(ctx context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	s.guard(func() { done <- fn(ctx) }) // ends soon after ctx
	for {
		select {
		case err := <-done:
			return err
		case sig := <-s.cfg.Terminal.Signals:
			switch sig {
			case syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT:
				cancel()
				select {
				case <-done:
				case <-time.After(time.Second): // stuck in a write to the terminal
				}
				return SignalError{sig.(syscall.Signal)}
			}
		}
	}
}

// guard runs fn in a goroutine. If it panics the terminal is put back first,
// so that the trace can be read and the terminal used.
func (s *session) guard(fn func()) {
	go func() {
		defer func() {
			if p := recover(); p != nil {
				s.cook()
				panic(p)
			}
		}()
		fn()
	}()
}

// cook puts the terminal's mode back, if it was changed.
func (s *session) cook() {
	if restore := s.restore.Swap(nil); restore != nil {
		(*restore)()
	}
}

// leave puts the terminal back as it was.
func (s *session) leave() {
	// Whoever holds the screen may be stuck in a write to a terminal that
	// takes nothing. The mode is put back without asking.
	s.cook()
	done := make(chan struct{})
	go func() { // ends with the write, or with this process
		s.screen.close()
		s.screen.undo()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(time.Second):
	}
}

// enter shows v, in the mode that its shell wants.
func (s *session) enter(v *view) error {
	s.raw = s.cfg.Terminal.IsTerminal() && v.pty
	s.screen.undo()
	if err := s.setMode(); err != nil {
		return err
	}
	s.view = v
	if v.lost {
		s.sayLost(v)
	}
	v.start()
	return nil
}

// sayLost says why nothing answers what is typed.
func (s *session) sayLost(v *view) {
	s.screen.say(fmt.Sprintf("hub: shell %s is lost: the machine that runs it is not connected\n"+
		"hub: hint: hub kill %s gives it up\n", v.name, v.name))
}

// setMode sets the terminal's mode.
func (s *session) setMode() error {
	s.cook()
	s.screen.setRaw(s.raw)
	if s.raw {
		restore, err := s.cfg.Terminal.Raw()
		if err != nil {
			return fmt.Errorf("terminal: %w", err)
		}
		s.restore.Store(&restore)
	}
	return nil
}

// loop runs the session until it is over.
func (s *session) loop(ctx context.Context) error {
	s.view.resize() // it may have changed while we attached, and the signal was dropped
	for s.end == nil {
		if err := s.survives(s.step(ctx)); err != nil {
			return err
		}
	}
	return nil
}

// step does what comes next.
func (s *session) step(ctx context.Context) error {
	v := s.view
	gone := s.srv.Done()
	var back chan found
	var tick <-chan time.Time
	if s.away != nil {
		gone, back, tick = nil, s.away.back, s.away.tick.C
	}
	select {
	case c := <-s.calls:
		defer close(c.done)
		err := s.interruptible(ctx, c.do)
		if err == nil && s.end == nil {
			s.view.resize() // a change meanwhile was not seen
		}
		return err
	case line, ok := <-v.notices:
		if !ok {
			v.notices = nil // the output says more, or the connection
			return nil
		}
		return s.notice(ctx, v, line)
	case err := <-v.shown:
		v.shown = nil
		if err == nil {
			v.drained = true
			s.over(v)
		}
		return err
	case sig := <-s.cfg.Terminal.Signals:
		return s.signal(ctx, sig)
	case <-gone:
		return s.goAway(ctx)
	case f := <-back:
		return s.comeBack(f)
	case <-tick:
		return s.stillAway()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// survives returns err, unless it is that of a connection which can be taken up
// again: the loop learns of that by itself.
func (s *session) survives(err error) error {
	switch {
	case !lost(err) || errors.Is(err, ErrLost):
		return err
	case s.cfg.Again == nil:
		return s.lost(err)
	}
	return nil
}

// notice takes a line from the server about our attachment.
func (s *session) notice(ctx context.Context, v *view, line string) error {
	word, rest, _ := strings.Cut(line, " ")
	switch word {
	case "exit", "signal":
		st, err := shellctl.ParseStatus(line)
		if err != nil {
			return err
		}
		v.exit = &st
		s.over(v)
	case "detach":
		if strings.HasPrefix(rest, "denied ") {
			// As where the connection is cut before this notice has come.
			return s.lostFor(fmt.Sprintf("you may not type to shell %s: %s", v.name, clip(rest, 200)), nil)
		}
		s.end = &End{Shell: v.name, Reason: clip(rest, 200)}
	case "lost":
		if !v.lost { // else we have said so when we came
			v.lost = true
			s.sayLost(v)
		}
	case "back":
		v.lost = false
		s.screen.say(fmt.Sprintf("hub: shell %s is back\n", v.name))
	case "mode":
		return s.mode(ctx, v, rest)
	case "asks":
		s.asked(rest)
	case "title":
		if s.raw {
			title := clip(rest, 200)
			return s.screen.show(ctx, s.cfg.Terminal.Out, []byte("\x1b]2;"+title+"\x07"))
		}
	}
	return nil
}

// mode takes notice of what we may do: nothing but watch until the shell's owner
// has been asked, or to type.
func (s *session) mode(ctx context.Context, v *view, mode string) error {
	switch {
	case mode == "ask":
		s.screen.say(fmt.Sprintf("hub: the owner of shell %s is asked whether you may type\n", v.name))
	case mode == "rw" && v.typed != nil:
		ctx, cancel := context.WithTimeout(ctx, serverPatience)
		defer cancel()
		l := v.now()
		if err := l.openInput(ctx, v); err != nil {
			return s.tell(err)
		}
		v.typed.connect(l.in)
		s.screen.say(fmt.Sprintf("hub: you may type to shell %s\n", v.name))
	}
	return nil
}

// over ends the session when the shell has ended and its output is shown.
func (s *session) over(v *view) {
	if v.exit != nil && v.drained {
		s.end = &End{Shell: v.name, Exited: true, Status: *v.exit}
	}
}

// signal takes a signal that this process got.
func (s *session) signal(ctx context.Context, sig os.Signal) error {
	ctx, cancel := context.WithTimeout(ctx, serverPatience)
	defer cancel()
	switch sig {
	case syscall.SIGWINCH:
		s.view.resize()
		return nil
	case syscall.SIGTSTP:
		return s.suspend()
	case syscall.SIGCONT:
		return s.resume(ctx)
	case syscall.SIGPIPE: // the write that caused it returns an error
		return nil
	case syscall.SIGINT:
		if !s.raw && s.cfg.Terminal.IsTerminal() {
			return s.tell(s.view.interrupt(ctx))
		}
	case syscall.SIGQUIT:
		if !s.raw && s.cfg.Terminal.IsTerminal() {
			s.screen.say("hub: %detach leaves, %help lists the commands\n")
			return nil
		}
	}
	if n, ok := sig.(syscall.Signal); ok {
		return SignalError{n}
	}
	return fmt.Errorf("ended by signal: %v", sig)
}

// suspend stops this process, as its parent wants it.
func (s *session) suspend() error {
	s.screen.undo()
	s.cook()
	return syscall.Kill(os.Getpid(), syscall.SIGSTOP)
}

// resume goes on after a stop.
func (s *session) resume(ctx context.Context) error {
	if err := s.setMode(); err != nil {
		return err
	}
	return s.tell(s.view.redraw(ctx))
}
