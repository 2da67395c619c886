package job

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"hubfs/client"
)

// Push copies files and folders, with what is in them, into the job's folder,
// under the last elements of their names. Links are followed to files. It is for
// before the tasks start.
func (j *Job) Push(ctx context.Context, names []string) error {
	seen := map[string]string{}
	for _, name := range names {
		full, err := filepath.Abs(name) // of "." the last element is "."
		if err != nil {
			return err
		}
		base := filepath.Base(full)
		if base == string(filepath.Separator) {
			return fmt.Errorf("push %s: expected a file or folder with a name", name)
		}
		if other, twice := seen[base]; twice {
			return fmt.Errorf("push %s: its tasks would find it as %s, and %s too", name, base, other)
		}
		seen[base] = name
		info, err := os.Stat(full)
		if err != nil {
			return fmt.Errorf("push: %w", err)
		}
		if err := j.push(ctx, full, path.Join(j.path("fs"), base), info); err != nil {
			return fmt.Errorf("push %s: %w", name, err)
		}
	}
	return nil
}

func (j *Job) push(ctx context.Context, from, to string, info fs.FileInfo) error {
	switch {
	case info.IsDir():
		return j.pushDir(ctx, from, to, info)
	case info.Mode().IsRegular():
		return j.pushFile(ctx, from, to, info)
	}
	return fmt.Errorf("%s is no file and no folder", from)
}

func (j *Job) pushDir(ctx context.Context, from, to string, info fs.FileInfo) error {
	if err := j.srv.Mkdir(ctx, to, uint32(info.Mode().Perm())|0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := filepath.Join(from, e.Name())
		info, err := os.Stat(name)
		if err != nil {
			return err
		}
		if e.Type()&fs.ModeSymlink != 0 && info.IsDir() { // it may lead to a folder above
			return fmt.Errorf("%s is a link to a folder: only links to files are followed", name)
		}
		if err := j.push(ctx, name, path.Join(to, e.Name()), info); err != nil {
			return err
		}
	}
	return nil
}

func (j *Job) pushFile(ctx context.Context, from, to string, info fs.FileInfo) (err error) {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := j.srv.Create(ctx, to, uint32(info.Mode().Perm()), client.OWRITE)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dst.Close()) }()
	w := dst.Writer(inputAhead)
	buf := make([]byte, 128<<10)
	for {
		n, err := src.Read(buf)
		if n > 0 {
			if _, err := w.WriteContext(ctx, buf[:n]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return w.Flush(ctx)
		}
		if err != nil {
			return err
		}
	}
}
