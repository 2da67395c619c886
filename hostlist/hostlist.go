// Package hostlist is the names of many hosts in one word, as pdsh and
// ClusterShell write them: node[01-16,20]-ib[0-1],login.
//
// A list is names apart by commas. A name may hold ranges: brackets around
// numbers, and runs of numbers with an optional step (0-10/2), apart by commas.
// A run whose first number begins with zeros is padded to its width. What a name
// stands for is each number of its first range with each of its second, and so
// on. A name is of letters, digits and .-_:@/+%~= and does not begin with a dash
// (programs that get it would take it for an option) nor with what pdsh and
// ClusterShell write before things that are no hosts: ^FILE, @GROUP, /PATTERN/.
//
// # Hostile input
//
// A list, and what it stands for, is bounded before anything is made of it:
// names, their length, and the digits of a number.
package hostlist

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// DefaultMax is how many hosts a list may stand for if nothing is said.
const DefaultMax = 65536

const (
	maxName   = 255 // bytes of a name
	maxDigits = 18  // of a number, which so is an int64
)

// Expand returns the hosts that a list stands for, each once, in the order in
// which they are first named. More than limit are an error; 0 is DefaultMax.
func Expand(list string, limit int) ([]string, error) {
	if limit <= 0 {
		limit = DefaultMax
	}
	limit = min(limit, 1<<30) // its square is an int64
	words, err := split(list)
	if err != nil {
		return nil, err
	}
	patterns := make([]pattern, 0, min(len(words), limit))
	total := 0 // names, some of them perhaps twice
	for _, w := range words {
		p, err := parse(w)
		if err != nil {
			return nil, fmt.Errorf("hosts %s: %w", quote(w), err)
		}
		n := p.count(limit + 1)
		if n > limit || total+n > 2*limit {
			return nil, tooMany(limit)
		}
		total += n
		patterns = append(patterns, p)
	}
	seen := make(map[string]bool, total)
	hosts := make([]string, 0, total)
	for _, p := range patterns {
		for name := range p.names() {
			if len(name) > maxName {
				return nil, fmt.Errorf("hosts %s: a name of %d bytes, expected at most %d", quote(name), len(name), maxName)
			}
			if !seen[name] {
				seen[name] = true
				hosts = append(hosts, name)
			}
		}
	}
	if len(hosts) > limit {
		return nil, tooMany(limit)
	}
	return hosts, nil
}

func tooMany(limit int) error {
	return fmt.Errorf("host list: more than %d hosts", limit)
}

// split cuts a list at the commas outside of brackets, and takes blanks off.
func split(list string) ([]string, error) {
	var words []string
	for rest := list; ; {
		end, depth := len(rest), 0
		for i := range len(rest) {
			switch rest[i] {
			case '[':
				depth++
			case ']':
				depth--
			case ',':
				if depth <= 0 {
					end = i
				}
			}
			if end < len(rest) {
				break
			}
		}
		w := strings.TrimSpace(rest[:end])
		if w == "" {
			return nil, fmt.Errorf("host list %s: an empty name, expected NAME,NAME or NAME[1-16,20]", quote(list))
		}
		words = append(words, w)
		if end == len(rest) {
			return words, nil
		}
		rest = rest[end+1:]
	}
}

// quote is a word of the user's in an error, of a bounded length.
func quote(s string) string {
	const most = 60
	if len(s) > most {
		return fmt.Sprintf("%q...", s[:most])
	}
	return fmt.Sprintf("%q", s)
}

// refuse says why a name with its ranges cannot be one, by how it begins.
func refuse(w string) error {
	switch w[0] {
	case '-':
		return fmt.Errorf("a name does not begin with a dash; to leave hosts out there is an option of its own")
	case '^':
		return fmt.Errorf("^FILE is not read; expected names, as NAME[1-16,20]")
	case '@':
		return fmt.Errorf("@GROUP is not known; expected names, as NAME[1-16,20]")
	case '/':
		return fmt.Errorf("/PATTERN/ is not known; expected names, as NAME[1-16,20]")
	}
	return nil
}

// legal reports whether a rune may be in a name.
func legal(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		return true
	case r < utf8.RuneSelf:
		return strings.ContainsRune(".-_:@/+%~=", r)
	}
	return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsMark(r))
}

// literal says what is wrong with a piece of a name outside of ranges.
func literal(s string) error {
	for _, r := range s {
		if !legal(r) {
			return fmt.Errorf("%q is not in a host's name; expected letters, digits and .-_:@/+%%~=", r)
		}
	}
	return nil
}
