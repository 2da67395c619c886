package fence

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// ignore is an event that nobody needs.
func ignore(string, error) {}

func parse(t *testing.T, text string) *Policy {
	t.Helper()
	p, err := ParsePolicy(NewRegistry(), text)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func TestPolicySaysWhichMethodsInWhichOrder(t *testing.T) {
	p := parse(t, `
		# the switch knows these
		node[01-03],login command testdata/fence_fake ip='10.0.0.1' "password=a b"
		* watchdog slack=2s
		node0? watchdog
		* manual   # at last
		node03 none trust=yes
		rack*-n kill timeout=3s
	`)
	for name, want := range map[string]string{
		"node01":   "command watchdog",
		"node03":   "command watchdog none",
		"login":    "command",
		"node09":   "watchdog",
		"node1":    "watchdog manual",
		"rack7-n":  "kill",
		"rack7-nn": "watchdog manual",
		"":         "watchdog manual",
	} {
		var got []string
		for _, r := range p.steps(name) {
			got = append(got, r.name)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q: %v, want %s", name, got, want)
		}
	}
	if w := p.steps("x")[0].method.(watchdog); w.slack != 2*time.Second {
		t.Errorf("slack %v", w.slack)
	}
	if c := p.steps("login")[0].method.(*command); c.params["password"] != "a b" || len(c.params) != 2 {
		t.Errorf("parameters %q", c.params)
	}
	if steps := parse(t, "").steps("x"); len(steps) != 1 || steps[0].name != "watchdog" {
		t.Errorf("of nothing: %v", steps)
	}
	if steps := new(Policy).steps("x"); len(steps) != 1 || steps[0].name != "watchdog" {
		t.Errorf("of the zero value: %v", steps)
	}
}

func TestPolicySaysWhatWasExpected(t *testing.T) {
	for text, want := range map[string]string{
		"*":                                     `expected NODES METHOD [KEY=VALUE]... instead of "*"`,
		"* pray":                                `unknown fencing method "pray": expected one of command, kill, manual, none, watchdog`,
		"* watchdog 5s":                         `fencing method watchdog: unexpected "5s": expected slack=TIME or nothing`,
		"* watchdog slak=5s":                    `fencing method watchdog: unknown parameter "slak": expected slack=TIME or nothing`,
		"* watchdog slack=5":                    "fencing method watchdog: slack=5: expected a time as 30s or 2m",
		"* watchdog slack=-5s":                  "fencing method watchdog: slack=-5s: expected a time as 30s or 2m",
		"* none trust=maybe":                    "fencing method none: trust=maybe: expected yes or no",
		"* kill x=1":                            `fencing method kill: unknown parameter "x": expected timeout=TIME or nothing`,
		"* manual now":                          `fencing method manual: unexpected "now": expected timeout=TIME or nothing`,
		"* command":                             "fencing method command: no program: expected PROG [timeout=TIME] [verify=yes] [action=off|reboot], and the agent's own",
		"* command /no/such":                    "fencing method command: no program /no/such",
		"* command no-such":                     "fencing method command: no program no-such",
		"* command ./testdata":                  "fencing method command: program ./testdata: is a directory",
		"* command sh a=1 b":                    "sh and b: expected one word, and KEY=VALUE",
		"* command sh action=x":                 `fencing method command: action=x: expected one of ["off" "reboot"]`,
		"* command sh verify=yes action=reboot": "fencing method command: verify=yes needs action=off: who was rebooted is on",
		"* command sh a=1 a=2":                  "a is there twice",
		"* command sh =2":                       "=2: expected KEY=VALUE",
		"node[1-16]* watchdog":                  "nodes node[1-16]*: expected a list as node[1-16],login, or a pattern of one name with * and ?",
		"node[1 watchdog":                       `hosts "node[1": `,
		"# one\n* watchdog\n\n* pray":           `line 4: unknown fencing method "pray"`,
		"* watchdog 'x":                         "EOF",
		strings.Repeat("#", maxText+1):          "fencing policy of 1048577 bytes: expected at most 1048576",
	} {
		p, err := ParsePolicy(NewRegistry(), text)
		if err == nil {
			p.Close()
		}
		if !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%.40q: %v, want %s", text, err, want)
		}
	}
}

// A policy that could not be read holds no method.
func TestMethodStaysWhileInUse(t *testing.T) {
	reg := NewRegistry()
	if err := reg.Register("watchdog", newNone); err == nil || err.Error() != "fencing method watchdog is registered already" {
		t.Errorf("registered twice: %v", err)
	}
	for _, name := range []string{"", "A", "a b", "ä"} {
		if reg.Register(name, newNone) == nil {
			t.Errorf("%q was registered", name)
		}
	}
	if reg.Register("x", nil) == nil {
		t.Error("nothing was registered")
	}
	if err := reg.Unregister("pray"); err == nil {
		t.Error("what is not there was unregistered")
	}
	p, err := ParsePolicy(reg, "* watchdog\nx watchdog")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParsePolicy(reg, "* manual\n* watchdog slack=x"); err == nil {
		t.Error("slack=x was taken")
	}
	if err := reg.Unregister("manual"); err != nil {
		t.Error(err)
	}
	if err := reg.Unregister("watchdog"); err == nil || err.Error() != "fencing method watchdog is in use" {
		t.Errorf("unregistered while in use: %v", err)
	}
	p.Close()
	p.Close()
	if err := reg.Unregister("watchdog"); err != nil {
		t.Error(err)
	}
}

// fenceFunc is a Method.
type fenceFunc func(context.Context, Target) error

func (f fenceFunc) Fence(ctx context.Context, t Target) error { return f(ctx, t) }

func TestMethodsEscalate(t *testing.T) {
	reg := NewRegistry()
	err := reg.Register("broken", func(params map[string]string) (Method, error) {
		return fenceFunc(func(context.Context, Target) error { return errors.New(params["why"]) }), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	p, err := ParsePolicy(reg, "a broken why=one\na broken why=two\na none trust=yes\nb broken why=three\nb none")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	var events []string
	event := func(method string, err error) { events = append(events, fmt.Sprint(method, " ", err)) }
	method, err := p.Run(t.Context(), Target{Name: "a"}, event)
	if method != "none" || err != nil {
		t.Errorf("%s, %v", method, err)
	}
	if want := []string{"broken <nil>", "broken broken: one", "broken <nil>", "broken broken: two", "none <nil>"}; !reflect.DeepEqual(events, want) {
		t.Errorf("%q", events)
	}
	method, err = p.Run(t.Context(), Target{Name: "b"}, ignore)
	if want := "node b is not fenced: broken: three\nnone: there is no method: see to it that the node runs nothing, and acknowledge that"; method != "" || fmt.Sprint(err) != want {
		t.Errorf("%q, %v", method, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	events = nil
	if _, err = p.Run(ctx, Target{Name: "a"}, event); err == nil || len(events) != 2 {
		t.Errorf("with a context that is done: %v after %q", err, events)
	}
}

// The law of the watchdog: not before the node has ended its tasks by itself,
// counted from when it was heard, and with slack for clocks that differ.
func TestWatchdogWaitsLongerThanTheNode(t *testing.T) {
	for _, tc := range []struct {
		policy string
		heard  time.Duration // how long ago
		self   time.Duration
		want   time.Duration
	}{
		{"", 0, 10 * time.Second, 11 * time.Second},
		{"* watchdog slack=3s", 0, 10 * time.Second, 13 * time.Second},
		{"* watchdog slack=0s", 4 * time.Second, 10 * time.Second, 6 * time.Second},
		{"* watchdog", time.Hour, 10 * time.Second, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := parse(t, tc.policy)
			heard := time.Now()
			time.Sleep(tc.heard) // of the bubble's clock: so long ago
			start := time.Now()
			method, err := p.Run(t.Context(), Target{Name: "n", Heard: heard, Self: tc.self}, ignore)
			if took := time.Since(start); method != "watchdog" || err != nil || took != tc.want {
				t.Errorf("%q: %s, %v after %v, want %v", tc.policy, method, err, took, tc.want)
			}
		})
	}
}

func TestWatchdogEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		method, err := new(Policy).Run(ctx, Target{Name: "n", Heard: time.Now(), Self: time.Hour}, ignore)
		if method != "" || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s, %v", method, err)
		}
	})
}

func TestKillAsksOverAnotherConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := parse(t, "* kill timeout=2s")
		if _, err := p.Run(t.Context(), Target{Name: "n"}, ignore); err == nil || !strings.HasSuffix(err.Error(), "kill: there is no other connection to node n") {
			t.Errorf("without one: %v", err)
		}
		asked := false
		method, err := p.Run(t.Context(), Target{Name: "n", Ask: func(context.Context) error { asked = true; return nil }}, ignore)
		if method != "kill" || err != nil || !asked {
			t.Errorf("%s, %v", method, err)
		}
		start := time.Now()
		_, err = p.Run(t.Context(), Target{Name: "n", Ask: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}, ignore)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 2*time.Second {
			t.Errorf("without an answer: %v after %v", err, time.Since(start))
		}
	})
}

func TestAPersonsWordEndsAnyFencing(t *testing.T) {
	for _, policy := range []string{"* manual", "* watchdog\n* manual", "* kill timeout=24h\n* manual"} {
		synctest.Test(t, func(t *testing.T) {
			p := parse(t, policy)
			target := Target{Name: "n", Heard: time.Now(), Self: time.Hour, Ask: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}
			ctx, word := context.WithCancel(t.Context())
			done := make(chan error, 1)
			begun := 0
			go func() { // ends with the word
				_, err := p.Run(ctx, target, func(_ string, err error) {
					if err == nil {
						begun++
					}
				})
				done <- err
			}()
			synctest.Wait()
			word()
			if err := <-done; !errors.Is(err, context.Canceled) || begun != 1 {
				t.Errorf("%q: %v after %d methods", policy, err, begun)
			}
		})
	}
}

func TestNobodyWaitsForeverIfSaidSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := parse(t, "* manual timeout=1h\n* none trust=yes")
		start := time.Now()
		var failed error
		method, err := p.Run(t.Context(), Target{Name: "n"}, func(_ string, err error) { failed = errors.Join(failed, err) })
		if method != "none" || err != nil || time.Since(start) != time.Hour || failed == nil || failed.Error() != "manual: nobody has acknowledged within 1h0m0s" {
			t.Errorf("%s, %v (%v) after %v", method, err, failed, time.Since(start))
		}
	})
}
