package access

import (
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Everything is the pattern for every thing and the server as a whole.
const Everything = "*"

const (
	maxPattern  = 1024 // bytes
	maxElements = 16
)

// CheckPattern says what is wrong with a pattern: names apart by slashes, each
// of which path.Match matches with the name at its place in a path. So ci/* is
// all that lies in the folder ci and not what lies deeper. A * alone, as
// Everything, is no such pattern.
func CheckPattern(p string) error {
	bad := func(why string) error {
		return invalid("pattern %.60q %s: expected names as in ci/build-*, or * for everything", p, why)
	}
	switch {
	case len(p) > maxPattern:
		return bad("is too long")
	case !utf8.ValidString(p) || strings.ContainsFunc(p, unicode.IsControl):
		return bad("is no text")
	case strings.Count(p, "/") >= maxElements:
		return bad("is too deep")
	}
	for e := range strings.SplitSeq(p, "/") {
		switch _, err := path.Match(e, ""); {
		case e == "" || e == "." || e == "..":
			return bad("holds no name where one belongs")
		case err != nil:
			return bad("is malformed")
		}
	}
	return nil
}

// Literal returns the pattern that matches path and nothing else.
func Literal(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// match reports whether a pattern names the thing at path.
func match(pattern, at string) bool {
	if pattern == Everything {
		return true
	}
	rest, whole := matchElements(pattern, at)
	return whole && rest == ""
}

// matchPrefix reports whether a pattern can name something below path.
func matchPrefix(pattern, at string) bool {
	if pattern == Everything || at == "" {
		return true
	}
	rest, whole := matchElements(pattern, at)
	return whole && rest != ""
}

// matchElements matches the elements of path, one by one, and reports whether
// all of them did; rest is the pattern's elements that are left over.
func matchElements(pattern, at string) (rest string, whole bool) {
	if at == "" {
		return pattern, false
	}
	for more := true; more; {
		if pattern == "" {
			return "", false
		}
		var p, name string
		p, pattern, _ = strings.Cut(pattern, "/")
		name, at, more = strings.Cut(at, "/")
		if ok, err := path.Match(p, name); !ok || err != nil {
			return pattern, false
		}
	}
	return pattern, true
}
