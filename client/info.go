package client

import (
	"time"

	"hubfs/internal/wire"
)

// An Info describes a file.
type Info struct {
	Name    string // last element of the path; "/" for the root
	Path    uint64 // qid.path: the same for the same file
	Version uint32 // qid.vers: counts changes, if the server cares to
	Mode    uint32 // DMDIR, DMAPPEND, DMEXCL and the permissions
	Length  int64  // bytes; 0 for directories and streams
	Atime   time.Time
	Mtime   time.Time
	UID     string // owner
	GID     string // group
	MUID    string // who changed it last
}

// IsDir reports whether the file is a directory.
func (i Info) IsDir() bool { return i.Mode&DMDIR != 0 }

func infoOf(s *wire.Stat) Info {
	return Info{
		Name: s.Name, Path: s.Qid.Path, Version: s.Qid.Vers, Mode: s.Mode, Length: int64(s.Length),
		Atime: time.Unix(int64(s.Atime), 0), Mtime: time.Unix(int64(s.Mtime), 0),
		UID: s.UID, GID: s.GID, MUID: s.MUID,
	}
}

// A Change holds what to change of a file; nil is "leave it".
type Change struct {
	Name   *string
	Mode   *uint32
	Length *int64
	Atime  *time.Time
	Mtime  *time.Time
	GID    *string
}

func (ch Change) stat() wire.Stat {
	s := wire.NoChange()
	if ch.Name != nil {
		s.Name = *ch.Name
	}
	if ch.Mode != nil {
		s.Mode = *ch.Mode
	}
	if ch.Length != nil {
		s.Length = uint64(*ch.Length)
	}
	if ch.Atime != nil {
		s.Atime = uint32(ch.Atime.Unix())
	}
	if ch.Mtime != nil {
		s.Mtime = uint32(ch.Mtime.Unix())
	}
	if ch.GID != nil {
		s.GID = *ch.GID
	}
	return s
}
