package filestore

import (
	"cmp"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"time"

	"hubfs/hub"
)

const (
	// roundMax is how many bytes are written before they are told of.
	roundMax = 4 << 20
	// Pieces that are smaller than directMin are gathered in a buffer: to copy
	// them costs less than to call the system for each.
	directMin = 32 << 10
)

// A writer appends to the files of one segment. It is the flusher's, then the
// keeper's, who seals it.
type writer struct {
	seg     *segment // immutable
	name    string   // of the data; immutable
	data    File
	index   File
	fresh   bool  // the names of the files may not be on disk; guarded by Store.mu
	dirty   bool  // written to since the last sync; guarded by Store.mu
	end     int64 // of the data written
	at      int64 // where the next record goes
	part    uint32
	records int
	ms      int64 // of the last record

	entries []byte   // scratch: the records of a round
	sums    []uint32 // scratch: the blocks that a round has filled
}

// create makes the files of an empty segment. The index comes first: data
// without an index is of no use to recovery.
func (s *Store) create(first int64) (*writer, error) {
	name := s.path(dataName(first))
	index, err := s.fs.Open(s.path(indexName(first)), os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return nil, err
	}
	header := appendHeader(nil, false)
	if err := writeAt(index, header, 0); err != nil {
		index.Close()
		return nil, fmt.Errorf("write %s: %w", s.path(indexName(first)), err)
	}
	data, err := s.fs.Open(name, os.O_RDWR|os.O_CREATE|os.O_EXCL)
	if err != nil {
		index.Close()
		return nil, err
	}
	now := time.Now().UnixMilli()
	return &writer{
		seg: &segment{
			first: first,
			end:   first,
			born:  now,
			last:  now,
			open:  &opened{file: data, refs: 1},
		},
		name:  name,
		data:  data,
		index: index,
		fresh: true,
		end:   first,
		at:    int64(len(header)),
	}, nil
}

// full says that the next bytes are for another segment.
func (w *writer) full(limit int64) bool {
	return w.end-w.seg.first >= limit || w.records >= maxRecords
}

// write appends the pieces and the records that vouch for them.
func (w *writer) write(pieces []hub.Piece, ms int64) (err error) {
	w.ms = max(w.ms, ms)
	w.entries, w.sums = w.entries[:0], w.sums[:0]
	end := w.end
	defer func() {
		if err != nil {
			// What is not in the index is not in the stream. Recovery would
			// cut it too, but cat does not ask recovery.
			w.data.Truncate(end - w.seg.first)
			w.index.Truncate(w.at)
		}
	}()
	for _, p := range pieces {
		w.sum(p.Data)
	}
	if w.end > end && (w.end-w.seg.first)%blockSize != 0 {
		w.record()
	}
	if err := w.writeData(pieces, end-w.seg.first); err != nil {
		return fmt.Errorf("write %s: %w", w.name, err)
	}
	// Only now: a record must never vouch for bytes that were not written.
	if err := writeAt(w.index, w.entries, w.at); err != nil {
		return fmt.Errorf("write the index of %s: %w", w.name, err)
	}
	w.at += int64(len(w.entries))
	return nil
}

// sum goes on by b, with a record for each block that it fills.
func (w *writer) sum(b []byte) {
	for len(b) > 0 {
		n := min(int64(len(b)), blockEnd(w.seg.first, w.end)-w.end)
		w.part = crc32.Update(w.part, table(), b[:n])
		w.end += n
		b = b[n:]
		if (w.end-w.seg.first)%blockSize == 0 {
			w.record()
			w.sums = append(w.sums, w.part)
			w.part = 0
		}
	}
}

func (w *writer) record() {
	w.entries = record{w.end, w.part, w.ms}.append(w.entries)
	w.records++
}

// writeData writes the pieces to the file, in few calls.
func (w *writer) writeData(pieces []hub.Piece, at int64) error {
	var gather *block
	for i := 0; i < len(pieces); {
		b := pieces[i].Data
		i++
		if len(b) < directMin && i < len(pieces) && len(pieces[i].Data) < directMin {
			if gather == nil {
				gather = newBlock()
				defer gather.Free()
			}
			b = append(gather.buf[:0], b...)
			for i < len(pieces) && len(pieces[i].Data) < directMin && len(b)+len(pieces[i].Data) <= cap(b) {
				b = append(b, pieces[i].Data...)
				i++
			}
		}
		if err := writeAt(w.data, b, at); err != nil {
			return err
		}
		at += int64(len(b))
	}
	return nil
}

// writeAt writes all of b, however little the system takes at a time.
func writeAt(f File, b []byte, off int64) error {
	for len(b) > 0 {
		n, err := f.WriteAt(b, off)
		if n == 0 {
			return cmp.Or(err, io.ErrShortWrite)
		}
		// Whatever stopped it will say so again, if it is still there.
		b, off = b[n:], off+int64(n)
	}
	return nil
}

// sync returns when all that was written is on disk.
func (w *writer) sync() error {
	// Both at once: a file system that keeps a journal commits it once.
	index := make(chan error, 1)
	go func() { index <- w.index.Sync() }() // ends with its call
	err := w.data.Sync()
	if ierr := <-index; err == nil {
		err = ierr
	}
	if err != nil {
		return fmt.Errorf("sync %s: %w", w.name, err)
	}
	return nil
}
