package taskfs

import (
	"slices"

	"hubfs/internal/lex"
	"hubfs/taskfs/gang"
	"hubfs/taskfs/session"
)

// words are the commands of the control file of a part.
func (sl *slot) words(p *session.Part) []lex.Word {
	words := p.Words()
	if p.IsWhole() {
		words = append(words, lex.Command("borrow", "ADDR NAME",
			"have the node that listens there below this one until the session is released", 2, 2, sl.borrow))
	}
	return words
}

// borrow is the word of that name. Whoever borrows need not live to give back.
func (sl *slot) borrow(args []string) error {
	if sl.session.Released() {
		return gang.ErrReleased
	}
	if err := sl.fs.add(args); err != nil {
		return err
	}
	sl.mu.Lock()
	sl.borrowed = append(sl.borrowed, args[1])
	sl.mu.Unlock()
	if sl.session.Released() { // meanwhile, and giveBack may have been before us
		sl.giveBack()
		return gang.ErrReleased
	}
	return nil
}

// giveBack lets the nodes go that were borrowed: each goes when its last task has
// ended.
func (sl *slot) giveBack() {
	sl.mu.Lock()
	names := slices.Clone(sl.borrowed)
	sl.borrowed = nil
	sl.mu.Unlock()
	for _, name := range names {
		if err := sl.fs.remove(name); err != nil { // it has gone by itself, or somebody has let it go
			sl.fs.cfg.Log.Info("a borrowed node is not there", "node", name, "err", err)
		}
	}
}
