package hubfs

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"hubfs/hub/filestore"
	"hubfs/tree"
)

// noteVersion is that of the notes that are written. Others are left alone.
const noteVersion = 1

// A spoolNote is what is kept of a hub besides its stream.
type spoolNote struct {
	Version int         `json:"version"`
	Name    string      `json:"name"`           // its path
	Dirs    []noteOwner `json:"dirs,omitempty"` // those that it lies in, the outermost first
	noteOwner
	Made    time.Time `json:"made"`
	Ended   bool      `json:"ended,omitempty"`
	Status  string    `json:"status,omitempty"` // of the end
	Sync    string    `json:"sync"`
	Keep    int64     `json:"keep,omitempty"`    // bytes
	Age     int64     `json:"age,omitempty"`     // seconds
	Removed bool      `json:"removed,omitempty"` // the files are to go
}

// A noteOwner says who has a hub or a directory, and what others may.
type noteOwner struct {
	Owner string `json:"owner"`
	Mode  uint32 `json:"mode"` // without tree.ModeDir
}

// noteOfLocked is the note of a hub as it is now.
func noteOfLocked(sp *spool) spoolNote {
	f := sp.f
	n := spoolNote{
		Version:   noteVersion,
		Name:      f.pathLocked(),
		noteOwner: noteOwner{f.owner, f.mode},
		Made:      f.made.UTC().Round(0),
		Sync:      sp.sync.String(),
		Keep:      sp.keep,
		Age:       int64(sp.age / time.Second),
		Removed:   sp.removed,
	}
	n.Status, n.Ended = f.hub.Ended()
	for d := f.parent; d.parent != nil; d = d.parent {
		n.Dirs = append([]noteOwner{{d.owner, d.mode &^ tree.ModeDir}}, n.Dirs...)
	}
	return n
}

func (n spoolNote) encode() []byte {
	b, err := json.MarshalIndent(n, "", "\t")
	if err != nil {
		panic(err) // of strings, numbers and a time: there is nothing to fail
	}
	return append(b, '\n')
}

// decodeNote reads a note, of which nothing is known but where it lay.
func decodeNote(b []byte) (n spoolNote, p filestore.Policy, err error) {
	if err := json.Unmarshal(b, &n); err != nil {
		return n, p, err
	}
	if n.Version != noteVersion {
		return n, p, fmt.Errorf("version %d, known is %d", n.Version, noteVersion)
	}
	names := strings.Split(n.Name, "/")
	if err := checkRootName(names[0]); err != nil {
		return n, p, err
	}
	for _, name := range names[1:] {
		if err := checkName(name); err != nil {
			return n, p, err
		}
	}
	switch dirs := len(names) - 1; {
	case dirs > maxDepth:
		return n, p, fmt.Errorf("%d directories deep, %d may be", dirs, maxDepth)
	case dirs != len(n.Dirs):
		return n, p, fmt.Errorf("%d directories are described, of %d", len(n.Dirs), dirs)
	case n.Keep < 0 || n.Age < 0 || n.Age > int64(longest/time.Second):
		return n, p, errors.New("limits that cannot be")
	}
	for _, o := range append([]noteOwner{n.noteOwner}, n.Dirs...) {
		if err := checkMode(o.Mode); err != nil {
			return n, p, err
		}
		if len(o.Owner) > MaxName {
			return n, p, errors.New("owner with a name that cannot be")
		}
	}
	if err := checkText(n.Status); err != nil {
		return n, p, err
	}
	p, err = filestore.ParsePolicy(n.Sync)
	return n, p, err
}
