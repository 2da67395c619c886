package fence

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// params are those of a method, which takes out what it knows.
type params struct {
	left map[string]string
	err  error // the first mistake
}

func newParams(m map[string]string) *params { return &params{left: maps.Clone(m)} }

func (p *params) take(key string) (string, bool) {
	v, ok := p.left[key]
	delete(p.left, key)
	return v, ok
}

func (p *params) mistake(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf(format, args...)
	}
}

// duration is one that is not negative, or def.
func (p *params) duration(key string, def time.Duration) time.Duration {
	v, ok := p.take(key)
	if !ok {
		return def
	}
	d, err := time.ParseDuration(v)
	if err != nil || d < 0 {
		p.mistake("%s=%s: expected a time as 30s or 2m", key, v)
	}
	return d
}

// yes is yes or no, or def.
func (p *params) yes(key string, def bool) bool {
	switch v, ok := p.take(key); {
	case !ok:
		return def
	case v == "yes", v == "no":
		return v == "yes"
	default:
		p.mistake("%s=%s: expected yes or no", key, v)
		return def
	}
}

// oneOf is one of values, the first if it is not there.
func (p *params) oneOf(key string, values ...string) string {
	v, ok := p.take(key)
	if !ok {
		return values[0]
	}
	if !slices.Contains(values, v) {
		p.mistake("%s=%s: expected one of %q", key, v, values)
	}
	return v
}

// end returns the first mistake, which may be a parameter that nobody took.
// expected says what there is.
func (p *params) end(expected string) error {
	for _, key := range slices.Sorted(maps.Keys(p.left)) {
		if key == "" {
			p.mistake("unexpected %q: expected %s", p.left[""], expected)
		} else {
			p.mistake("unknown parameter %q: expected %s", key, expected)
		}
	}
	return p.err
}
