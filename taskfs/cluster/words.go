package cluster

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// version is that of what nodes say to one another.
const version = 1

// Limits on what a node says of itself and of others.
const (
	maxName   = 255
	maxWord   = 64
	maxLabels = 64
	maxCensus = 1000
	maxAbove  = 1000
	maxCount  = 1 << 30
	maxReason = 1000
)

// Limits on what the node above says about beats.
const (
	minPeriod = time.Millisecond
	maxPeriod = time.Hour
	maxMissed = 1000
	maxAfter  = maxMissed * maxPeriod
)

// A hello is the first word of the lower node.
type hello struct {
	Version int
	Side    string // "below": where this node wants to be
	Info    Info
	Load    Load
	Below   int           // nodes right below it, in whatever state
	After   time.Duration // what is below it may run so much longer than it
	Seq     uint64        // how many times this run of the program has said hello, to whomever
	Runs    []past        `json:",omitempty"` // what is not known to have ended of earlier links
}

// A past is an earlier link of the lower node, to whomever.
type past struct {
	Seq    uint64 // of its hello
	Ending bool   `json:",omitempty"` // the link has ended, and what ran for it is about to
}

// A welcome is the answer to a hello.
type welcome struct {
	Version        int
	Side           string // "above"
	Name           string // the lower node is called so here
	Epoch          uint64
	Period         time.Duration
	Missed         int
	Node, Instance string // the upper node
	Above          []ancestor
}

// An ancestor is a node above, nearest first.
type ancestor struct{ Name, Instance string }

// An upBeat is a beat of the lower node.
type upBeat struct {
	Seq   uint64
	Load  Load
	Below int
	After time.Duration
	Ended []uint64 `json:",omitempty"` // epochs of earlier links of which nothing runs any more
}

// A downBeat is a beat of the upper node: the answer to one of the lower.
type downBeat struct {
	Seq   uint64      // of the latest that has come
	Above *[]ancestor `json:",omitempty"` // if they have changed
}

// A leave is the last word of a node, and also how one is refused. From below
// it says that nothing runs there any more.
type leave struct {
	Reason  string
	Gone    bool `json:",omitempty"` // from above: do not come back
	Refused bool `json:",omitempty"` // from above: in place of a welcome
}

// A question is asked by the upper node.
type question struct {
	ID     uint64
	Op     string        // "rows", "drain", "undrain", "rm", "ack", "fence", "end"
	Path   string        `json:",omitempty"` // of the node that is meant, from the one that is asked
	Epoch  uint64        `json:",omitempty"` // "end": the link whose tasks are to end
	Within time.Duration `json:",omitempty"`
}

// An answer is given to a question, in one or several parts.
type answer struct {
	ID   uint64
	Err  string `json:",omitempty"`
	Rows []Row  `json:",omitempty"`
	More bool   `json:",omitempty"` // another part follows
}

// encode returns what a frame of the link says.
func encode(v any) []byte {
	p, err := json.Marshal(v)
	if err != nil {
		panic("cluster: a body that is no JSON: " + err.Error()) // of our own types alone
	}
	return p
}

// decode reads what a frame of the link says.
func decode(what string, p []byte, v any) error {
	if err := json.Unmarshal(p, v); err != nil {
		return fmt.Errorf("%s that cannot be read: %w", what, err)
	}
	return nil
}

func newInstance() string { return rand.Text() }

// CheckName says what is wrong with a node's name.
func CheckName(name string) error {
	switch {
	case name == "" || name == "." || name == "..":
		return fmt.Errorf("%q is no name of a node", name)
	case len(name) > maxName:
		return fmt.Errorf("the name of a node has %d bytes: %d may be", len(name), maxName)
	case !clean(name) || strings.ContainsRune(name, '/'):
		return fmt.Errorf("the name of a node is %q: want no blanks, slashes or control characters", name)
	}
	return nil
}

// maxPath is how long the path of a node may be.
const maxPath = 4096

// CheckPath says what is wrong with the path of a node: names, with slashes between.
func CheckPath(path string) error {
	if len(path) > maxPath {
		return fmt.Errorf("the path of a node has %d bytes: %d may be", len(path), maxPath)
	}
	for name := range strings.SplitSeq(path, "/") {
		if err := CheckName(name); err != nil {
			return fmt.Errorf("the path of a node is %q: %w", OneLine(path), err)
		}
	}
	return nil
}

// clean reports whether s is one word that can stand in a line.
func clean(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r)
	})
}

// OneLine makes a reason that somebody else gave fit for a line.
func OneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if len(s) > maxReason {
		s = strings.ToValidUTF8(s[:maxReason], "")
	}
	return s
}

func word(s string) bool { return s != "" && len(s) <= maxWord && clean(s) }

func (i Info) check() error {
	if err := CheckName(i.Name); err != nil {
		return err
	}
	switch {
	case !word(i.OS), !word(i.Arch):
		return fmt.Errorf("node %s has system %q and machine %q: want one short word each", i.Name, i.OS, i.Arch)
	case !word(i.Instance):
		return fmt.Errorf("node %s has instance %q: want one short word", i.Name, i.Instance)
	case i.Slots < 0 || i.Slots > maxCount:
		return fmt.Errorf("node %s has %d slots: want 0 to %d", i.Name, i.Slots, maxCount)
	case i.Memory < 0:
		return fmt.Errorf("node %s has %d bytes of memory", i.Name, i.Memory)
	case len(i.Labels) > maxLabels:
		return fmt.Errorf("node %s has %d labels: %d may be", i.Name, len(i.Labels), maxLabels)
	}
	for _, l := range i.Labels {
		if l == "" || len(l) > maxName || !clean(l) {
			return fmt.Errorf("node %s has label %q: want one word", i.Name, l)
		}
	}
	return nil
}

func (l Load) check() error {
	if l.Slots < 0 || l.Slots > maxCount || l.Free < 0 || l.Free > maxCount || !(l.Load >= 0 && l.Load < 1e9) {
		return fmt.Errorf("load of %d slots, %d free, load %g", l.Slots, l.Free, l.Load)
	}
	if len(l.Census) > maxCensus {
		return fmt.Errorf("census of %d kinds of nodes: %d may be", len(l.Census), maxCensus)
	}
	for _, c := range l.Census {
		if !word(c.OS) || !word(c.Arch) || c.Nodes < 0 || c.Nodes > maxCount {
			return fmt.Errorf("census of %d nodes of system %q and machine %q", c.Nodes, c.OS, c.Arch)
		}
	}
	return nil
}

func (h hello) check() error {
	switch {
	case h.Version != version:
		return fmt.Errorf("version %d of the words between nodes: want %d", h.Version, version)
	case h.Side != "below":
		return errors.New("both nodes want to be the upper one")
	case len(h.Runs) > maxAbove:
		return fmt.Errorf("%d earlier links: %d may be", len(h.Runs), maxAbove)
	}
	if err := checkBelow(h.Below, h.After); err != nil {
		return err
	}
	if err := h.Info.check(); err != nil {
		return err
	}
	return h.Load.check()
}

func checkBelow(nodes int, after time.Duration) error {
	if nodes < 0 || after < 0 || after > maxAfter {
		return fmt.Errorf("%d nodes below, which end %v after it: want at most %v", nodes, after, time.Duration(maxAfter))
	}
	return nil
}

func (w welcome) check() error {
	switch {
	case w.Version != version:
		return fmt.Errorf("version %d of the words between nodes: want %d", w.Version, version)
	case w.Side != "above":
		return errors.New("both nodes want to be the lower one")
	case !word(w.Instance):
		return fmt.Errorf("instance %q: want one short word", w.Instance)
	case w.Epoch == 0:
		return errors.New("epoch 0")
	case w.Period < minPeriod || w.Period > maxPeriod:
		return fmt.Errorf("a beat every %v: want %v to %v", w.Period, minPeriod, maxPeriod)
	case w.Missed < 1 || w.Missed > maxMissed:
		return fmt.Errorf("%d missed beats: want 1 to %d", w.Missed, maxMissed)
	}
	if err := CheckName(w.Node); err != nil {
		return err
	}
	if err := CheckName(w.Name); err != nil {
		return err
	}
	return checkAbove(w.Above)
}

func checkAbove(as []ancestor) error {
	if len(as) > maxAbove {
		return fmt.Errorf("%d nodes above: %d may be", len(as), maxAbove)
	}
	for _, a := range as {
		if !word(a.Instance) {
			return fmt.Errorf("instance %q of a node above: want one short word", a.Instance)
		}
		if err := CheckName(a.Name); err != nil {
			return err
		}
	}
	return nil
}
