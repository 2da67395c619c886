package session

import "testing"

func TestPromptEdits(t *testing.T) {
	for _, tt := range []struct {
		name, typed string
		line        string
		ended, ok   bool
		rest        string
	}{
		{"line", "detach\rls", "detach", true, true, "ls"},
		{"rub out", "detacj\x7fh\r", "detach", true, true, ""},
		{"rub out nothing", "\x7f\x08a\r", "a", true, true, ""},
		{"kill line", "nonsense\x15eof\r", "eof", true, true, ""},
		{"kill word", "attach wrok\x17work\r", "attach work", true, true, ""},
		{"escape", "eof\x1b", "eof", true, false, ""},
		{"interrupt", "eof\x03ls", "eof", true, false, "ls"},
		{"prefix", "eof\x1c", "eof", true, false, ""},
		{"arrows say nothing", "e\x1b[Do\x1bOCf\x1b[3~\r", "eof", true, true, ""},
		{"not ended", "eo", "eo", false, false, ""},
		{"two bytes of a letter", "é\r", "é", true, true, ""},
		{"pasted", "\x1b[200~eof\x1b[201~\r", "eof", true, true, ""},
	} {
		p := &prompt{label: "%"}
		ended, ok, rest := p.feed([]byte(tt.typed), DefaultPrefix)
		if ended != tt.ended || ok != tt.ok || string(p.line) != tt.line || string(rest) != tt.rest {
			t.Errorf("%s: ended %v ok %v line %q rest %q", tt.name, ended, ok, string(p.line), rest)
		}
	}
}

func TestLongPromptShowsItsEnd(t *testing.T) {
	p := &prompt{label: "%", line: []rune("abcdefghij")}
	if got := p.shown(6); got != "%ghij" {
		t.Errorf("%q", got)
	}
}

func TestOneKeyEndsAPageAndTheNextIsNotLost(t *testing.T) {
	for typed, rest := range map[string]string{" ls": "ls", "\x1b[Als": "ls", "\r": ""} {
		p := &prompt{anyKey: true}
		ended, _, got := p.feed([]byte(typed), DefaultPrefix)
		if !ended || string(got) != rest {
			t.Errorf("%q: ended %v rest %q", typed, ended, got)
		}
	}
}
