package session

import (
	"fmt"
	"strconv"

	"hubfs/internal/lex"
)

// NS is the file ns: the lines that make the tasks' surroundings, as far as these
// can be chosen on a Unix.
func NS(dir string, umask int) string {
	text := ""
	if dir != "" {
		text += "cd " + lex.Quote(dir) + "\n"
	}
	if umask >= 0 {
		text += fmt.Sprintf("umask %04o\n", umask)
	}
	return text
}

// NSWords are the commands of the file.
func NSWords(dir func(string) error, umask func(int) error) []lex.Word {
	return []lex.Word{
		lex.Command("cd", "PATH", "where tasks start", 1, 1, func(args []string) error { return dir(args[0]) }),
		lex.Command("umask", "MASK", "of tasks, in octal", 1, 1, func(args []string) error {
			n, err := strconv.ParseUint(args[0], 8, 32)
			if err != nil || n > 0o777 {
				return lex.Malformed("%q is not a mask of 000 to 777", lex.Clip(args[0]))
			}
			return umask(int(n))
		}),
	}
}
