package supervise

import (
	"io/fs"
	"os"
	"path/filepath"
)

// cgroupKill is the file of a cgroup that ends all in it.
const cgroupKill = "cgroup.kill"

// removeAll removes a folder, those included in which a task has forbidden
// everybody to write. It follows no link.
func removeAll(dir string) error {
	err := os.RemoveAll(dir)
	if err == nil {
		return nil
	}
	root, err := os.OpenRoot(filepath.Dir(dir))
	if err != nil {
		return err
	}
	defer root.Close()
	fs.WalkDir(root.FS(), filepath.Base(dir), func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			root.Chmod(path, 0o700) // before it is read
		}
		return nil
	})
	return os.RemoveAll(dir)
}
