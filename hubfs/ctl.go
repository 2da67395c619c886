package hubfs

import (
	"fmt"

	"hubfs/hub"
	"hubfs/internal/handles"
	"hubfs/internal/lex"
	"hubfs/tree"
)

// A ctlFile is /ctl.
type ctlFile struct{ meta }

func newCtlFile(fs *FS) *ctlFile {
	f := &ctlFile{}
	f.init(fs, fs.newPath(), "ctl", fs.cfg.Owner, 0o666)
	return f
}

// Open opens /ctl.
func (f *ctlFile) Open(c *tree.Caller, mode uint8) (tree.Handle, error) {
	return &ctlHandle{f: f, c: c, text: handles.NewText(c, f.status)}, nil
}

// status is what the original printed, to the letter, for the scripts that
// look for it.
func (f *ctlFile) status() string {
	fs := f.fs
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return fmt.Sprintf("\tHubfs %s status (1 is active, 0 is inactive):\n"+
		" Paranoia == %d  Freeze == %d  Trunc == %d  Applylimits == %d\n"+
		" Buffersize == %d \n",
		fs.cfg.Name, bit(fs.fear), bit(fs.frozen), bit(fs.trunc), bit(fs.cfg.Limit != hub.Limit{}), fs.cfg.Size)
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// A ctlHandle is one open of /ctl. It may come to host a shell: then its reads
// are the words that the host is to obey. Or it makes pipes, and reads which.
type ctlHandle struct {
	f    *ctlFile
	c    *tree.Caller
	text *handles.Text // only the reading lane touches it

	// guarded by fs.mu
	hosts *shell          // whose process the writer runs; nil: none, or it has ended
	words handles.Lines   // what it is told; set with hosts, and stays
	read  *handles.Cursor // on words; nil: it never hosted
	pipes bool            // one was made here, and reads tell of them
	made  string          // what they have to tell yet
}

// WriteAt does the commands in p.
func (h *ctlHandle) WriteAt(p []byte, off int64) (int, error) {
	err := lex.Each(p, func(args []string) error { return lex.Do(ctlWords(h), args) })
	if err != nil {
		return 0, err
	}
	h.f.wrote(&h.c.User)
	return len(p), nil
}

// ReadStream reads the status, or what a host or who made pipes is told.
func (h *ctlHandle) ReadStream(dst []tree.Piece, off int64, max int, wake func()) ([]tree.Piece, bool, error) {
	h.f.fs.mu.Lock()
	read, pipes := h.read, h.pipes
	h.f.fs.mu.Unlock()
	switch {
	case read != nil:
		return read.ReadStream(dst, off, max, wake)
	case pipes:
		return h.readPipes(dst, max), true, nil
	}
	return h.text.ReadStream(dst, off, max)
}

// CancelRead withdraws a read that waits.
func (h *ctlHandle) CancelRead() {
	h.f.fs.mu.Lock()
	read := h.read
	h.f.fs.mu.Unlock()
	if read != nil {
		read.CancelRead()
	}
}

// Close ends the open, and with it the hosting.
func (h *ctlHandle) Close() error {
	fs := h.f.fs
	fs.mu.Lock()
	defer fs.unlock()
	_ = h.text.Close() // never fails
	if h.hosts != nil {
		fs.lostLocked(h.hosts)
	}
	if h.read != nil {
		words := h.words
		fs.later(func() { words.Hub.Close() })
	}
	return nil
}
