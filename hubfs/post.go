package hubfs

// later queues what must be told to others (a hub, a process, a reader) once
// mu is unlocked: calls out of the package are never made under mu, and yet
// they come in the order in which the changes were made that they tell of. fn
// must not block. mu is held.
func (fs *FS) later(fn func()) { fs.posts = append(fs.posts, fn) }

// unlock unlocks mu, and does what is queued unless somebody is at it. It is
// for what may run inside of a post: to wake a reader may run the server's
// code, which may close a handle or remove a file, and with that come back
// here. What is queued then is done by the one who is at it.
func (fs *FS) unlock() {
	if fs.posting || len(fs.posts) == 0 {
		fs.mu.Unlock()
		return
	}
	fs.posting = true
	fs.post()
}

// post does what is queued until nothing is. Only one goroutine does so at a
// time, which is what keeps the order; it holds no lock meanwhile. mu is held,
// and unlocked in the end.
func (fs *FS) post() {
	var now []func()
	calling := false
	defer func() {
		if calling { // a panic in one of them: the others are for the next
			fs.mu.Lock()
			fs.posts = append(now, fs.posts...)
		}
		fs.posting = false
		fs.mu.Unlock()
	}()
	for len(fs.posts) > 0 {
		now, fs.posts = fs.posts, nil
		fs.mu.Unlock()
		calling = true
		for len(now) > 0 {
			fn := now[0]
			now = now[1:]
			fn()
		}
		calling = false
		fs.mu.Lock()
	}
}

// unlockDone is unlock, and waits until all that was queued before has been
// done, by whomever. It is for what a client is answered when its effect can
// be seen. It must not be called inside of a post.
func (fs *FS) unlockDone() {
	if !fs.posting && len(fs.posts) == 0 {
		fs.mu.Unlock()
		return
	}
	done := make(chan struct{})
	fs.later(func() { close(done) })
	fs.unlock()
	<-done
}
