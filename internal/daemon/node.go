package daemon

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"hubfs/taskfs/cluster"
	"hubfs/transport"
)

// NodeConfig is what the programs' flags say of the server as a node of a tree.
type NodeConfig struct {
	Join      Nodes     // nodes to be below of, which are dialed
	Name      string    // ""; the host's, with the server's NAME if that is not the usual one
	Slots     Count     // tasks at a time; 0: as many as there are processors
	Labels    Labels    // what the node has, as "gpu"
	Executor  bool      // runs tasks though it has nodes below
	Heartbeat Heartbeat // zero: what package cluster has
	Fence     string    // file that says which methods fence which node; "": watchdog for all
}

// maxNodeName is how many bytes the name of a node may have.
const maxNodeName = 64

// info is what the node says of itself.
func (n NodeConfig) info(server transport.Addr) (cluster.Info, error) {
	name := n.Name
	if name == "" {
		host, err := os.Hostname()
		if err != nil {
			return cluster.Info{}, fmt.Errorf("name of the node: %w: expected --node-name", err)
		}
		name = host
		if s := server.String(); server.Local() && s != "default" {
			name += ":" + s
		}
	}
	if err := checkNodeName(name); err != nil {
		return cluster.Info{}, err
	}
	slots := int(n.Slots)
	if slots == 0 {
		slots = runtime.NumCPU()
	}
	return cluster.Info{
		Name: name, OS: runtime.GOOS, Arch: runtime.GOARCH,
		Slots: slots, Memory: memory(), Labels: n.Labels, Executor: n.Executor,
		Instance: rand.Text(),
	}, nil
}

// checkNodeName says whether a node may be called this: it stands in lines that
// others take apart at blanks, in paths and in lists of hosts.
func checkNodeName(name string) error {
	bad := func(r rune) bool {
		return strings.ContainsRune("/,[]", r) || unicode.IsSpace(r) || !unicode.IsGraphic(r)
	}
	if name == "" || len(name) > maxNodeName || !utf8.ValidString(name) || strings.ContainsFunc(name, bad) {
		return fmt.Errorf("name of a node %.70q: expected 1 to %d bytes without blanks, slashes, commas and brackets", name, maxNodeName)
	}
	return nil
}

// Heartbeat is the value of a flag that takes PERIOD or PERIOD,MISSED.
type Heartbeat struct {
	Period time.Duration
	Missed int
}

// Set reads a period, and after how many missed beats a node is lost.
func (h *Heartbeat) Set(s string) error {
	period, missed, two := strings.Cut(s, ",")
	var v Heartbeat
	var err error
	if v.Period, err = time.ParseDuration(period); err == nil && two {
		v.Missed, err = strconv.Atoi(missed)
	}
	if err != nil || v.Period < 10*time.Millisecond || v.Period > time.Hour || two && (v.Missed < 1 || v.Missed > 100) {
		return errors.New("expected a time from 10ms to 1h between two beats, and behind a comma how many may be missed, 1 to 100: 5s or 5s,2")
	}
	*h = v
	return nil
}

// String returns what Set reads.
func (h *Heartbeat) String() string {
	switch {
	case h == nil || h.Period == 0:
		return ""
	case h.Missed == 0:
		return h.Period.String()
	}
	return h.Period.String() + "," + strconv.Itoa(h.Missed)
}

// Type names the value in hub's usage.
func (*Heartbeat) Type() string { return "PERIOD[,MISSED]" }

// Labels is the value of a flag that takes labels, apart by commas, and may be
// repeated.
type Labels []string

// Set adds labels.
func (l *Labels) Set(s string) error {
	for label := range strings.SplitSeq(s, ",") {
		if err := checkNodeName(label); err != nil || strings.ContainsAny(label, "=") {
			return fmt.Errorf("expected labels as gpu or gpu,big: without blanks, = and slashes")
		}
		*l = append(*l, label)
	}
	return nil
}

// String returns the labels, apart by commas.
func (l *Labels) String() string {
	if l == nil {
		return ""
	}
	return strings.Join(*l, ",")
}

// Type names the value in hub's usage.
func (*Labels) Type() string { return "LABEL" }

// Nodes is the value of a flag that takes the address of a node, or a link to
// one, and may be repeated.
type Nodes []transport.Link

// Set adds an address or a link.
func (l *Nodes) Set(s string) error {
	n, err := parseNode(s)
	if err == nil {
		*l = append(*l, n)
	}
	return err
}

// parseNode reads an address or a link.
func parseNode(s string) (transport.Link, error) {
	if transport.IsLink(s) {
		return transport.ParseLink(s)
	}
	a, err := transport.Parse(s)
	return transport.Link{Addr: a}, err
}

// String returns the addresses, apart by blanks, and nothing secret.
func (l *Nodes) String() string {
	if l == nil {
		return ""
	}
	var f []string
	for _, n := range *l {
		f = append(f, n.Addr.String())
	}
	return strings.Join(f, " ")
}

// Type names the value in hub's usage.
func (*Nodes) Type() string { return "ADDR" }
