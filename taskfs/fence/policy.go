package fence

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"sync"

	"hubfs/hostlist"
	"hubfs/internal/lex"
)

// A Policy says which methods are tried for which node, and in which order. Its
// zero value has the method watchdog for all.
type Policy struct {
	reg   *Registry
	rules []rule // in the order of the text; immutable

	closing sync.Once
}

// A rule is a line of the text.
type rule struct {
	glob   string          // a pattern; "" if names says who is meant
	names  map[string]bool // nil if glob does
	name   string          // of the method
	method Method
}

// maxText bounds a policy's text.
const maxText = 1 << 20

// ParsePolicy reads the text of a policy, whose methods are those of reg. It
// keeps them in use until the Policy is closed.
func ParsePolicy(reg *Registry, text string) (*Policy, error) {
	if len(text) > maxText {
		return nil, fmt.Errorf("fencing policy of %d bytes: expected at most %d", len(text), maxText)
	}
	p := &Policy{reg: reg}
	if err := lex.Each([]byte(text), p.add); err != nil {
		p.Close()
		return nil, fmt.Errorf("fencing policy: %w", err)
	}
	return p, nil
}

// add takes the words of a line.
func (p *Policy) add(words []string) error {
	if len(words) < 2 {
		return fmt.Errorf("expected NODES METHOD [KEY=VALUE]... instead of %q", lex.Clip(strings.Join(words, " ")))
	}
	r, err := whom(words[0])
	if err != nil {
		return err
	}
	params := make(map[string]string)
	for _, w := range words[2:] {
		key, value, ok := strings.Cut(w, "=")
		if !ok {
			key, value = "", w
		} else if key == "" {
			return fmt.Errorf("%s: expected KEY=VALUE", lex.Clip(w))
		}
		if old, twice := params[key]; twice && ok {
			return fmt.Errorf("%s is there twice", lex.Clip(key))
		} else if twice {
			return fmt.Errorf("%s and %s: expected one word, and KEY=VALUE", lex.Clip(old), lex.Clip(value))
		}
		params[key] = value
	}
	r.name = words[1]
	if r.method, err = p.reg.make(r.name, params); err != nil {
		return err
	}
	p.rules = append(p.rules, r)
	return nil
}

// whom reads which nodes a rule is for.
func whom(nodes string) (rule, error) {
	if !strings.ContainsAny(nodes, "*?") {
		list, err := hostlist.Expand(nodes, 0)
		if err != nil {
			return rule{}, err
		}
		r := rule{names: make(map[string]bool, len(list))}
		for _, name := range list {
			r.names[name] = true
		}
		return r, nil
	}
	// In path.Match brackets hold letters, and in a list of hosts numbers: who
	// means the one must not get the other.
	if strings.ContainsAny(nodes, `[]\,`) {
		return rule{}, fmt.Errorf("nodes %s: expected a list as node[1-16],login, or a pattern of one name with * and ?", lex.Clip(nodes))
	}
	return rule{glob: nodes}, nil
}

func (r *rule) matches(name string) bool {
	if r.names != nil {
		return r.names[name]
	}
	ok, err := path.Match(r.glob, name)
	return ok && err == nil
}

// steps returns the methods for a node in their order.
func (p *Policy) steps(name string) []rule {
	var own, others []rule
	for _, r := range p.rules {
		switch {
		case r.glob == "*":
			others = append(others, r)
		case r.matches(name):
			own = append(own, r)
		}
	}
	switch {
	case len(own) > 0:
		return own
	case len(others) > 0:
		return others
	}
	return []rule{{name: "watchdog", method: watchdog{defaultSlack}}}
}

// Run fences a node: it tries the methods for it in order until one succeeds,
// and returns its name. event is told of each: with nil when it begins, and
// with the error if it has failed. The error is that of all methods, or the
// context's; then the node may still run things.
//
// Who hears otherwise that nothing runs there, as from a person, ends the context.
func (p *Policy) Run(ctx context.Context, t Target, event func(method string, err error)) (method string, err error) {
	var failed []error
	for _, r := range p.steps(t.Name) {
		event(r.name, nil)
		err := r.method.Fence(ctx, t)
		if err == nil {
			return r.name, nil
		}
		err = fmt.Errorf("%s: %w", r.name, err)
		event(r.name, err)
		failed = append(failed, err)
		if ctx.Err() != nil {
			break
		}
	}
	return "", fmt.Errorf("node %s is not fenced: %w", t.Name, errors.Join(failed...))
}

// Close lets go of the methods, which may be unregistered then. A Run that is
// under way is not disturbed.
func (p *Policy) Close() {
	p.closing.Do(func() {
		for _, r := range p.rules {
			p.reg.release(r.name)
		}
	})
}
