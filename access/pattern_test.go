package access

import (
	"path"
	"strings"
	"testing"
	"time"

	"hubfs/tree"
)

func TestPatterns(t *testing.T) {
	for _, test := range []struct {
		pattern, path string
		is, within    bool // names it; names something at it or below
	}{
		{"*", "", true, true},
		{"*", "work", true, true},
		{"*", "ci/a/b", true, true},
		{"work", "work", true, true},
		{"work", "", false, true},
		{"work", "work2", false, false},
		{"work", "wor", false, false},
		{"work", "work/x", false, false},
		{"work*", "work2", true, true},
		{"ci/*", "ci", false, true},
		{"ci/*", "ci/build", true, true},
		{"ci/*", "ci/a/b", false, false},
		{"ci/*", "c", false, false},
		{"ci/build-?", "ci/build-1", true, true},
		{"ci/build-?", "ci/build-12", false, false},
		{"*/log", "x/log", true, true},
		{"*/log", "x", false, true},
		{"*/*", "x", false, true},
		{"*/*", "", false, true},
		{"**", "x", true, true},
		{"**", "", false, true},
		{"**", "x/y", false, false},
		{"[a-c]1", "b1", true, true},
		{`\*`, "*", true, true},
		{`\*`, "x", false, false},
	} {
		if err := CheckPattern(test.pattern); err != nil {
			t.Error(err)
		}
		g := grant{Grant: Grant{Kind: KindUser, Role: View, Patterns: []string{"none", test.pattern}}}
		is := g.level(test.path, false, time.Now()) == tree.LevelView
		within := g.level(test.path, true, time.Now()) == tree.LevelView
		if is != test.is || within != test.within {
			t.Errorf("%s of %q: %v, within %v", test.pattern, test.path, is, within)
		}
	}
	for _, bad := range []string{
		"", "/", "/work", "work/", "a//b", ".", "..", "a/../b", "a/./b", "[", "a/[b", "[a/b]", `a\`, `a\/b`, "a\x00", "a\nb", "\xff",
		strings.Repeat("x", 2000), strings.Repeat("a/", 16) + "a",
	} {
		if CheckPattern(bad) == nil {
			t.Errorf("%q is a pattern", bad)
		}
	}
}

// FuzzPattern compares with path.Match, whose rules these are, and checks that
// whoever may see a thing finds the way there.
func FuzzPattern(f *testing.F) {
	for _, s := range [][2]string{{"work", "work"}, {"ci/*", "ci/build"}, {"*", ""}, {"[^a]*/b?", "bc/bd"}, {`a\*b`, "a*b"}, {"a/*/c", "a/b/c"}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, pattern, at string) {
		if lit := Literal(at); CheckPattern(lit) == nil && (!match(lit, at) || lit != Everything && match(lit, at+"x")) {
			t.Errorf("%q for %q", lit, at)
		}
		if CheckPattern(pattern) != nil || pattern == Everything {
			return
		}
		is := match(pattern, at)
		like, err := path.Match(pattern, at)
		if err != nil {
			t.Fatalf("%q passes the check: %v", pattern, err)
		}
		same := strings.Count(pattern, "/") == strings.Count(at, "/") // [^a] may be a slash there, and is not here
		if is != (like && at != "" && same) {
			t.Errorf("%q of %q: %v", pattern, at, is)
		}
		for up := at; is && up != ""; {
			if up, _ = path.Split(up); strings.HasSuffix(up, "/") {
				up = up[:len(up)-1]
			}
			if !matchPrefix(pattern, up) {
				t.Errorf("%q matches %q, and nothing within %q", pattern, at, up)
			}
		}
	})
}
