package mount

import (
	"context"
	"errors"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"

	"hubfs/client"
)

// A handle is one open of a file.
type handle struct {
	t      *tree
	f      *client.File
	path   string
	stream bool  // its bytes have no place
	both   bool  // opened for reading and writing
	length int64 // when it was opened

	// Of a file with a length, that may be a hub which has ended: it counts for
	// itself how far a fid has read, and knows no other place.
	reading chan struct{} // of capacity 1: who put a value in may read, and has what follows
	pos     int64         // where the fid is
	placed  *client.File  // the same hub with places; nil: not needed yet
	first   int64         // where there its first byte is
}

var (
	_ fs.FileReader   = (*handle)(nil)
	_ fs.FileWriter   = (*handle)(nil)
	_ fs.FileReleaser = (*handle)(nil)
)

func (t *tree) newHandle(f *client.File, at string, flags uint32, length int64) *handle {
	return &handle{
		t: t, f: f, path: at, length: length,
		stream:  length == 0 && !placed(at),
		both:    access(flags) == client.ORDWR,
		reading: make(chan struct{}, 1),
	}
}

// placed reports whether the bytes of the file at path have a place, whatever
// its length. The package's doc says why.
func placed(at string) bool {
	dir, name := path.Split(at)
	return name == "ctl" || name == "clone" || strings.HasSuffix(name, "@") ||
		slices.Contains(strings.Split(dir, "/"), "fs")
}

// flags say to the kernel how the file is to be treated: nothing of it is kept.
// Where one descriptor of a stream is read and written it has no offset, and so
// none at which reads and writes would take turns. Others can seek, to no effect:
// head(1) and tail(1) take it for granted.
func (h *handle) flags() uint32 {
	const always = fuse.FOPEN_DIRECT_IO | fuse.FOPEN_NOFLUSH
	if h.stream && h.both {
		return always | fuse.FOPEN_STREAM | fuse.FOPEN_NONSEEKABLE
	}
	return always
}

// Read reads at most len(p) bytes.
func (h *handle) Read(ctx context.Context, p []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	n, err := h.read(ctx, p, off)
	if err != nil && err != io.EOF {
		return nil, h.t.errno("read", h.path, err)
	}
	return fuse.ReadResultData(p[:n]), 0
}

func (h *handle) read(ctx context.Context, p []byte, off int64) (int, error) {
	switch {
	case h.stream:
		// A request as long as can be may be a part of a larger read(2). If all of
		// it were filled the kernel would ask for the rest before it returns, and
		// that may have to be waited for.
		const page = 4 << 10
		return h.f.ReadContext(ctx, p[:min(len(p), maxIO-page)])
	case h.length == 0 || placed(h.path):
		return h.f.ReadAtContext(ctx, p, off)
	}
	select {
	case h.reading <- struct{}{}:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	defer func() { <-h.reading }()
	// The kernel takes a short read for the end of the file.
	n, err := h.readPlace(ctx, p, off)
	for err == nil && n < len(p) && off+int64(n) < h.length {
		var more int
		more, err = h.readPlace(ctx, p[n:], off+int64(n))
		n += more
	}
	if n > 0 {
		return n, nil
	}
	return n, err
}

// readPlace reads once at off.
func (h *handle) readPlace(ctx context.Context, p []byte, off int64) (int, error) {
	if off != h.pos && h.placed == nil {
		if err := h.place(ctx); err != nil {
			return 0, err
		}
	}
	if h.placed != nil && h.placed != h.f {
		if off >= h.length {
			return 0, io.EOF // more would have to be waited for
		}
		return h.placed.ReadAtContext(ctx, p[:min(int64(len(p)), h.length-off)], h.first+off)
	}
	n, err := h.f.ReadAtContext(ctx, p, off)
	h.pos = off + int64(n)
	return n, err
}

// place finds out how to read elsewhere than where the fid is: hubs have places
// under the name NAME@, anything else has them anyhow.
func (h *handle) place(ctx context.Context) error {
	f, err := h.t.c.Open(ctx, h.path+"@", client.OREAD)
	if errors.Is(err, client.ErrNotExist) {
		h.placed = h.f
		return nil
	} else if err != nil {
		return err
	}
	_, err = f.ReadAtContext(ctx, make([]byte, 1), 0)
	said := (*client.Error)(nil)
	if errors.As(err, &said) { // discarded: NAME starts at OFFSET
		_, at, _ := strings.Cut(said.Text, " starts at ")
		h.first, err = strconv.ParseInt(at, 10, 64)
	}
	if err != nil {
		f.Close()
		return err
	}
	h.placed = f
	return nil
}

// Write writes p, or as much of it as the server takes until a signal comes.
func (h *handle) Write(ctx context.Context, p []byte, off int64) (uint32, syscall.Errno) {
	var n int
	var err error
	if h.stream {
		n, err = h.f.WriteContext(ctx, p)
	} else {
		n, err = h.f.WriteAtContext(ctx, p, off)
	}
	if n > 0 {
		return uint32(n), 0
	}
	return 0, h.t.errno("write", h.path, err)
}

// Release gives the file up: nobody has it open any more.
func (h *handle) Release(context.Context) syscall.Errno {
	h.f.Close()
	if h.placed != nil && h.placed != h.f {
		h.placed.Close()
	}
	return 0
}
