package filestore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
)

// An index says what a segment must hold: a header, and records in ascending
// order of their ends, one at least at the end of every block and of every
// round of writing. It is appended to, so what a crash can do to it is to cut
// it. All integers are little-endian.
const (
	blockSize  = 64 << 10 // what a checksum is of; aligned to the segment's start
	recordSize = 24       // and so the header's

	// A segment that has so many records is done, however small it is: its
	// index is read at once.
	maxRecords = 1 << 18
	maxIndex   = (maxRecords + roundMax/blockSize + 8) * recordSize

	// When a segment is done, its index keeps the records of blocks, and so
	// many others for their times.
	sealedTimes = 1024

	version = 1
)

var magic = [8]byte([]byte("hubindex"))

// table returns the polynomial of all sums. It is made when it is first used: who
// attaches to a shell uses none.
func table() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// A record says: the segment goes as far as end, the last block (which may not
// be full) has the sum, and this was so at ms.
type record struct {
	end int64  // offset in the stream
	sum uint32 // crc32c of the bytes from the start of the block that ends here
	ms  int64  // Unix time in milliseconds
}

func (r record) append(b []byte) []byte {
	n := len(b)
	b = binary.LittleEndian.AppendUint64(b, uint64(r.end))
	b = binary.LittleEndian.AppendUint32(b, r.sum)
	b = binary.LittleEndian.AppendUint64(b, uint64(r.ms))
	return appendSum(b, n)
}

// appendSum appends the sum of b[n:].
func appendSum(b []byte, n int) []byte {
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[n:], table()))
}

func decodeRecord(b []byte) (r record, ok bool) {
	r.end = int64(binary.LittleEndian.Uint64(b))
	r.sum = binary.LittleEndian.Uint32(b[8:])
	r.ms = int64(binary.LittleEndian.Uint64(b[12:]))
	return r, crc32.Checksum(b[:20], table()) == binary.LittleEndian.Uint32(b[20:])
}

// A header is the first record: what the file is, and whether the segment is
// sealed, which is to say complete and, but under Never, on disk. A header that
// is broken says nothing, and nothing depends on it.
func appendHeader(b []byte, sealed bool) []byte {
	n := len(b)
	var flags uint32
	if sealed {
		flags = 1
	}
	b = append(b, magic[:]...)
	b = binary.LittleEndian.AppendUint32(b, version)
	b = binary.LittleEndian.AppendUint32(b, flags)
	b = binary.LittleEndian.AppendUint32(b, 0)
	return appendSum(b, n)
}

// An index as it was read.
type index struct {
	headed, sealed bool // the header is good; and says so
	records        []record
	size           int64 // of the file
}

var errNewer = errors.New("was written by a newer version")

// decodeIndex takes the good records at the start of b, the index of a segment
// of size bytes that starts at first.
func decodeIndex(b []byte, first, size int64) (x index, err error) {
	x.size = int64(len(b))
	if len(b) < recordSize {
		return x, nil
	}
	h := b[:recordSize]
	if [8]byte(h) == magic && crc32.Checksum(h[:20], table()) == binary.LittleEndian.Uint32(h[20:]) {
		if v := binary.LittleEndian.Uint32(h[8:]); v != version {
			return x, fmt.Errorf("%w (%d)", errNewer, v)
		}
		x.headed = true
		x.sealed = binary.LittleEndian.Uint32(h[12:])&1 != 0
	}
	end := first
	var ms int64
	for b = b[recordSize:]; len(b) >= recordSize; b = b[recordSize:] {
		r, ok := decodeRecord(b)
		// No record may skip the end of a block: sums would be missing.
		if !ok || r.end <= end || r.end > blockEnd(first, end) || r.end-first > size {
			break
		}
		r.ms = max(r.ms, ms)
		x.records = append(x.records, r)
		end, ms = r.end, r.ms
	}
	return x, nil
}

// end returns how far the records go.
func (x *index) end(first int64) int64 {
	if len(x.records) == 0 {
		return first
	}
	return x.records[len(x.records)-1].end
}

// sums returns the sums of the full blocks, and of the one behind them.
func (x *index) sums(first int64) (full []uint32, part uint32) {
	for _, r := range x.records {
		part = r.sum
		if (r.end-first)%blockSize == 0 {
			full, part = append(full, r.sum), 0
		}
	}
	return full, part
}

// compact keeps the records that are needed and some for their times, evenly.
func (x *index) compact(first int64) {
	needed := func(i int) bool {
		return i == len(x.records)-1 || (x.records[i].end-first)%blockSize == 0
	}
	others := 0
	for i := range x.records {
		if !needed(i) {
			others++
		}
	}
	every := others/sealedTimes + 1
	kept := x.records[:0:0]
	for i, r := range x.records {
		if !needed(i) {
			if others--; others%every != 0 {
				continue
			}
		}
		kept = append(kept, r)
	}
	x.records = kept
}

// encode returns the file that holds x.
func (x *index) encode(sealed bool) []byte {
	b := appendHeader(make([]byte, 0, (len(x.records)+1)*recordSize), sealed)
	for _, r := range x.records {
		b = r.append(b)
	}
	return b
}

// readIndex reads the index of a segment. If there is none it is empty.
func (s *Store) readIndex(first, size int64) (index, error) {
	name := s.path(indexName(first))
	f, err := s.fs.Open(name, os.O_RDONLY)
	if errors.Is(err, os.ErrNotExist) {
		return index{}, nil
	}
	if err != nil {
		return index{}, err
	}
	defer f.Close()
	return readIndexFile(f, name, first, size)
}

func readIndexFile(f File, name string, first, size int64) (index, error) {
	n, err := f.Size()
	if err != nil {
		return index{}, err
	}
	b := make([]byte, min(n, maxIndex)) // none of ours is longer
	got, err := f.ReadAt(b, 0)
	if err != nil && err != io.EOF {
		return index{}, fmt.Errorf("read %s: %w", name, err)
	}
	x, err := decodeIndex(b[:got], first, size)
	if err != nil {
		return index{}, fmt.Errorf("%s %w", name, err)
	}
	x.size = n
	return x, nil
}

// blockEnd returns where the block of a segment that holds off ends.
func blockEnd(first, off int64) int64 {
	return first + ((off-first)/blockSize+1)*blockSize
}
