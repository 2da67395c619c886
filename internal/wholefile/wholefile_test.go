package wholefile

import (
	"os"
	"path/filepath"
	"testing"
)

// TestReplaceIsPrivateWhole: whatever is there already, and whatever a crash has
// left, the file is another one with the text alone, and nothing lies beside it.
func TestReplaceIsPrivateWhole(t *testing.T) {
	dir := t.TempDir()
	path, other := filepath.Join(dir, "f"), filepath.Join(dir, "other")
	if err := os.WriteFile(other, []byte("untouched"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(other, path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".new", []byte("what a crash has left, which is longer"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"first", "2"} {
		if err := Replace(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		fi, lerr := os.Lstat(path)
		if err != nil || lerr != nil || string(got) != text || fi.Mode() != 0o600 {
			t.Errorf("%q, %v, %v, %v; want %q in a plain file of mode 0600", got, fi, err, lerr, text)
		}
	}
	if got, err := os.ReadFile(other); err != nil || string(got) != "untouched" {
		t.Errorf("the file behind the link: %q, %v", got, err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 2 {
		t.Errorf("%v, %v", entries, err)
	}
	if err := Replace(filepath.Join(dir, "none", "f"), nil); err == nil {
		t.Error("no error without a folder")
	}
}
