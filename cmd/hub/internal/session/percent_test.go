package session

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestPercentCommandsAreWholeWords(t *testing.T) {
	for _, tt := range []struct {
		line string
		want percent
	}{
		{"detach", percent{verb: verbDetach, word: "detach"}},
		{" detach ", percent{verb: verbDetach, word: "detach"}},
		{"attach work", percent{verb: verbAttach, word: "attach", name: "work"}},
		{"remote  work", percent{verb: verbRemote, word: "remote", name: "work"}},
		{"local lap", percent{verb: verbLocal, word: "local", name: "lap"}},
		{"err 300", percent{verb: verbErr, word: "err", delay: 300 * time.Millisecond}},
		{"in 0", percent{verb: verbIn, word: "in"}},
		{"out 5", percent{verb: verbOut, word: "out", delay: 5 * time.Millisecond}},
		{"fear", percent{verb: verbCtl, word: "fear"}},
		{"notrunc", percent{verb: verbCtl, word: "notrunc"}},
		{"title my build", percent{verb: verbTitle, word: "title", name: "my build"}},
	} {
		got, err := parsePercent(tt.line)
		if err != nil || got != tt.want {
			t.Errorf("%%%s: %+v, %v; want %+v", tt.line, got, err, tt.want)
		}
	}
}

func TestPercentErrorsSayWhatWasExpected(t *testing.T) {
	for _, tt := range []struct{ line, want string }{
		{"attach", "%attach NAME"}, {"attach a b", "one name"}, {"err", "milliseconds"},
		{"err -1", "milliseconds"}, {"in soon", "milliseconds"}, {"detach now", "nothing after"},
		{"title", "TEXT"},
	} {
		_, err := parsePercent(tt.line)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%%%s: %v, want %q in it", tt.line, err, tt.want)
		}
		if errors.As(err, new(unknownWord)) {
			t.Errorf("%%%s is known", tt.line)
		}
	}
}

// hubshell took "%info" for "%in".
func TestAPrefixOfACommandIsNoCommand(t *testing.T) {
	for _, line := range []string{"info", "det", "detached", "", "d", "freezer", "Detach"} {
		if _, err := parsePercent(line); !errors.As(err, new(unknownWord)) {
			t.Errorf("%%%s: %v, want it unknown", line, err)
		}
	}
}

func TestHelpNamesEveryCommand(t *testing.T) {
	for _, p := range percents {
		if !strings.Contains(percentHelp(), "%"+p.word) || !strings.Contains(percentWords(), "%"+p.word) {
			t.Errorf("help lacks %%%s", p.word)
		}
	}
}
