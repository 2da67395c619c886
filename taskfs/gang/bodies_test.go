package gang

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"hubfs/taskfs/frame"
	"hubfs/taskfs/ranks"
)

// FuzzBodies: what a node sends is understood or refused, and what is understood
// comes out of it again.
func FuzzBodies(f *testing.F) {
	f.Add(appendInput(7, ranks.Span(0, 5), &input{p: []byte("bytes"), more: true}))
	f.Add(appendPiece(9, &piece{kind: pieceFile, mode: 0o755, path: "a/b", data: []byte("x")}))
	f.Add(appendUvarints(nil, 1, 300, 1<<60))
	f.Add([]byte(`{"Number":1,"Dir":"/","Ranks":"0-3","Tasks":"2-5"}`))
	f.Add([]byte(`{"Ranks":"0-1","Parts":[{"Ranks":"0","Number":3},{"Ranks":"1","Number":4}]}`))
	f.Add([]byte(`[{"n":"leaf","e":3,"x":[{"r":0,"s":"exit 0"}],"Lost":"1-2","Fenced":""}]`))
	f.Add([]byte(`{"N":2,"Names":["a","b"],"World":"0-1"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if num, more, set, p, err := parseInput(b); err == nil {
			again := appendInput(num, set, &input{p: p, more: more})
			if n2, m2, s2, p2, err := parseInput(again); err != nil || n2 != num || m2 != more || !s2.Equal(set) || !bytes.Equal(p2, p) {
				t.Fatalf("input %d %v %s %q: %d %v %s %q, %v", num, more, set, p, n2, m2, s2, p2, err)
			}
		}
		if num, c, err := parsePiece(b); err == nil {
			if strings.HasPrefix(c.path, "/") || strings.Contains(c.path, "..") && strings.Contains("/"+c.path+"/", "/../") {
				t.Fatalf("the path %q leads out", c.path)
			}
			n2, d, err := parsePiece(appendPiece(num, c))
			if err != nil || n2 != num || d.kind != c.kind || d.mode != c.mode || d.path != c.path || !bytes.Equal(d.data, c.data) {
				t.Fatalf("piece %d %+v: %d %+v, %v", num, c, n2, d, err)
			}
		}
		if nums, err := uvarints(b); err == nil && len(nums) > len(b) {
			t.Fatalf("%d numbers in %d bytes", len(nums), len(b))
		}
		var p place
		if decode(b, &p) == nil && p.check(4) == nil {
			seen := map[int]bool{}
			p.each("", func(r int, at Place) {
				if seen[r] || r < 0 || r > 3 {
					t.Fatalf("%s has rank %d twice, or it is none", b, r)
				}
				seen[r] = true
			})
			if len(seen) != 4 {
				t.Fatalf("%s has %d of 4 ranks", b, len(seen))
			}
			p.mapped(ranks.Of(3, 5, 7, 9)).public("", ranks.Span(0, 10))
		}
		var ends []ending
		if decode(b, &ends) == nil {
			for i := range ends {
				ends[i].exits()
			}
		}
		var r request
		if decode(b, &r) == nil && r.check() == nil && r.N < 100 {
			r.below("a", map[string]bool{"a": true}).part(ranks.Span(0, r.N))
		}
	})
}

func TestLongAnswersTravelInPieces(t *testing.T) {
	long := bytes.Repeat([]byte("x"), 3*frame.MaxBody)
	var got []byte
	list := split(long)
	for i, b := range list {
		if len(b) > frame.MaxBody || (b[0] == 1) != (i < len(list)-1) {
			t.Fatalf("piece %d of %d: %d bytes, %d", i, len(list), len(b), b[0])
		}
		got = append(got, b[1:]...)
	}
	if !bytes.Equal(got, long) || len(split(nil)) != 1 {
		t.Error("they are not what was split")
	}
}

// TestErrorsStayWhatTheyAre on their way up.
func TestErrorsStayWhatTheyAre(t *testing.T) {
	err := failure("leaf", frame.Frame{Kind: frame.Failed, Body: failedBody(ErrInsufficient)})
	if !errors.Is(err, ErrInsufficient) || err.Error() != "node leaf: insufficient resources" {
		t.Errorf("%v", err)
	}
	err = failure("inner", frame.Frame{Kind: frame.Failed, Body: failedBody(err)})
	if !errors.Is(err, ErrInsufficient) || err.Error() != "node inner: node leaf: insufficient resources" {
		t.Errorf("%v", err)
	}
	if err := failure("leaf", frame.Frame{Kind: frame.Offered}); err == nil {
		t.Error("an answer of another kind is none")
	}
}

func TestNamesOfSystems(t *testing.T) {
	for _, c := range []struct {
		same bool
		a, b string
	}{
		{true, "Linux", "linux"}, {true, "MacOSX", "darwin"}, {true, "Nt", "windows"}, {true, "Plan9", "plan9"},
		{true, "*", "linux"}, {true, "", "linux"}, {false, "Inferno", "linux"}, {true, "Inferno", "inferno"},
	} {
		if SameOS(c.a, c.b) != c.same {
			t.Errorf("systems %q and %q: %v", c.a, c.b, !c.same)
		}
	}
	for _, c := range []struct {
		same bool
		a, b string
	}{
		{true, "386", "386"}, {true, "i686", "386"}, {true, "x86_64", "amd64"}, {true, "aarch64", "arm64"},
		{false, "386", "amd64"}, {true, "*", "arm"}, {true, "mips", "mips"},
	} {
		if SameArch(c.a, c.b) != c.same {
			t.Errorf("processors %q and %q: %v", c.a, c.b, !c.same)
		}
	}
	for os, want := range map[string]string{"linux": "Linux", "darwin": "MacOSX", "plan9": "Plan9", "inferno": "inferno"} {
		if got := ShowOS(os); got != want {
			t.Errorf("%s is shown as %s, want %s", os, got, want)
		}
	}
}

func TestNumbersAreTheLowestFree(t *testing.T) {
	var n numbers
	for i := range 200 {
		if k := n.take(); k != i {
			t.Fatalf("%d, want %d", k, i)
		}
	}
	for _, k := range []int{130, 7, 64} {
		if !n.free(k) || n.free(k) {
			t.Errorf("%d is given back once", k)
		}
	}
	for _, want := range []int{7, 64, 130, 200} {
		if k := n.take(); k != want {
			t.Errorf("%d, want %d", k, want)
		}
	}
	if n.free(-1) || n.free(100_000) {
		t.Error("what was not taken was given back")
	}
}
