package hubfs

import (
	"fmt"

	"hubfs/hub"
	"hubfs/tree"
)

// A room is what the hubs that one guest has made retain together. It is there
// as long as one of them is, under a name or not.
type room struct {
	budget *hub.Budget
	hubs   int
}

// roomLocked says whether c, or with nil the server itself, may make n more hubs
// or directories. A guest may make its share, lest there is none for the others.
func (fs *FS) roomLocked(c *tree.Caller, n int) error {
	if fs.closing {
		return errClosing
	}
	if fs.nodes+n > fs.cfg.MaxHubs {
		return fmt.Errorf("the server has no room for %d more hubs or directories, %d may be: %w", n, fs.cfg.MaxHubs, tree.ErrLimit)
	}
	if c == nil || c.Rights == nil || mayAll(c, tree.LevelOwn) {
		return nil
	}
	if most := guestMost(fs.cfg.MaxHubs, hubsOfShell); fs.root.madeLocked(c.User)+n > most {
		return fmt.Errorf("%s has no room for %d more hubs or directories, %d may be: %w", c.User, n, most, tree.ErrLimit)
	}
	return nil
}

// madeLocked returns how much of what is in the directory, and below, a user has
// made.
func (d *dir) madeLocked(user string) (n int) {
	for _, k := range d.kids {
		switch k := k.(type) {
		case *hubFile:
			if k.owner == user {
				n++
			}
		case *dir:
			if k.owner == user {
				n++
			}
			n += k.madeLocked(user)
		case *remoteDir:
			n += k.hubs.madeLocked(user)
		}
	}
	return n
}

// shellRoomLocked says whether c may make one more shell.
func (fs *FS) shellRoomLocked(c *tree.Caller) error {
	if len(fs.byName) >= fs.cfg.MaxShells {
		return fmt.Errorf("the server has %d shells, %d may be; rm removes those that ended: %w",
			len(fs.byName), fs.cfg.MaxShells, tree.ErrLimit)
	}
	if c.Rights == nil || mayAll(c, tree.LevelOwn) {
		return nil
	}
	made, most := 0, guestMost(fs.cfg.MaxShells, 1)
	for _, s := range fs.byName {
		if s.owner == c.User {
			made++
		}
	}
	if made >= most {
		return fmt.Errorf("%s has %d shells, no more may be; rm removes those that ended: %w", c.User, made, tree.ErrLimit)
	}
	return nil
}

// retainedLocked is what the hubs that c makes may retain: a guest's together its
// share.
func (fs *FS) retainedLocked(c *tree.Caller) (*hub.Budget, *room) {
	if c.Rights == nil || mayAll(c, tree.LevelOwn) {
		return fs.budget, nil
	}
	r := fs.rooms[c.User]
	if r == nil {
		r = &room{budget: fs.budget.Share(fs.guestRetains())}
		fs.rooms[c.User] = r
	}
	r.hubs++
	return r.budget, r
}

// guestRetains is how many bytes the hubs of one guest retain together, and how
// many it may have one hub retain.
func (fs *FS) guestRetains() int64 { return max(fs.cfg.MaxRetained/guestShare, fs.cfg.Size) }

// leaveLocked is for a hub that retains nothing any more.
func (f *hubFile) leaveLocked() {
	r := f.room
	f.room = nil
	if r == nil {
		return
	}
	if r.hubs--; r.hubs == 0 && f.fs.rooms[f.owner] == r {
		delete(f.fs.rooms, f.owner)
	}
}
