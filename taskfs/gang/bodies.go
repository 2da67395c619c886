package gang

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"hubfs/taskfs/cluster"
	"hubfs/taskfs/frame"
	"hubfs/taskfs/ranks"
	"hubfs/taskfs/task"
)

// What is in the frames of sessions:
//
//	Offer, Reserve     a request, as JSON
//	Offered            an offered, as JSON
//	Reserved           a place, as JSON, in as many frames as it takes, see split
//	Failed             a failed, as JSON
//	Exec               an execution, as JSON
//	Exited             a list of endings, as JSON
//	Started, Ready, CloseInput   ranks, as text
//	Signal             the name, a blank, ranks
//	Input, Push        binary, see appendInput and appendPiece
//	Output             what gather.Relay makes of it
//	Pushed             a pushed, as JSON
//	Credit, up         the numbers of Inputs that are taken, as uvarints
//	Credit, down       how many bytes of Output may come besides, as uvarint
//	Release, Released  nothing

// offered answers an Offer.
type offered struct {
	Slots, Free int
	Nodes       int       // machines that match
	Found       ranks.Set // which of the request's Names are there
}

// failed says that what was asked could not be done.
type failed struct{ Code, Text string }

// codes are the errors that stay what they are on their way up.
var codes = map[string]error{
	"remote": ErrNoRemote, "match": ErrNoMatch, "insufficient": ErrInsufficient, "released": ErrReleased,
}

func failedBody(err error) []byte {
	f := failed{Text: err.Error()}
	for code, known := range codes {
		if errors.Is(err, known) {
			f.Code = code
		}
	}
	return body(f)
}

// A failureError is a node's refusal.
type failureError struct {
	text string
	is   error
}

func (e *failureError) Error() string { return e.text }
func (e *failureError) Unwrap() error { return e.is }

// failure returns what a child has answered as an error.
func failure(node string, f frame.Frame) error {
	var e failed
	if f.Kind != frame.Failed {
		return fmt.Errorf("node %s: an answer of kind %d was not expected", node, f.Kind)
	}
	if err := decode(f.Body, &e); err != nil {
		return fmt.Errorf("node %s: %w", node, err)
	}
	return &failureError{"node " + node + ": " + cluster.OneLine(e.Text), codes[e.Code]}
}

// execution is a Spec on its way. Arguments are bytes: they need not be UTF-8.
type execution struct {
	Set          ranks.Set
	Argv, Env    [][]byte
	Dir, Session []byte
	Umask        int
	Records      bool `json:",omitempty"`
	NoInput      bool `json:",omitempty"`
}

func executionOf(set ranks.Set, s *Spec) execution {
	return execution{set, toBytes(s.Argv), toBytes(s.Env), []byte(s.Dir), []byte(s.Session), s.Umask, s.Records, s.NoInput}
}

func (x *execution) spec() *Spec {
	return &Spec{toStrings(x.Argv), string(x.Dir), toStrings(x.Env), x.Umask, string(x.Session), x.Records, x.NoInput}
}

func toBytes(list []string) [][]byte {
	b := make([][]byte, len(list))
	for i, s := range list {
		b[i] = []byte(s)
	}
	return b
}

func toStrings(list [][]byte) []string {
	s := make([]string, len(list))
	for i, b := range list {
		s[i] = string(b)
	}
	return s
}

// An ending says what became of tasks of one node.
type ending struct {
	Node   string `json:"n,omitempty"` // path from the sender
	Epoch  uint64 `json:"e,omitempty"`
	Exits  []exit `json:"x,omitempty"`
	Lost   ranks.Set
	Fenced ranks.Set
}

// An exit is a task.Exit. Thousands of them travel at once.
type exit struct {
	Rank   int    `json:"r"`
	PID    int    `json:"p,omitempty"`
	Status string `json:"s"`
	User   int64  `json:"u,omitempty"` // nanoseconds
	Sys    int64  `json:"k,omitempty"`
	Real   int64  `json:"t,omitempty"`
}

func exitOf(e task.Exit) exit {
	return exit{e.Rank, e.PID, e.Status, int64(e.User), int64(e.Sys), int64(e.Real)}
}

// check refuses what people cannot be told.
func (e *ending) check() error {
	if e.Node == "" {
		return nil
	}
	return cluster.CheckPath(e.Node)
}

func (e *ending) exits() []task.Exit {
	list := make([]task.Exit, len(e.Exits))
	for i, x := range e.Exits {
		list[i] = task.Exit{Rank: x.Rank, PID: x.PID, Status: cluster.OneLine(x.Status),
			User: time.Duration(x.User), Sys: time.Duration(x.Sys), Real: time.Duration(x.Real)}
	}
	return list
}

// body returns v as JSON. Only values of this file are given to it, of which all
// can be written so.
func body(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// decode reads what another node has sent.
func decode(b []byte, v any) error {
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("what it says cannot be read: %w", err)
	}
	return nil
}

// split cuts what may be too long for a frame into bodies that begin with 1 if
// another follows, and with 0 if none does.
func split(b []byte) [][]byte {
	const most = frame.MaxBody / 2
	var list [][]byte
	for len(b) > most {
		list = append(list, append([]byte{1}, b[:most]...))
		b = b[most:]
	}
	return append(list, append([]byte{0}, b...))
}

// appendInput returns the body of an Input frame: a number by which the child
// says that it was taken, whether the record goes on, the ranks, the bytes.
func appendInput(num uint64, set ranks.Set, in *input) []byte {
	text := set.String()
	b := make([]byte, 0, len(in.p)+len(text)+24)
	b = binary.AppendUvarint(b, num)
	more := byte(0)
	if in.more {
		more = 1
	}
	b = append(b, more)
	b = binary.AppendUvarint(b, uint64(len(text)))
	b = append(b, text...)
	return append(b, in.p...)
}

// parseInput reads what appendInput has made. p is part of b.
func parseInput(b []byte) (num uint64, more bool, set ranks.Set, p []byte, err error) {
	num, n := binary.Uvarint(b)
	if n <= 0 || n >= len(b) {
		return 0, false, set, nil, errShort
	}
	more = b[n] == 1
	b = b[n+1:]
	text, p, err := field(b)
	if err == nil {
		set, err = ranks.Parse(string(text))
	}
	return num, more, set, p, err
}

var errShort = errors.New("a frame is too short")

// field splits b behind a field with its length before it.
func field(b []byte) (f, rest []byte, err error) {
	size, n := binary.Uvarint(b)
	if n <= 0 || size > uint64(len(b)-n) {
		return nil, nil, errShort
	}
	return b[n : n+int(size)], b[n+int(size):], nil
}

func appendUvarints(b []byte, nums ...uint64) []byte {
	for _, n := range nums {
		b = binary.AppendUvarint(b, n)
	}
	return b
}

func uvarints(b []byte) ([]uint64, error) {
	var nums []uint64
	for len(b) > 0 {
		u, n := binary.Uvarint(b)
		if n <= 0 {
			return nil, errShort
		}
		nums = append(nums, u)
		b = b[n:]
	}
	return nums, nil
}
