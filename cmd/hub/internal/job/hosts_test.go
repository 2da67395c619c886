package job

import (
	"reflect"
	"strings"
	"testing"
)

func TestChoose(t *testing.T) {
	nodes, err := parseNodes([]byte("top here linux amd64 8 8 0 up 0 1\n" +
		"in t linux amd64 4 4 0 up 1 1\n" +
		"in/leaf1 t linux amd64 4 4 0 up 1 1\n" +
		"in/leaf2 t linux amd64 4 4 0 torpid 1 1\n" +
		"leaf3 t linux amd64 4 4 0 up 1 1\n" +
		"in/twin t linux amd64 4 4 0 up 1 1\n" +
		"twin t linux amd64 4 4 0 up 1 1\n" +
		"a/same t linux amd64 4 4 0 up 1 1\n" +
		"b/same t linux amd64 4 4 0 up 1 1\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		with, without, names, other, down, fails string
	}{
		{with: "", names: "in/leaf1 leaf3 in/twin twin a/same b/same"},
		{with: "", without: "leaf[1-3],twin", names: "a/same b/same"},
		{with: "leaf[1,3]", names: "in/leaf1 leaf3"},
		{with: "in/leaf1,leaf1", names: "in/leaf1"},
		{with: "leaf[1-4]", names: "in/leaf1 leaf3", other: "leaf4", down: "in/leaf2"},
		{with: "leaf[1-4]", without: "leaf[2-4]", names: "in/leaf1"},
		{with: "twin", names: "twin"},
		{with: "same", fails: "2 nodes are called so"},
		{with: "top,new,new", names: "top", other: "new"},
		{with: "leaf[", fails: "-w leaf["},
	} {
		c, err := Choose(nodes, tt.with, tt.without)
		if err != nil {
			if tt.fails == "" || !strings.Contains(err.Error(), tt.fails) {
				t.Errorf("-w %q -x %q: %v", tt.with, tt.without, err)
			}
			continue
		}
		var down []string
		for _, n := range c.Down {
			down = append(down, n.Name)
		}
		got := []string{strings.Join(c.Nodes, " "), strings.Join(c.Other, " "), strings.Join(down, " ")}
		if want := []string{tt.names, tt.other, tt.down}; !reflect.DeepEqual(got, want) || tt.fails != "" {
			t.Errorf("-w %q -x %q: %q, want %q %s", tt.with, tt.without, got, want, tt.fails)
		}
	}
}
