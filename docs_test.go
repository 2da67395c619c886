package hubfs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestSecurityPageNamesTests that there are: hub-security(7) says of each threat
// which test holds what it promises.
func TestSecurityPageNamesTests(t *testing.T) {
	page, err := os.ReadFile("doc/hub-security.7")
	if err != nil {
		t.Fatal(err)
	}
	_, threats, _ := strings.Cut(string(page), "\n.Sh THREATS\n")
	threats, _, _ = strings.Cut(threats, "\n.Sh ")
	named := map[string]bool{}
	for _, name := range regexp.MustCompile(`\b(?:Test|Fuzz)[A-Z]\w*`).FindAllString(threats, -1) {
		named[name] = false
	}
	if len(named) < 50 {
		t.Errorf("the page names %d tests: has it changed its form?", len(named))
	}
	if rows, blocks := strings.Count(threats, "\n.It "), strings.Count(threats, "\n.Bd "); rows != blocks {
		t.Errorf("%d threats, and tests for %d", rows, blocks)
	}
	defined := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	err = filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		src, err := os.ReadFile(path)
		for _, m := range defined.FindAllSubmatch(src, -1) {
			if _, ok := named[string(m[1])]; ok {
				named[string(m[1])] = true
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, there := range named {
		if !there {
			t.Errorf("there is no test %s", name)
		}
	}
}
