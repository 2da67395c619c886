package hubfs

// later queues what must be told to others (a hub, a process, a reader) once
// mu is unlocked: calls out of the package are never made under mu, and yet
// they come in the order in which the changes were made that they tell of. fn
// must not block and must not call back into the FS. mu is held.
func (fs *FS) later(fn func()) { fs.posts = append(fs.posts, fn) }

// unlock unlocks mu and does what was queued under it. When it returns, all
// that the caller queued has been done, be it by another goroutine.
func (fs *FS) unlock() {
	mine := len(fs.posts) > 0
	fs.mu.Unlock()
	if mine {
		fs.flush()
	}
}

// flush does what is queued. postMu is a lock whose job is to keep an order,
// and is held while calling out for that reason.
func (fs *FS) flush() {
	fs.postMu.Lock()
	defer fs.postMu.Unlock()
	fs.mu.Lock()
	posts := fs.posts
	fs.posts = nil
	fs.mu.Unlock()
	for _, fn := range posts {
		fn()
	}
}
