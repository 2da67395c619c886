package hubfs

import (
	"strings"
	"unicode"
)

// quote makes one field of s, as Plan 9's %q does: left alone if it is plain,
// else in single quotes, in which a quote is doubled.
func quote(s string) string {
	plain := s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r == '\'' || unicode.IsSpace(r) || unicode.IsControl(r)
	})
	if plain {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", "''") + "'"
}

// field is quote for a line that must stay one line, and that people print on
// terminals: control characters become U+FFFD.
func field(s string) string {
	return quote(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s))
}

// fields joins words to a line of fields.
func fields(words ...string) string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = field(w)
	}
	return strings.Join(out, " ")
}

// quoteAll joins words so that they can be told apart again.
func quoteAll(words []string) string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = quote(w)
	}
	return strings.Join(out, " ")
}
