package hostlist

import (
	"fmt"
	"iter"
	"strconv"
	"strings"
)

// A pattern is one name with its ranges: texts[0] ranges[0] texts[1] and so on.
type pattern struct {
	texts  []string // one more than ranges
	ranges [][]run
}

// A run is the numbers lo, lo+step ... up to hi, written with at least width digits.
type run struct {
	lo, hi, step int64
	width        int
}

func (r run) count() int64 { return (r.hi-r.lo)/r.step + 1 }

// parse reads a name with its ranges.
func parse(w string) (pattern, error) {
	var p pattern
	if err := refuse(w); err != nil {
		return p, err
	}
	for rest := w; ; {
		open := strings.IndexAny(rest, "[]")
		if open < 0 {
			p.texts = append(p.texts, rest)
			return p, literal(rest)
		}
		if rest[open] == ']' {
			return p, fmt.Errorf("a ] without its [")
		}
		text := rest[:open]
		if err := literal(text); err != nil {
			return p, err
		}
		shut := strings.IndexAny(rest[open+1:], "[]")
		if shut < 0 || rest[open+1+shut] == '[' {
			return p, fmt.Errorf("a [ without its ], expected [1-16,20]")
		}
		runs, err := parseRuns(rest[open+1 : open+1+shut])
		if err != nil {
			return p, err
		}
		p.texts = append(p.texts, text)
		p.ranges = append(p.ranges, runs)
		if len(p.ranges) > maxName {
			return p, fmt.Errorf("more than %d ranges in a name", maxName)
		}
		rest = rest[open+1+shut+1:]
	}
}

// parseRuns reads what is within brackets.
func parseRuns(s string) ([]run, error) {
	var runs []run
	for part := range strings.SplitSeq(s, ",") {
		r, err := parseRun(strings.TrimSpace(part))
		if err != nil {
			return nil, err
		}
		runs = append(runs, r)
	}
	return runs, nil
}

// parseRun reads A, A-B or A-B/STEP.
func parseRun(s string) (run, error) {
	bounds, stepText, stepped := strings.Cut(s, "/")
	loText, hiText, ranged := strings.Cut(bounds, "-")
	if stepped && !ranged {
		return run{}, fmt.Errorf("range %s: a step without an end, expected FROM-TO/STEP", quote(s))
	}
	if !ranged {
		hiText = loText
	}
	r := run{step: 1}
	var err error
	if r.lo, err = number(loText); err == nil {
		if r.hi, err = number(hiText); err == nil && stepped {
			r.step, err = number(stepText)
		}
	}
	switch {
	case err != nil:
		return run{}, fmt.Errorf("range %s: %w", quote(s), err)
	case r.hi < r.lo:
		return run{}, fmt.Errorf("range %s: it ends before it begins", quote(s))
	case r.step == 0:
		return run{}, fmt.Errorf("range %s: a step of 0", quote(s))
	case padded(hiText) && len(hiText) != len(loText):
		return run{}, fmt.Errorf("range %s: zeros before the end but not as many digits at the beginning, expected %0*d-%s",
			quote(s), len(hiText), r.lo, hiText)
	}
	if padded(loText) {
		r.width = len(loText)
	}
	return r, nil
}

// padded reports whether a number is written with zeros before it.
func padded(s string) bool { return len(s) > 1 && s[0] == '0' }

// number reads a number of digits alone.
func number(s string) (int64, error) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, fmt.Errorf("%s is no number, expected 1-16,20", quote(s))
	}
	if len(s) > maxDigits {
		return 0, fmt.Errorf("a number of %d digits, expected at most %d", len(s), maxDigits)
	}
	return strconv.ParseInt(s, 10, 64)
}

// count returns how many names there are, or most if there are more.
func (p pattern) count(most int) int {
	total := int64(1)
	for _, runs := range p.ranges {
		var n int64
		for _, r := range runs {
			if n += r.count(); n >= int64(most) {
				return most
			}
		}
		if total *= n; total >= int64(most) {
			return most
		}
	}
	return int(total)
}

// names gives the names, the last range changing fastest.
func (p pattern) names() iter.Seq[string] {
	return func(yield func(string) bool) {
		p.walk(nil, 0, func(name []byte) bool { return yield(string(name)) })
	}
}

// walk gives the names that begin with name, of which i ranges are decided.
func (p pattern) walk(name []byte, i int, yield func([]byte) bool) bool {
	name = append(name, p.texts[i]...)
	if i == len(p.ranges) {
		return yield(name)
	}
	for _, r := range p.ranges[i] {
		for n := r.lo; ; n += r.step {
			if !p.walk(fmt.Appendf(name, "%0*d", r.width, n), i+1, yield) {
				return false
			}
			if n > r.hi-r.step {
				break
			}
		}
	}
	return true
}
