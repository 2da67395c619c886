package ranks

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestText(t *testing.T) {
	for _, c := range []struct{ in, out, err string }{
		{in: "", out: ""},
		{in: "7", out: "7"},
		{in: "0-5,7", out: "0-5,7"},
		{in: "7,0-5", out: "0-5,7"},
		{in: "3,2,1", out: "1-3"},
		{in: "1-2,3-4", out: "1-4"},
		{in: "0-10,3-4", out: "0-10"},
		{in: "05,0-1", out: "0-1,5"},
		{in: "1073741823", out: "1073741823"},
		{in: "1073741824", err: "above the highest rank"},
		{in: "99999999999999999999999", err: "above the highest rank"},
		{in: "-1", err: "a number is missing"},
		{in: "1-", err: "a number is missing"},
		{in: "1,,2", err: "a number is missing"},
		{in: ",", err: "a number is missing"},
		{in: "+1", err: "no number"},
		{in: "1-2-3", err: "no number"},
		{in: "5-3", err: "goes down"},
		{in: "a", err: "a rank or a span, as 3 or 0-5, was expected"},
	} {
		s, err := Parse(c.in)
		switch {
		case c.err != "":
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("Parse(%q): %v, want an error with %q", c.in, err, c.err)
			}
		case err != nil:
			t.Errorf("Parse(%q): %v", c.in, err)
		case s.String() != c.out:
			t.Errorf("Parse(%q) = %q, want %q", c.in, s, c.out)
		}
	}
	if _, err := Parse(strings.Repeat("x", 1<<20)); len(err.Error()) > 300 {
		t.Errorf("an error of %d bytes for a long text", len(err.Error()))
	}
}

func TestJSON(t *testing.T) {
	type body struct{ Set Set }
	b, err := json.Marshal(body{Of(4, 1, 2)})
	if err != nil || string(b) != `{"Set":"1-2,4"}` {
		t.Fatalf("%s, %v", b, err)
	}
	var got body
	if err := json.Unmarshal(b, &got); err != nil || !got.Set.Equal(Of(1, 2, 4)) {
		t.Errorf("%v, %v", got, err)
	}
	if err := json.Unmarshal([]byte(`{"Set":"x"}`), &got); err == nil {
		t.Error("no error for a set that is none")
	}
}

func TestEdges(t *testing.T) {
	var none Set
	if !none.Empty() || none.Len() != 0 || none.Min() != -1 || none.Max() != -1 || none.Contains(0) {
		t.Error("the zero set is not empty")
	}
	if !Span(3, 3).Equal(none) || !Span(4, 3).Equal(none) || !Of().Equal(none) {
		t.Error("a span of nothing is not empty")
	}
	for name, f := range map[string]func(){
		"Span below": func() { Span(-1, 3) },
		"Span above": func() { Span(0, Limit+1) },
		"Of below":   func() { Of(-1) },
		"Of above":   func() { Of(3, Limit) },
		"Shift":      func() { Of(3).Shift(-4) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s did not panic", name)
				}
			}()
			f()
		}()
	}
	in := []int{3, 1, 2}
	Of(in...)
	if !slices.Equal(in, []int{3, 1, 2}) {
		t.Error("Of has sorted its caller's slice")
	}
}

// TestSetsAreSets holds every operation against maps.
func TestSetsAreSets(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	random := func() (Set, map[int]bool) {
		m := map[int]bool{}
		var list []int
		for range r.IntN(12) {
			for lo, n := r.IntN(40), r.IntN(6); n >= 0; n-- {
				m[lo+n] = true
				list = append(list, lo+n)
			}
		}
		return Of(list...), m
	}
	check := func(what string, s Set, in func(int) bool) {
		t.Helper()
		var want []int
		for n := range 60 {
			if in(n) {
				want = append(want, n)
			}
			if s.Contains(n) != in(n) {
				t.Fatalf("%s = %s: Contains(%d) is %v", what, s, n, !in(n))
			}
		}
		if got := slices.Collect(s.All()); !slices.Equal(got, want) {
			t.Fatalf("%s = %v, want %v", what, got, want)
		}
		if s.Len() != len(want) || s.Empty() != (len(want) == 0) {
			t.Fatalf("%s: Len %d, Empty %v of %v", what, s.Len(), s.Empty(), want)
		}
		if len(want) > 0 && (s.Min() != want[0] || s.Max() != want[len(want)-1]) {
			t.Fatalf("%s: Min %d, Max %d of %v", what, s.Min(), s.Max(), want)
		}
		last := -1
		for lo, hi := range s.Spans() {
			if lo >= hi || lo <= last {
				t.Fatalf("%s: span [%d, %d) behind %d", what, lo, hi, last)
			}
			last = hi
		}
		back, err := Parse(s.String())
		if err != nil || !back.Equal(s) {
			t.Fatalf("%s: Parse(%q) = %s, %v", what, s, back, err)
		}
	}
	for range 3000 {
		a, am := random()
		b, bm := random()
		check("a", a, func(n int) bool { return am[n] })
		check("union", a.Union(b), func(n int) bool { return am[n] || bm[n] })
		check("intersection", a.Intersect(b), func(n int) bool { return am[n] && bm[n] })
		check("difference", a.Minus(b), func(n int) bool { return am[n] && !bm[n] })
		check("shift", a.Shift(7), func(n int) bool { return am[n-7] })
		check("shift back", a.Shift(7).Shift(-7), func(n int) bool { return am[n] })
		list := slices.Collect(a.All())
		for i := -1; i <= len(list); i++ {
			want := -1
			if i >= 0 && i < len(list) {
				want = list[i]
			}
			if a.Nth(i) != want {
				t.Fatalf("%s: Nth(%d) = %d, want %d", a, i, a.Nth(i), want)
			}
		}
		check("at", a.At(b), func(n int) bool {
			i := slices.Index(list, n)
			return i >= 0 && bm[i]
		})
		check("positions", a.Positions(b), func(i int) bool { return i < len(list) && bm[list[i]] })
		if back := a.At(a.Positions(b)); !back.Equal(a.Intersect(b)) {
			t.Fatalf("%s: at its positions of %s it has %s", a, b, back)
		}
		if a.Equal(b) != (a.String() == b.String()) {
			t.Fatalf("%s and %s: Equal is %v", a, b, a.Equal(b))
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"", "0-5,7", "1,1,1", "3-2", "0-1073741823,5", "9-,", "00-01"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse(text)
		if err != nil {
			return
		}
		back, err := Parse(s.String())
		if err != nil || !back.Equal(s) {
			t.Fatalf("Parse(%q) = %q, then %q, %v", text, s, back, err)
		}
		if !s.Empty() && (s.Min() < 0 || s.Max() >= Limit) {
			t.Fatalf("Parse(%q) = %q", text, s)
		}
	})
}
