package hostlist

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

func TestExpand(t *testing.T) {
	for _, c := range []struct{ in, out, err string }{
		{in: "x", out: "x"},
		{in: "a,b", out: "a b"},
		{in: " a , b\n", out: "a b"},
		{in: "node[1-3]", out: "node1 node2 node3"},
		{in: "node[1-2,5]", out: "node1 node2 node5"},
		{in: "node[08-11]", out: "node08 node09 node10 node11"},
		{in: "node[99-101]", out: "node99 node100 node101"},
		{in: "node[099-100]", out: "node099 node100"},
		{in: "node[098-1]", err: "ends before it begins"},
		{in: "node[001-3]", out: "node001 node002 node003"},
		{in: "node[00-01]", out: "node00 node01"},
		{in: "node[0-10/5]", out: "node0 node5 node10"},
		{in: "node[0-9/5]", out: "node0 node5"},
		{in: "node[1-2]-ib[0-1],x", out: "node1-ib0 node1-ib1 node2-ib0 node2-ib1 x"},
		{in: "[1-2]a", out: "1a 2a"},
		{in: "r[1-2][8-9]", out: "r18 r19 r28 r29"},
		{in: "b,a,b,a1,a[1-2]", out: "b a a1 a2"},
		{in: "root@10.0.0.[1-2]", out: "root@10.0.0.1 root@10.0.0.2"},
		{in: "inner/leaf[1-2]", out: "inner/leaf1 inner/leaf2"},
		{in: "é[1-2]", out: "é1 é2"},
		{in: "n[999999999999999998-999999999999999999]", out: "n999999999999999998 n999999999999999999"},

		{in: "", err: "empty name"},
		{in: "a,,b", err: "empty name"},
		{in: "a,", err: "empty name"},
		{in: "node[1-3", err: "without its ]"},
		{in: "node1-3]", err: "without its ["},
		{in: "node]1[", err: "without its ["},
		{in: "node[[1]]", err: "without its ]"},
		{in: "node[]", err: "is no number"},
		{in: "node[1,]", err: "is no number"},
		{in: "node[a-b]", err: "is no number"},
		{in: "node[1-2-3]", err: "is no number"},
		{in: "node[-1]", err: "is no number"},
		{in: "node[+1]", err: "is no number"},
		{in: "node[3-1]", err: "ends before it begins"},
		{in: "node[1-016]", err: `expected 001-016`},
		{in: "node[1-9/0]", err: "a step of 0"},
		{in: "node[1/2]", err: "FROM-TO/STEP"},
		{in: "node[1-1000000]", err: "more than 65536 hosts"},
		{in: "node[1-65536],x", err: "more than 65536 hosts"},
		{in: "a[1-1000]b[1-1000]", err: "more than 65536 hosts"},
		{in: "a[1-999999999999999999]b[1-999999999999999999]", err: "more than 65536 hosts"},
		{in: "a[1-65536],a[1-65536],a[1-65536]", err: "more than 65536 hosts"},
		{in: "a[1-9999999999999999999]", err: "a number of 19 digits"},
		{in: "a" + strings.Repeat("[1]", 300), err: "more than 255 ranges"},
		{in: strings.Repeat("a", 256), err: "a name of 256 bytes"},
		{in: "-oProxyCommand=x", err: "dash"},
		{in: "a,-b", err: "dash"},
		{in: "^hosts", err: "^FILE is not read"},
		{in: "@rack1", err: "@GROUP is not known"},
		{in: "/n.*/", err: "/PATTERN/ is not known"},
		{in: "a b", err: `' ' is not in a host's name`},
		{in: "a;rm", err: `';' is not in a host's name`},
		{in: "a!b", err: `'!' is not in a host's name`},
		{in: "a&b", err: `'&' is not in a host's name`},
		{in: "a*", err: `'*' is not in a host's name`},
		{in: "a$x", err: `'$' is not in a host's name`},
		{in: "a\xff", err: "is not in a host's name"},
		{in: "a\x00", err: "is not in a host's name"},
	} {
		got, err := Expand(c.in, 0)
		switch {
		case c.err != "":
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("Expand(%.60q): %v, want an error with %q", c.in, err, c.err)
			} else if len(err.Error()) > 300 {
				t.Errorf("Expand(%.60q): an error of %d bytes", c.in, len(err.Error()))
			}
		case err != nil:
			t.Errorf("Expand(%q): %v", c.in, err)
		case strings.Join(got, " ") != c.out:
			t.Errorf("Expand(%q) = %q, want %s", c.in, got, c.out)
		}
	}
	if got, err := Expand("n[1-3]", 3); err != nil || len(got) != 3 {
		t.Errorf("at the limit: %v, %v", got, err)
	}
	if _, err := Expand("n[1-3],x", 3); err == nil {
		t.Error("no error above the limit")
	}
	if got, err := Expand("n[1-65536]", 0); err != nil || len(got) != 65536 {
		t.Errorf("65,536 hosts: %d, %v", len(got), err)
	}
}

func TestFold(t *testing.T) {
	for _, c := range []struct{ in, out string }{
		{"", ""},
		{"a", "a"},
		{"a a", "a"},
		{"node1", "node1"},
		{"node3 node1 node2", "node[1-3]"},
		{"node1 node2 node3 node20", "node[1-3,20]"},
		{"node9 node10", "node[9-10]"},
		{"node08 node09 node10", "node[08-10]"},
		{"node1 node01 node2 node02", "node[1-2,01-02]"},
		{"node099 node100 node1000", "node[099-100,1000]"},
		{"n1-ib0 n1-ib1 n2-ib0 n2-ib1", "n[1-2]-ib[0-1]"},
		{"n1-ib0 n1-ib1 n2-ib0", "n1-ib[0-1],n2-ib0"},
		{"b a c1 c2", "a,b,c[1-2]"},
		{"10.0.0.1 10.0.0.2 10.0.0.10", "10.0.0.[1-2,10]"},
		{"x2024-1 x2024-2", "x2024-[1-2]"},
		{"n12345678901234567890 n12345678901234567891", "n12345678901234567890,n12345678901234567891"},
		// Names that no list can hold are for people.
		{"a,b1 a,b2 a[1 a\x001 a1", "a\x001,a,b1,a,b2,a1,a[1"},
	} {
		in := strings.Split(c.in, " ")
		if got := Fold(in); got != c.out {
			t.Errorf("Fold(%q) = %q, want %q", in, got, c.out)
		}
	}
	in := []string{"b", "a"}
	Fold(in)
	if in[0] != "b" {
		t.Error("Fold has sorted its caller's slice")
	}
}

func TestCompare(t *testing.T) {
	sorted := []string{"", "a", "a1", "a01", "a2", "a10", "a10b", "ab", "b"}
	for i, a := range sorted {
		for j, b := range sorted {
			want := 0
			if i != j {
				want = 1
				if i < j {
					want = -1
				}
			}
			if got := Compare(a, b); got != want {
				t.Errorf("Compare(%q, %q) = %d, want %d", a, b, got, want)
			}
		}
	}
}

// TestFoldIsTakenApartByExpand folds random names of few shapes and numbers, so
// that many of them fold.
func TestFoldIsTakenApartByExpand(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 1))
	for range 300 {
		var names []string
		for range r.IntN(60) {
			switch r.IntN(4) {
			case 0:
				names = append(names, fmt.Sprintf("n%d", r.IntN(25)))
			case 1:
				names = append(names, fmt.Sprintf("n%0*d", 1+r.IntN(3), r.IntN(120)))
			case 2:
				names = append(names, fmt.Sprintf("r%d-n%02d", r.IntN(4), r.IntN(12)))
			case 3:
				names = append(names, fmt.Sprintf("%d.%d.%d", r.IntN(2), r.IntN(3), r.IntN(4)))
			}
		}
		checkFold(t, names)
	}
}

// checkFold fails if Expand does not give back what Fold was given.
func checkFold(t *testing.T, names []string) {
	t.Helper()
	if len(names) == 0 {
		return
	}
	folded := Fold(names)
	got, err := Expand(folded, 0)
	if err != nil {
		t.Fatalf("Expand(%q): %v", folded, err)
	}
	want := slices.Clone(names)
	slices.Sort(want)
	want = slices.Compact(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Fatalf("Expand(%q) = %q, want %q", folded, got, want)
	}
}

// TestNodesetReadsTheSame has ClusterShell expand what we fold.
func TestNodesetReadsTheSame(t *testing.T) {
	nodeset, err := exec.LookPath("nodeset")
	if err != nil {
		t.Skip("no nodeset: install clustershell")
	}
	var names []string
	for i := range 40 {
		names = append(names, fmt.Sprintf("n%d", i*i), fmt.Sprintf("r%02d-%d", i%12, i%5), fmt.Sprintf("x%03d", 90+i))
	}
	for _, list := range []string{Fold(names), "a[1-3,7]b[08-10],c", "n[0-20/5]"} {
		out, err := exec.Command(nodeset, "-e", list).Output()
		if err != nil {
			t.Fatalf("nodeset -e %s: %v", list, err)
		}
		theirs := strings.Fields(string(out))
		ours, err := Expand(list, 0)
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(theirs)
		slices.Sort(ours)
		if !slices.Equal(ours, theirs) {
			t.Errorf("%s: %v, nodeset says %v", list, ours, theirs)
		}
	}
}

func FuzzExpand(f *testing.F) {
	for _, s := range []string{
		"node[01-16,20]-ib[0-1],x", "a[1-2", "a,,b", "n[0-10/5]", "n[099-101]", "[1-2][1-2]", "^f", "@g", "é[1]",
		"n1,n01,n001,n[1-3]", "a[00000-1]",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, list string) {
		names, err := Expand(list, 500)
		if err != nil {
			return
		}
		if len(names) == 0 || len(names) > 500 {
			t.Fatalf("Expand(%q): %d names", list, len(names))
		}
		checkFold(t, names)
	})
}
