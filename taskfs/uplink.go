package taskfs

import (
	"hubfs/taskfs/cluster"
	"hubfs/tree"
)

// An uplinkFile is /remote/uplink: who opens it has this node below it.
type uplinkFile struct {
	meta
	fs *FS
}

// Open makes a link to a node above.
func (f *uplinkFile) Open(c *tree.Caller, mode uint8) (tree.Handle, error) {
	if err := mayRun(c); err != nil {
		return nil, err
	}
	if !tree.Readable(mode) || !tree.Writable(mode) {
		return nil, tree.ErrPermission
	}
	fs := f.fs
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.closing {
		return nil, errClosing
	}
	h, link := cluster.NewUplink(c)
	fs.uplink.Add(1)
	// Ends with the link, which the handle's Close ends, or with the FS.
	go func() {
		defer fs.uplink.Done()
		if err := fs.node.Above(fs.ctx, link); err != nil && fs.ctx.Err() == nil {
			fs.cfg.Log.Info("a link to a node above has ended", "addr", c.Addr, "err", err)
		}
	}()
	return h, nil
}
