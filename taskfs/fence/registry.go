package fence

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// A Registry is the methods that policies can name.
type Registry struct {
	mu      sync.Mutex
	methods map[string]*registered // guarded by mu
}

type registered struct {
	new  New // immutable
	uses int // policies that name it; guarded by mu of the Registry
}

// NewRegistry returns a Registry with the methods of this package.
func NewRegistry() *Registry {
	r := &Registry{methods: make(map[string]*registered)}
	for name, n := range map[string]New{
		"none": newNone, "watchdog": newWatchdog, "kill": newKill, "command": newCommand, "manual": newManual,
	} {
		if err := r.Register(name, n); err != nil {
			panic("fence: " + err.Error()) // a mistake in the table above
		}
	}
	return r
}

// Register adds a method. A name that is taken is an error.
func (r *Registry) Register(name string, n New) error {
	if name == "" || strings.ContainsFunc(name, func(c rune) bool {
		return !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '_' || c == '-')
	}) {
		return fmt.Errorf("fencing method %q: expected a name of a-z, 0-9, _ and -", name)
	}
	if n == nil {
		return fmt.Errorf("fencing method %s: nothing makes it", name)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.methods[name] != nil {
		return fmt.Errorf("fencing method %s is registered already", name)
	}
	r.methods[name] = &registered{new: n}
	return nil
}

// Unregister removes a method. One that a policy names, which is not closed, stays.
func (r *Registry) Unregister(name string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch m := r.methods[name]; {
	case m == nil:
		return r.unknownLocked(name)
	case m.uses > 0:
		return fmt.Errorf("fencing method %s is in use", name)
	}
	delete(r.methods, name)
	return nil
}

func (r *Registry) unknownLocked(name string) error {
	names := slices.Sorted(maps.Keys(r.methods))
	if len(names) == 0 {
		return fmt.Errorf("unknown fencing method %q: there is none", name)
	}
	return fmt.Errorf("unknown fencing method %q: expected one of %s", name, strings.Join(names, ", "))
}

// make makes the method of that name, which is in use from then on.
func (r *Registry) make(name string, params map[string]string) (Method, error) {
	r.mu.Lock()
	m := r.methods[name]
	if m == nil {
		defer r.mu.Unlock()
		return nil, r.unknownLocked(name)
	}
	m.uses++
	r.mu.Unlock()
	made, err := m.new(params)
	if err == nil && made == nil {
		err = errors.New("nothing was made")
	}
	if err != nil {
		r.release(name)
		return nil, fmt.Errorf("fencing method %s: %w", name, err)
	}
	return made, nil
}

// release says that a policy does not name the method any more.
func (r *Registry) release(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.methods[name].uses--
}
