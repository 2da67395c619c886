package lex

import (
	"strings"
	"testing"
)

func TestQuote(t *testing.T) {
	for in, want := range map[string]string{
		"":        "''",
		"a":       "a",
		"a b":     "'a b'",
		"it's":    "'it''s'",
		"a\tb":    "'a\tb'",
		"ä":       "ä",
		"a\u00a0": "'a\u00a0'",
		`"x"`:     `"x"`,
	} {
		if got := Quote(in); got != want {
			t.Errorf("Quote(%q) = %s, want %s", in, got, want)
		}
	}
	if got := Field("a\nb\x1b[31m"); strings.ContainsAny(got, "\n\x1b") {
		t.Errorf("Field leaves control characters: %q", got)
	}
}
