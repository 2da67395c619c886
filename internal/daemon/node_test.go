package daemon

import (
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestWhatANodeSaysOfItself(t *testing.T) {
	inPrivate(t)
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	info, err := NodeConfig{Labels: Labels{"gpu"}}.info(address(t, "default"))
	if err != nil {
		t.Fatal(err)
	}
	if info.Name != host || info.OS != runtime.GOOS || info.Arch != runtime.GOARCH || info.Slots != runtime.NumCPU() ||
		len(info.Labels) != 1 || info.Executor || len(info.Instance) < 16 {
		t.Errorf("%+v", info)
	}
	if runtime.GOOS == "linux" && info.Memory < 16<<20 {
		t.Errorf("%d bytes of memory", info.Memory)
	}
	again, err := NodeConfig{Slots: 3, Executor: true}.info(address(t, "leaf"))
	if err != nil || again.Name != host+":leaf" || again.Slots != 3 || !again.Executor || again.Instance == info.Instance {
		t.Errorf("%+v, %v", again, err)
	}
	if named, err := (NodeConfig{Name: "n1"}).info(address(t, "leaf")); err != nil || named.Name != "n1" {
		t.Errorf("%+v, %v", named, err)
	}
	for _, bad := range []string{"a b", "a/b", "a,b", "a[1]", "\n", strings.Repeat("x", 65), "\xff"} {
		if info, err := (NodeConfig{Name: bad}).info(address(t, "leaf")); err == nil || !strings.Contains(err.Error(), "expected") {
			t.Errorf("%q: %+v, %v", bad, info, err)
		}
	}
}

func TestHeartbeat(t *testing.T) {
	for in, want := range map[string]Heartbeat{"5s": {5 * time.Second, 0}, "200ms,3": {200 * time.Millisecond, 3}} {
		var h Heartbeat
		if err := h.Set(in); err != nil || h != want || h.String() != in {
			t.Errorf("%q: %+v %q, %v", in, h, h.String(), err)
		}
	}
	for _, in := range []string{"", "5", "5s,", "5s,0", "5s,x", "0s", "-1s", "2h", "5s,2,3", "1ms"} {
		var h Heartbeat
		if err := h.Set(in); err == nil || h != (Heartbeat{}) {
			t.Errorf("%q: %+v, %v", in, h, err)
		}
	}
}

func TestLabels(t *testing.T) {
	var l Labels
	for _, in := range []string{"gpu,big", "ssd"} {
		if err := l.Set(in); err != nil {
			t.Error(err)
		}
	}
	if l.String() != "gpu,big,ssd" {
		t.Errorf("%q", l.String())
	}
	for _, in := range []string{"", "a,", "a b", "a=b"} {
		if err := new(Labels).Set(in); err == nil {
			t.Errorf("%q is no label", in)
		}
	}
}

// TestNodesAreAddressesOrLinks, whose secrets are shown to nobody.
func TestNodesAreAddressesOrLinks(t *testing.T) {
	var l Nodes
	pin := strings.Repeat("A", 42) + "E"
	for _, in := range []string{"tcp!127.0.0.1!564", "hub://host:1#" + pin + ".secret", "ssh://host"} {
		if err := l.Set(in); err != nil {
			t.Fatal(err)
		}
	}
	if l[1].Token != "secret" || l[1].Addr.Pin != pin || l[1].Addr.Network != "tls" {
		t.Errorf("%+v", l[1])
	}
	if s := l.String(); strings.Contains(s, "secret") || len(strings.Fields(s)) != 3 {
		t.Errorf("%q", s)
	}
	if err := l.Set("gopher://x"); err == nil {
		t.Error("gopher is no network")
	}
}
