package main

import (
	"fmt"
	"strconv"
	"unicode/utf8"
)

// unescape replaces the escapes of a Go string in s: \n, \t, \x03, \u00e9,
// \101 and so on. Everything else stays as it is, be it UTF-8 or not.
func unescape(s string) ([]byte, error) {
	var out []byte
	for s != "" {
		if s[0] != '\\' {
			out = append(out, s[0])
			s = s[1:]
			continue
		}
		if len(s) > 1 && (s[1] == '"' || s[1] == '\'') {
			out = append(out, s[1])
			s = s[2:]
			continue
		}
		r, multibyte, rest, err := strconv.UnquoteChar(s, 0)
		if err != nil {
			return nil, fmt.Errorf("%q is no escape: expected those of Go, as \\n \\t \\x03 \\u00e9", clip(s, 6))
		}
		if multibyte {
			out = utf8.AppendRune(out, r)
		} else {
			out = append(out, byte(r))
		}
		s = rest
	}
	return out, nil
}

// clip is the beginning of s, to be shown.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n] + "..."
}
