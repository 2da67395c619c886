package lex

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/shlex"
)

func TestLines(t *testing.T) {
	for in, want := range map[string][]string{
		"":                        nil,
		"a":                       {"a"},
		"a\n":                     {"a"},
		"a\nb":                    {"a", "b"},
		"a\n\nb\n":                {"a", "", "b"},
		"x 'a\nb' c\nd":           {"x 'a\nb' c", "d"},
		"x \"a\n'b\" c\nd":        {"x \"a\n'b\" c", "d"},
		"x \"a\\\"\nb\"\nd":       {"x \"a\\\"\nb\"", "d"},
		"x a\\\nb\nc":             {"x a\\\nb", "c"},
		"a # it's\nb":             {"a # it's", "b"},
		"a#'b\nc'\nd":             {"a#'b\nc'", "d"},
		"a ''# 'x\ny' \nb":        {"a ''# 'x\ny' ", "b"},
		"freeze\nmelt\n":          {"freeze", "melt"},
		"x 'never closed\na\nb\n": {"x 'never closed\na\nb\n"},
	} {
		if got := Lines(in); !slices.Equal(got, want) {
			t.Errorf("Lines(%q) = %q, want %q", in, got, want)
		}
	}
}

// FuzzLines: cutting what was written into lines first changes no word.
func FuzzLines(f *testing.F) {
	for _, s := range []string{"a\nb", "x 'a\nb' \"c\\\"\n\"\nd\\\ne # it's\nf", "''#x\n'", "\\", "\r\n#\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		want, err := shlex.Split(s)
		if err != nil || !isUTF8(s) {
			return
		}
		var got []string
		for _, line := range Lines(s) {
			words, err := shlex.Split(line)
			if err != nil {
				t.Fatalf("%q: line %q: %v", s, line, err)
			}
			got = append(got, words...)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%q: words %q, want %q", s, got, want)
		}
	})
}

func isUTF8(s string) bool { return strings.ToValidUTF8(s, "") == s }

// TestLinesBeforeTheBadOneAreDone: a line that fails ends the write; what came
// before was done, nothing of it and behind it.
func TestLinesBeforeTheBadOneAreDone(t *testing.T) {
	bad := errors.New("bad")
	for _, c := range []struct {
		in   string
		done string
		say  string // "": no error
	}{
		{"", "", ""},
		{"\n \n\t\n# a comment\n", "", ""},
		{"a b\nc", "a,b;c;", ""},
		{"a\x00", "a;", ""}, // old hubshells
		{"a\n\x00\x00", "a;", ""},
		{"a\nbad\nc", "a;", "line 2: bad"},
		{"bad\n", "", "bad"},
		{"a\n'x", "a;", "line 2: \"'x\": EOF found when expecting closing quote"},
		{"a\x00b", "", "NUL"},
		{"a\xff", "", "UTF-8"},
	} {
		done := ""
		err := Each([]byte(c.in), func(words []string) error {
			if words[0] == "bad" {
				return bad
			}
			done += strings.Join(words, ",") + ";"
			return nil
		})
		if done != c.done || (err != nil) != (c.say != "") {
			t.Errorf("%q: did %q, %v; want %q", c.in, done, err, c.done)
		}
		if err != nil && !strings.HasPrefix(err.Error(), c.say) && !strings.Contains(err.Error(), c.say) {
			t.Errorf("%q: %v, want %s", c.in, err, c.say)
		}
		if c.in == "bad\n" && err.Error() != "bad" {
			t.Errorf("a lone line is not numbered: %v", err)
		}
	}
}
