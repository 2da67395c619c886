package hubfs

import (
	"fmt"

	"hubfs/internal/lex"
	"hubfs/tree"
)

// listenWords are the commands of /ctl that open and close ways to the server.
// A server that was not given them in its Config has none.
func (fs *FS) listenWords(c *tree.Caller) []lex.Word {
	var words []lex.Word
	add := func(name, help string, do func(addr string) error) {
		if do == nil {
			return
		}
		words = append(words, lex.Command(name, "ADDR", help, 1, 1, func(args []string) error {
			if err := checkLevel(c, "", tree.LevelOwn); err != nil {
				return err
			}
			if err := checkText(args[0]); err != nil {
				return err
			}
			if err := do(args[0]); err != nil {
				return fmt.Errorf("%s %s: %w", name, lex.Clip(args[0]), err)
			}
			return nil
		}))
	}
	add("listen", "take connections at this address too", fs.cfg.Listen)
	add("unlisten", "take none there any more; those that there are stay", fs.cfg.Unlisten)
	return words
}

// listenLines are the lines of /status for the addresses.
func (fs *FS) listenLines() (lines []string) {
	if fs.cfg.Listeners == nil {
		return nil
	}
	for _, addr := range fs.cfg.Listeners() {
		lines = append(lines, "listen "+lex.Field(addr)+"\n")
	}
	return lines
}
