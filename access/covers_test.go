package access

import "testing"

func TestGrantCoversWhatItsPatternsName(t *testing.T) {
	g := Grant{Patterns: []string{"work", "ci/*", `a\*`}}
	for path, want := range map[string]bool{
		"work": true, "ci/a": true, "a*": true,
		"work1": false, "ci": false, "ci/a/b": false, "ab": false, "": false,
	} {
		if got := g.Covers(path); got != want {
			t.Errorf("covers %q: %v", path, got)
		}
	}
	if all := (&Grant{Patterns: []string{Everything}}); !all.Covers("") || !all.Covers("x/y") {
		t.Error("everything is not covered")
	}
}

func TestLiteralIsReadBack(t *testing.T) {
	for _, path := range []string{"work", "ci/build-17", `a*b?[c]\d`, "é x"} {
		if got, ok := IsLiteral(Literal(path)); !ok || got != path {
			t.Errorf("%q is read back as %q, %v", path, got, ok)
		}
	}
	for _, p := range []string{"*", "a*", "[a]b", `\ask`, "a?", `a\`} {
		if got, ok := IsLiteral(p); ok {
			t.Errorf("%q is literally %q", p, got)
		}
	}
}
