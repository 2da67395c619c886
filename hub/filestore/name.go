package filestore

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// The files of a store. Only segments have names that a shell's * finds.
const (
	noteName    = ".hub"
	noteTmpName = ".hub.tmp"
	digits      = 20 // every offset has so many, so that * sorts them
	indexSuffix = ".index"
	tmpSuffix   = ".index.tmp"
	lostSuffix  = ".lost"
)

func dataName(first int64) string     { return fmt.Sprintf("%0*d", digits, first) }
func indexName(first int64) string    { return "." + dataName(first) + indexSuffix }
func indexTmpName(first int64) string { return "." + dataName(first) + tmpSuffix }
func lostName(first int64) string     { return "." + dataName(first) + lostSuffix }

// A kind is what a name in the folder is the name of.
type kind int

const (
	foreign kind = iota // not ours: left alone
	segmentData
	segmentIndex
	lostData // of a segment that recovery could not use
	note
	temporary // of something that was not finished
)

// nameOf returns what name is, and the offset in it.
func nameOf(name string) (kind, int64) {
	switch name {
	case noteName:
		return note, 0
	case noteTmpName:
		return temporary, 0
	}
	k := segmentData
	if rest, hidden := strings.CutPrefix(name, "."); hidden {
		var suffix string
		name, suffix, _ = strings.Cut(rest, ".")
		switch "." + suffix {
		case indexSuffix:
			k = segmentIndex
		case tmpSuffix:
			k = temporary
		case lostSuffix:
			k = lostData
		default:
			return foreign, 0
		}
	}
	if len(name) != digits || strings.Trim(name, "0123456789") != "" {
		return foreign, 0
	}
	first, err := strconv.ParseInt(name, 10, 64)
	if err != nil {
		return foreign, 0 // larger than any offset
	}
	return k, first
}

func (s *Store) path(name string) string { return filepath.Join(s.dir, name) }
