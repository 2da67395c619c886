package ranks

import (
	"fmt"
	"strconv"
	"strings"
)

// String returns the set as Parse reads it: "0-5,7". The empty set is "".
func (s Set) String() string { return string(s.append(nil)) }

func (s Set) append(b []byte) []byte {
	for i, p := range s.spans {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(p.lo), 10)
		if p.hi-p.lo > 1 {
			b = append(b, '-')
			b = strconv.AppendInt(b, int64(p.hi-1), 10)
		}
	}
	return b
}

// Parse reads a set as "0-5,7", in any order. What it costs follows the length
// of the text, not the number of ranks.
func Parse(text string) (Set, error) {
	var s Set
	if text == "" {
		return s, nil
	}
	sorted := true
	for item := range strings.SplitSeq(text, ",") {
		from, to, isSpan := strings.Cut(item, "-")
		lo, err := number(from)
		hi := lo
		if err == nil && isSpan {
			hi, err = number(to)
		}
		if err != nil {
			return Set{}, fmt.Errorf("ranks %q: %w: a rank or a span, as 3 or 0-5, was expected", short(text), err)
		}
		if hi < lo {
			return Set{}, fmt.Errorf("ranks %q: the span %q goes down", short(text), item)
		}
		// Spans that meet stay apart until they are in order.
		sorted = sorted && (len(s.spans) == 0 || s.spans[len(s.spans)-1].hi < lo)
		s.spans = append(s.spans, span{lo, hi + 1})
	}
	if sorted {
		return s, nil
	}
	return joined(s.spans), nil
}

// number reads one rank.
func number(text string) (int, error) {
	if text == "" {
		return 0, fmt.Errorf("a number is missing")
	}
	if strings.Trim(text, "0123456789") != "" {
		return 0, fmt.Errorf("%q is no number", short(text))
	}
	n, err := strconv.Atoi(text)
	if err != nil || n >= Limit {
		return 0, fmt.Errorf("%s is above the highest rank, %d", short(text), Limit-1)
	}
	return n, nil
}

// short cuts a text for a message.
func short(text string) string {
	if len(text) > 40 {
		return text[:40] + "..."
	}
	return text
}

// MarshalText is String, for JSON.
func (s Set) MarshalText() ([]byte, error) { return s.append([]byte{}), nil }

// UnmarshalText is Parse, for JSON.
func (s *Set) UnmarshalText(text []byte) (err error) {
	*s, err = Parse(string(text))
	return err
}
