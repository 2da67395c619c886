package lex

import (
	"strings"
	"unicode"
)

// Quote makes one field of s, as Plan 9's %q does: left alone if it is plain,
// else in single quotes, in which a quote is doubled.
func Quote(s string) string {
	plain := s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r == '\'' || unicode.IsSpace(r) || unicode.IsControl(r)
	})
	if plain {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", "''") + "'"
}

// Field is Quote for a line that must stay one line, and that people print on
// terminals: control characters become U+FFFD.
func Field(s string) string {
	return Quote(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s))
}

// Fields joins words to a line of fields.
func Fields(words ...string) string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = Field(w)
	}
	return strings.Join(out, " ")
}

// QuoteAll joins words so that they can be told apart again.
func QuoteAll(words []string) string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = Quote(w)
	}
	return strings.Join(out, " ")
}
