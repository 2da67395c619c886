package lex

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"hubfs/tree"
)

// A Word is a command of a ctl file.
type Word struct {
	Name string
	Args string // as a manual shows them
	Help string // what it does

	min, max int // arguments; max -1: any number
	do       func(args []string) error
}

// Command returns a Word that takes at least min arguments and at most max, or
// any number if max is -1. do may leave what is wrong with them to Malformed.
func Command(name, args, help string, min, max int, do func(args []string) error) Word {
	return Word{Name: name, Args: args, Help: help, min: min, max: max, do: do}
}

// A badCommand says what is wrong with a command that is unknown or malformed.
// Of such a one nothing is done.
type badCommand string

func (e badCommand) Error() string { return string(e) }
func (e badCommand) Unwrap() error { return tree.ErrInvalid }

// Malformed is the error for arguments that a word cannot take. What was
// expected instead, Do adds.
func Malformed(format string, args ...any) error {
	return badCommand(fmt.Sprintf(format, args...))
}

// Do does the command in line, which is not empty.
func Do(words []Word, line []string) error {
	name, args := line[0], line[1:]
	i := slices.IndexFunc(words, func(w Word) bool { return w.Name == name })
	if i < 0 {
		names := make([]string, len(words))
		for i, w := range words {
			names[i] = w.Name
		}
		return Malformed("unknown command %q: expected %s", Clip(name), strings.Join(names, ", "))
	}
	w := words[i]
	err := Malformed("%d arguments", len(args))
	if len(args) >= w.min && (w.max < 0 || len(args) <= w.max) {
		err = w.do(args)
	}
	var bad badCommand
	if errors.As(err, &bad) {
		usage := strings.TrimSpace(w.Name + " " + w.Args)
		return Malformed("%s: %s: expected %s (%s)", w.Name, string(bad), usage, w.Help)
	}
	return err
}
