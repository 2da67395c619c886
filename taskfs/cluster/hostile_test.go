package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hubfs/taskfs/frame"
)

// TestWhoSaysNothingIsNotWaitedFor for ever, at either end.
func TestWhoSaysNothingIsNotWaitedFor(t *testing.T) {
	world(t, func(t *testing.T) {
		n := start(t, "n")
		for what, serve := range map[string]func(l frame.Link) error{
			"below": func(l frame.Link) error { return n.Below(t.Context(), l, "") },
			"above": func(l frame.Link) error { return n.Above(t.Context(), l) },
		} {
			a, _ := frame.Pipe(0)
			begun := time.Now()
			if err := serve(a); !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != patience {
				t.Errorf("%s: %v after %v", what, err, time.Since(begun))
			}
		}
	})
}

// TestBothWantToBeTheSame: two upper nodes, or two lower ones, are told so.
func TestBothWantToBeTheSame(t *testing.T) {
	world(t, func(t *testing.T) {
		a, b := start(t, "a"), start(t, "b")
		x, y := frame.Pipe(0)
		errs := make(chan error, 2)
		go func() { errs <- a.Above(t.Context(), x) }() // until it fails
		go func() { errs <- b.Above(t.Context(), y) }() // until it fails
		for range 2 {
			if err := <-errs; !strings.Contains(err.Error(), "both nodes want to be the lower one") && !errors.Is(err, frame.ErrClosed) {
				t.Error(err)
			}
		}
		x, y = frame.Pipe(0)
		go func() { errs <- a.Below(t.Context(), x, "") }() // until it fails
		rawChild{t, y}.send(frame.Hello, welcome{Version: version, Side: "above"})
		synctest.Wait()
		y.Close()
		if err := <-errs; !strings.Contains(err.Error(), "both nodes want to be the upper one") {
			t.Error(err)
		}
	})
}

// TestALowerNodeIsNotBelieved: what it says is checked, and the error says what
// was wrong and what was expected.
func TestALowerNodeIsNotBelieved(t *testing.T) {
	many := make([]Count, maxCensus+1)
	for _, tt := range []struct {
		what string
		f    func(h *hello)
		want string
	}{
		{"version", func(h *hello) { h.Version = 2 }, "version 2 of the words between nodes: want 1"},
		{"no name", func(h *hello) { h.Info.Name = "" }, `"" is no name of a node`},
		{"dots", func(h *hello) { h.Info.Name = ".." }, `".." is no name of a node`},
		{"slash", func(h *hello) { h.Info.Name = "a/b" }, `"a/b": want no blanks, slashes or control characters`},
		{"escape", func(h *hello) { h.Info.Name = "a\x1b[2J" }, `want no blanks`},
		{"blank", func(h *hello) { h.Info.Name = "a b" }, `want no blanks`},
		{"long name", func(h *hello) { h.Info.Name = strings.Repeat("x", 256) }, "256 bytes: 255 may be"},
		{"system", func(h *hello) { h.Info.OS = "a\nb" }, "want one short word each"},
		{"machine", func(h *hello) { h.Info.Arch = "" }, "want one short word each"},
		{"instance", func(h *hello) { h.Info.Instance = "" }, `instance "": want one short word`},
		{"slots", func(h *hello) { h.Info.Slots = -1 }, "-1 slots: want 0 to"},
		{"memory", func(h *hello) { h.Info.Memory = -1 }, "-1 bytes of memory"},
		{"labels", func(h *hello) { h.Info.Labels = make([]string, 65) }, "65 labels: 64 may be"},
		{"label", func(h *hello) { h.Info.Labels = []string{"a b"} }, `label "a b": want one word`},
		{"load", func(h *hello) { h.Load.Free = -1 }, "load of 0 slots, -1 free"},
		{"census", func(h *hello) { h.Load.Census = many }, "census of 1001 kinds of nodes: 1000 may be"},
		{"count", func(h *hello) { h.Load.Census = []Count{{"linux", "amd64", -7}} }, "census of -7 nodes"},
		{"below", func(h *hello) { h.Below = -1 }, "-1 nodes below, which end 0s after it"},
		{"past", func(h *hello) { h.Runs = make([]past, maxAbove+1) }, "1001 earlier links"},
	} {
		world(t, func(t *testing.T) {
			top := start(t, "top")
			up, down := frame.Pipe(0)
			below := make(chan error, 1)
			go func() { below <- top.Below(t.Context(), up, "") }() // until the link ends
			hand := rawChild{t, down}
			hand.hello(tt.f)
			f, err := down.Recv(t.Context())
			if err != nil || f.Kind != frame.Leave || !strings.Contains(left(f.Body).Error(), tt.want) {
				t.Errorf("%s: it is told %v %q, %v; want %q", tt.what, f.Kind, f.Body, err, tt.want)
			}
			down.Close()
			if err := <-below; !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s: below: %v", tt.what, err)
			}
			is(t, tt.what, top.h.take())
			is(t, tt.what, top.events.take())
		})
	}
}

// TestWordsThatAreNoneEndALink of a child, and it is fenced as any.
func TestWordsThatAreNoneEndALink(t *testing.T) {
	for _, tt := range []struct {
		f    frame.Frame
		want string
	}{
		{frame.Frame{Kind: frame.Beat, Body: []byte("{")}, "beat that cannot be read"},
		{frame.Frame{Kind: frame.Beat, Body: []byte(`{"Load":{"Load":-1}}`)}, "load of 0 slots, 0 free, load -1"},
		{frame.Frame{Kind: frame.Beat, Body: []byte(`{"Load":{"Load":1e300}}`)}, "load 1e+300"},
		{frame.Frame{Kind: frame.Answer}, "answer that cannot be read"},
		{frame.Frame{Kind: frame.Answer, Body: []byte(`{"Rows":[{"Name":"../x"}]}`)}, `the path of a node is "../x"`},
		{frame.Frame{Kind: frame.Answer, Body: []byte(`{"Rows":[{"Name":"x","OS":"l","Arch":"a","State":"dead"}]}`)}, `state "dead"`},
		{frame.Frame{Kind: frame.Answer, Body: []byte(`{"Rows":[{"Name":"x","OS":"l","Arch":"a","State":"up","Addr":"\u001b[2J"}]}`)}, `address " [2J"`},
		{frame.Frame{Kind: frame.Leave, Body: []byte("[]")}, "leave that cannot be read"},
		{frame.Frame{Kind: frame.Ask, Body: []byte("{}")}, "Ask came from below"},
		{frame.Frame{Kind: frame.Hello, Body: []byte("{}")}, "Hello came from below"},
	} {
		world(t, func(t *testing.T) {
			top := start(t, "top")
			up, down := frame.Pipe(0)
			below := make(chan error, 1)
			go func() { below <- top.Below(t.Context(), up, "") }() // until the link ends
			rawChild{t, down}.hello()
			down.Send(t.Context(), tt.f)
			if err := <-below; err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v %s: %v, want %q", tt.f.Kind, tt.f.Body, err, tt.want)
			}
			is(t, "handler", top.h.take(), "joined leaf", "lost leaf")
			is(t, "events", top.events.take(), "node join leaf E", "node lost leaf E", "node fencing leaf watchdog")
		})
	}
}

// TestAnUpperNodeIsNotBelieved either.
func TestAnUpperNodeIsNotBelieved(t *testing.T) {
	for _, tt := range []struct {
		what string
		f    func(w *welcome)
		want string
	}{
		{"version", func(w *welcome) { w.Version = 9 }, "version 9 of the words between nodes: want 1"},
		{"epoch", func(w *welcome) { w.Epoch = 0 }, "epoch 0"},
		{"period", func(w *welcome) { w.Period = 0 }, "a beat every 0s: want 1ms to 1h0m0s"},
		{"long period", func(w *welcome) { w.Period = 1 << 60 }, "want 1ms to 1h0m0s"},
		{"missed", func(w *welcome) { w.Missed = 0 }, "0 missed beats: want 1 to 1000"},
		{"overflow", func(w *welcome) { w.Missed = 1 << 50 }, "want 1 to 1000"},
		{"node", func(w *welcome) { w.Node = "a\nb" }, "want no blanks"},
		{"name", func(w *welcome) { w.Name = "/" }, "want no blanks"},
		{"instance", func(w *welcome) { w.Instance = "" }, `instance "": want one short word`},
		{"above", func(w *welcome) { w.Above = make([]ancestor, maxAbove+1) }, "1001 nodes above: 1000 may be"},
		{"one above", func(w *welcome) { w.Above = []ancestor{{"a b", "I"}} }, "want no blanks"},
	} {
		world(t, func(t *testing.T) {
			leaf := start(t, "leaf")
			up, down := frame.Pipe(0)
			above := make(chan error, 1)
			go func() { above <- leaf.Above(t.Context(), down) }() // until the link ends
			rawParent{t, up}.welcome(tt.f)
			if err := <-above; err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s: %v, want %q", tt.what, err, tt.want)
			}
			is(t, tt.what, leaf.h.take())
		})
	}
	for _, tt := range []struct {
		f    frame.Frame
		want string
	}{
		{frame.Frame{Kind: frame.Beat, Body: []byte("7")}, "beat that cannot be read"},
		{frame.Frame{Kind: frame.Beat, Body: []byte(`{"Above":[{}]}`)}, `instance "" of a node above`},
		{frame.Frame{Kind: frame.Ask, Body: []byte("x")}, "question that cannot be read"},
		{frame.Frame{Kind: frame.Answer, Body: []byte("{}")}, "Answer came from above"},
		{frame.Frame{Kind: frame.Leave, Body: []byte("x")}, "leave that cannot be read"},
	} {
		world(t, func(t *testing.T) {
			leaf := start(t, "leaf")
			up, down := frame.Pipe(0)
			above := make(chan error, 1)
			go func() { above <- leaf.Above(t.Context(), down) }() // until the link ends
			rawParent{t, up}.welcome()
			up.Send(t.Context(), tt.f)
			synctest.Wait()
			is(t, "handler", leaf.h.take(), "parent lost hand")
			up.Close()
			if err := <-above; err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v %s: %v, want %q", tt.f.Kind, tt.f.Body, err, tt.want)
			}
		})
	}
}

// TestAFloodOfQuestions is answered, though not with work.
func TestAFloodOfQuestions(t *testing.T) {
	world(t, func(t *testing.T) {
		leaf, low := start(t, "leaf"), start(t, "low")
		var s *stall
		joinBy(leaf, low, func(q int) (frame.Link, frame.Link) {
			a, b := frame.Pipe(q)
			s = newStall(b)
			return a, s
		})
		s.stop() // so that questions about what is below it last
		up, down := frame.Pipe(0)
		go leaf.Above(context.Background(), down) // until the test ends
		hand := rawParent{t, up}
		hand.welcome()
		for i := range maxAsked + 5 {
			hand.send(frame.Ask, question{ID: uint64(i + 1), Op: "drain", Path: "low/x", Within: time.Minute})
		}
		busy := 0
		for busy < 5 {
			f := hand.recv()
			var a answer
			if f.Kind != frame.Answer {
				continue
			}
			if err := decode("answer", f.Body, &a); err != nil {
				t.Fatal(err)
			}
			if a.Err != fmt.Sprintf("leaf answers %d questions already", maxAsked) {
				t.Fatalf("%+v", a)
			}
			busy++
		}
		s.Close()
		up.Close()
	})
}

// TestAHandlerThatTakesNothing has at most so much waiting for it, and then its
// link waits, and is lost in the end.
func TestAHandlerThatTakesNothing(t *testing.T) {
	world(t, func(t *testing.T) {
		top, leaf := start(t, "top"), start(t, "leaf")
		top.h.below = func(c *Child, f frame.Frame) { <-c.Done() }
		j := join(top, leaf)
		p := leaf.h.parent()
		sent := 0
		for p.Send(t.Context(), frame.Frame{Kind: frame.Output, Session: 1, Body: make([]byte, 1<<20)}) == nil {
			if sent++; sent > 100 {
				t.Fatal("all is taken")
			}
		}
		if sent < 16 {
			t.Errorf("%d frames were taken", sent)
		}
		<-j.below
		<-j.above
	})
}

// TestManyThatDie are not all kept in the list.
func TestManyThatDie(t *testing.T) {
	world(t, func(t *testing.T) {
		top := start(t, "top")
		for i := range keep + 10 {
			up, down := frame.Pipe(0)
			go top.Below(context.Background(), up, "") // until down is closed
			rawChild{t, down}.hello(func(h *hello) { h.Info.Name = fmt.Sprint("n", i) })
			down.Close()
			time.Sleep(time.Minute)
		}
		cs := top.Children()
		if len(cs) != keep || cs[0].Name() != "n10" {
			t.Errorf("%d nodes, the first %s", len(cs), cs[0].Name())
		}
	})
}

// FuzzBelow and FuzzAbove: whatever frame comes from a node that has joined, and
// whatever bytes, the node does not fail, and what joined is lost.
func FuzzBelow(f *testing.F) {
	f.Add(uint8(frame.Beat), encode(upBeat{Seq: 1, After: 2, Ended: []uint64{1}}), []byte{})
	f.Add(uint8(frame.Answer), encode(answer{ID: 1, Rows: []Row{{Name: "a/b", OS: "l", Arch: "a", State: Up}}}), []byte{})
	f.Add(uint8(frame.Leave), encode(leave{Reason: "bye"}), []byte{})
	f.Add(uint8(frame.Output), []byte("x"), []byte{2, 0, 0, 0, byte(frame.Released), 1})
	f.Add(uint8(frame.Hello), encode(hello{}), []byte{255, 255, 255, 255})
	said := encode(hello{Version: version, Side: "below", Info: Info{Name: "leaf", OS: "l", Arch: "a", Instance: "I"}})
	f.Fuzz(func(t *testing.T, kind uint8, body, raw []byte) {
		world(t, func(t *testing.T) {
			n := start(t, "n")
			if err := n.Below(t.Context(), fuzzed(said, kind, body, raw), ""); err == nil && len(n.Children()) > 0 {
				t.Error("it is still there")
			}
			joined := 0
			for _, line := range n.h.take() {
				switch {
				case strings.HasPrefix(line, "joined"):
					joined++
				case strings.HasPrefix(line, "lost"):
					joined--
				}
			}
			if joined != 0 || len(n.Children()) == 0 && frame.Kind(kind) != frame.Leave {
				t.Error("it has not joined, or was not lost")
			}
		})
	})
}

func FuzzAbove(f *testing.F) {
	f.Add(uint8(frame.Beat), encode(downBeat{Seq: 1, Above: &[]ancestor{{"x", "y"}}}), []byte{})
	f.Add(uint8(frame.Ask), encode(question{ID: 1, Op: "rows", Within: time.Second}), []byte{})
	f.Add(uint8(frame.Ask), encode(question{ID: 1, Op: "end", Epoch: 1, Within: time.Second}), []byte{})
	f.Add(uint8(frame.Leave), encode(leave{Gone: true}), []byte{})
	f.Add(uint8(frame.Exec), []byte("x"), []byte{2, 0, 0, 0, byte(frame.Release), 1})
	said := encode(welcome{Version: version, Side: "above", Name: "n", Epoch: 1, Period: time.Second, Missed: 2, Node: "top", Instance: "I"})
	f.Fuzz(func(t *testing.T, kind uint8, body, raw []byte) {
		world(t, func(t *testing.T) {
			n := start(t, "n")
			if err := n.Above(t.Context(), fuzzed(said, kind, body, raw)); err == nil {
				t.Error("it ended without a reason")
			}
			if lines := n.h.take(); len(lines) == 0 || lines[len(lines)-1] != "parent lost top" {
				t.Errorf("the handler was told %q", lines)
			}
		})
	})
}

// fuzzed returns a link whose other end says a hello, a frame, if it is one, and
// raw bytes, and is gone.
func fuzzed(said []byte, kind uint8, body, raw []byte) frame.Link {
	p, _ := frame.Append(nil, frame.Frame{Kind: frame.Hello, Body: said})
	f := frame.Frame{Kind: frame.Kind(kind), Body: body}
	if !f.Kind.OfLink() {
		f.Session = 1
	}
	p, _ = frame.Append(p, f)
	return &script{append(p, raw...)}
}

// A script is a link over which comes what is written, and anything goes.
type script struct{ p []byte }

func (s *script) Recv(context.Context) (frame.Frame, error) {
	f, n, _, err := frame.Next(s.p)
	if n == 0 && err == nil {
		err = frame.ErrClosed
	}
	s.p = s.p[n:]
	return f, err
}

func (s *script) Send(context.Context, frame.Frame) error { return nil }
func (s *script) Close() error                            { return nil }
func (s *script) Addr() string                            { return "script" }
