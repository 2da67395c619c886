package session

import (
	"errors"
	"fmt"
	"syscall"

	"hubfs/client"
	"hubfs/cmd/hub/internal/server"
	"hubfs/shellctl"
)

// An End is how a session ended.
type End struct {
	Shell  string
	Exited bool // the shell ended, with Status; else we detached
	Status shellctl.Status
	Reason string // why we were detached, if we did not ask for it
	Closed bool   // what is typed came to its end, as where a window is closed

	// Untaken is how many typed bytes the server did not say that it has taken.
	// It may have taken so many of them: Perhaps.
	Untaken, Perhaps int64
}

// Left reports whether the person has asked to leave.
func (e End) Left() bool { return !e.Exited && !e.Closed && e.Reason == "" }

// String says it for people.
func (e End) String() string {
	text := "detached from " + e.Shell
	switch {
	case e.Exited:
		return fmt.Sprintf("shell %s %s", e.Shell, server.Ended(e.Status))
	case e.Reason != "":
		text += ": " + e.Reason
	}
	return text + untaken(e.Untaken, e.Perhaps)
}

// untaken says how many typed bytes were not taken.
func untaken(n, perhaps int64) string {
	switch {
	case n == 0:
		return ""
	case perhaps == 0:
		return fmt.Sprintf("; %d typed bytes were not taken", n)
	}
	return fmt.Sprintf("; %d typed bytes were not taken, of which %d may have been", n, perhaps)
}

// ExitCode is the status for the program to leave with.
func (e End) ExitCode() int {
	if e.Exited {
		return e.Status.ExitCode()
	}
	return 0
}

// A SignalError is what ended a session that was ended by a signal.
type SignalError struct{ Signal syscall.Signal }

func (e SignalError) Error() string { return "ended by signal: " + e.Signal.String() }

// ErrLost is wrapped by the error of a session whose server went away.
var ErrLost = errors.New("connection to server lost")

// lost is the end of a session whose connection is lost for good.
func (s *session) lost(err error) error {
	e := s.lostFor("connection to server lost", err)
	e.Hint = fmt.Sprintf("if server %s still runs, so does shell %s", s.srv.Addr, s.view.name)
	return e
}

func (s *session) lostFor(text string, err error) *server.Error {
	if v := s.view; v.typed != nil {
		text += untaken(v.typed.untaken())
	}
	return &server.Error{Text: text, Err: errors.Join(ErrLost, client.ErrLost, err)}
}
