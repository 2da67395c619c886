package hubfs

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"hubfs/tree"
)

const testKey = "0123456789abcdef"

// inputLen returns the length of a keyed input, as stat has it.
func (s *server) inputLen(c *tree.Caller, path string) int64 {
	s.t.Helper()
	n, err := s.walk(c, path)
	if err != nil {
		s.t.Fatal(err)
	}
	return n.Stat().Length
}

func TestKeyedInputIsTypedOnce(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, s *server) {
		s.ctl("shell w -- x")
		path := "shell/w/input@" + testKey
		in := s.openAs(alice, path, tree.OpenWrite)
		at := func(f *file, off int64, text, want string) {
			t.Helper()
			switch err := f.writeAt(text, off); {
			case want == "" && err != nil:
				t.Errorf("%q at %d: %v", text, off, err)
			case want != "":
				checkError(t, fmt.Sprintf("%q at %d", text, off), err, nil, want)
			}
		}
		at(in, 0, "ls", "")
		s.openAs(bob, "w0", tree.OpenWrite).mustWrite("(bob)")
		at(in, 2, " -l\n", "")
		at(in, 7, "x", "gap: input ends at 6")
		in.close() // a connection that is lost, and comes back
		if n := s.inputLen(alice, path); n != 6 {
			t.Errorf("length %d, want 6", n)
		}
		in = s.openAs(alice, path, tree.OpenWrite)
		at(in, 2, " -l\nwho\n", "")
		at(in, 0, "ls", "")
		p := make([]byte, 100)
		n, err := s.proc("w").streams.Stdin.ReadContext(t.Context(), p)
		if got, want := string(p[:n]), "ls(bob) -l\nwho\n"; got != want || err != nil {
			t.Errorf("the shell reads %q, %v; want %q", got, err, want)
		}
		at(in, 6, "who\n", "") // discarded since: taken for typed
		s.ctl("end w0")
		at(in, 10, "x", "hub w0 has ended")
		in.close()
	})
}

func TestKeyedInputIsItsUsersAndItsShells(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, s *server) {
		s.ctl("shell w -- x\nshell v -- x")
		path := "shell/w/input@" + testKey
		open := func(c *tree.Caller, path string, mode uint8) error {
			t.Helper()
			n, err := s.walk(c, path)
			if err != nil {
				return err
			}
			h, err := n.(tree.File).Open(c, mode)
			if err == nil {
				err = h.Close()
			}
			return err
		}
		s.openAs(alice, path, tree.OpenWrite).mustWrite("abc")
		for _, err := range []error{
			open(bob, path, tree.OpenWrite),
			open(glenda, path, tree.OpenWrite), // the server's user is not alice
			open(alice, path, tree.OpenRead),
			open(alice, path, tree.OpenRDWR),
		} {
			if !errors.Is(err, tree.ErrPermission) {
				t.Errorf("%v, want permission denied", err)
			}
		}
		for _, name := range []string{"input", "input@", "input@short", "input@" + strings.Repeat("k", 65),
			"input@0123456789abcde/", "input@0123456789abcde ", "input@0123456789abcdé"} {
			if err := open(alice, "shell/w/"+name, tree.OpenWrite); !errors.Is(err, tree.ErrNotExist) && !errors.Is(err, tree.ErrNotDir) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if n := s.inputLen(alice, "shell/v/input@"+testKey); n != 0 {
			t.Errorf("another shell: %d bytes", n)
		}
		n, err := s.walk(alice, path)
		if err != nil {
			t.Fatal(err)
		}
		if again, _ := s.walk(alice, path); again.Stat().Path != n.Stat().Path {
			t.Error("one key has two paths")
		}
		if infos, _ := s.node("shell/w").(tree.Dir).List(alice); strings.Contains(fmt.Sprint(infos), "input") {
			t.Error("keys are listed")
		}
		// Who may not type on w0 may not type under a key.
		mode := uint32(0o600)
		if err := s.node("w0").(tree.Changer).Change(glenda, tree.Change{Mode: &mode}); err != nil {
			t.Fatal(err)
		}
		if err := open(alice, path, tree.OpenWrite); !errors.Is(err, tree.ErrPermission) {
			t.Errorf("w0 is closed, its input: %v", err)
		}
		// The next shell of the name knows nothing of the keys.
		s.ctl("kill w")
		s.waitFor("w")
		s.ctl("shell w -- x")
		if n := s.inputLen(alice, path); n != 0 {
			t.Errorf("the next shell has %d bytes", n)
		}
	})
}

func TestIdleKeysAreForgottenOldestFirst(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, s *server) {
		s.ctl("shell w -- x\npatience w0 1\ncalm w0")
		path := func(i int) string { return fmt.Sprintf("shell/w/input@key-%012d", i) }
		held := s.openAs(alice, path(0), tree.OpenWrite)
		held.mustWrite("0")
		for i := 1; i <= maxInputs+1; i++ {
			f := s.openAs(alice, path(i), tree.OpenWrite)
			f.mustWrite("x")
			f.close()
		}
		for i, want := range map[int]int64{0: 1, 1: 0, 2: 0, 3: 1, maxInputs + 1: 1} {
			if n := s.inputLen(alice, path(i)); n != want {
				t.Errorf("key %d has %d bytes, want %d", i, n, want)
			}
		}
		var open []*file
		for i := range maxInputs - 1 {
			open = append(open, s.openAs(alice, path(5000+i), tree.OpenWrite))
		}
		n, err := s.walk(alice, path(1))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := n.(tree.File).Open(alice, tree.OpenWrite); !errors.Is(err, tree.ErrLimit) {
			t.Errorf("one more than may be open: %v", err)
		}
		for _, f := range append(open, held) {
			f.close()
		}
	})
}

// A guest with many keys is forgotten before others are.
func TestAGuestsKeysPushOutItsOwn(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, s *server) {
		s.ctl("shell w -- x")
		path := func(i int) string { return fmt.Sprintf("shell/w/input@key-%012d", i) }
		typeAs := func(c *tree.Caller, i int) {
			t.Helper()
			f := s.openAs(c, path(i), tree.OpenWrite)
			f.mustWrite("x")
			f.close()
		}
		many, other := guest("m", bounds{"w": lWrite}), guest("o", bounds{"w": lWrite})
		typeAs(other, 1)
		for i := range maxInputs {
			typeAs(many, 100+i)
		}
		if n := s.inputLen(other, path(1)); n != 1 {
			t.Errorf("the other's key has %d bytes", n)
		}
		if n := len(s.byName["w"].inputs); n != 1+maxInputs/guestShare {
			t.Errorf("%d keys", n)
		}
	})
}

// One guest does not take all the attachments that there may be.
func TestAGuestLeavesAttachmentsToOthers(t *testing.T) {
	bubble(t, Config{MaxAttachments: 32}, func(t *testing.T, s *server) {
		s.ctl("shell w -- x")
		many := guest("m", bounds{"w": lView})
		attach := func(c *tree.Caller) error {
			return s.openAs(c, "shell/w/ctl", tree.OpenRDWR).write("attach ro 5 5")
		}
		for range 32 / guestShare {
			if err := attach(many); err != nil {
				t.Fatal(err)
			}
		}
		checkError(t, "one more", attach(many), tree.ErrLimit, "guest:m has 2 attachments, no more may be")
		if err := attach(guest("o", bounds{"w": lView})); err != nil {
			t.Error(err)
		}
	})
}
