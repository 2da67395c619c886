package supervise

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestFramesArriveInPieces(t *testing.T) {
	want := start{ID: -5, Argv: []string{"a", "", "b\x00c"}, Dir: "/d", Env: []string{}, Umask: -1, Has: [3]bool{true, false, true}}
	p, err := want.frame()
	if err != nil {
		t.Fatal(err)
	}
	p = append(p, signalFrame(7, 15)...)
	exits := []exit{{ID: 1, PID: 2, Wait: 0x8000_0009, User: 3, Sys: 4, Real: time.Hour}, {ID: 2, Fail: "why"}}
	p = append(p, exitsFrame(exits)...)
	var kinds []byte
	var held []byte
	for _, b := range p { // the worst that a socket does
		held = append(held, b)
		kind, body, rest, err := cut(held)
		if err != nil {
			t.Fatal(err)
		}
		switch kind {
		case 0:
			continue
		case kindStart:
			var got start
			if err := got.decode(body); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%+v, %v", got, err)
			}
		case kindExits:
			if got, err := decodeExits(body); err != nil || !reflect.DeepEqual(got, exits) {
				t.Errorf("%+v, %v", got, err)
			}
		}
		kinds = append(kinds, kind)
		held = rest
	}
	if !bytes.Equal(kinds, []byte{kindStart, kindSignal, kindExits}) || len(held) > 0 {
		t.Errorf("kinds %v, %d bytes held", kinds, len(held))
	}
	if _, err := (&start{Argv: []string{strings.Repeat("x", maxFrame)}}).frame(); err == nil {
		t.Error("a frame that nobody would take was made")
	}
}

// FuzzFrames: what is no frame is refused, and what is one comes back the same.
func FuzzFrames(f *testing.F) {
	p, _ := (&start{ID: 1, Argv: []string{"true"}, Env: []string{"A=1"}, Umask: 2}).frame()
	f.Add(p)
	f.Add(hello{"dir", "cgroup"}.frame())
	f.Add(exitsFrame([]exit{{ID: 1, PID: 2, Fail: "x"}}))
	f.Add([]byte{1, 0, 0, 0, kindStart})
	f.Add([]byte{255, 255, 255, 255, kindExits})
	f.Fuzz(func(t *testing.T, p []byte) {
		kind, body, rest, err := cut(p)
		if err != nil || kind == 0 {
			return
		}
		if headSize+len(body)+len(rest) != len(p) {
			t.Fatalf("%d and %d bytes of %d", len(body), len(rest), len(p))
		}
		switch kind {
		case kindStart:
			var m, again start
			if m.decode(body) != nil {
				return
			}
			p, err := m.frame()
			if err != nil {
				t.Fatal(err)
			}
			if err := again.decode(p[headSize:]); err != nil || !reflect.DeepEqual(m, again) {
				t.Fatalf("%+v and %+v, %v", m, again, err)
			}
		case kindHello:
			var m, again hello
			if m.decode(body) == nil && (again.decode(m.frame()[headSize:]) != nil || m != again) {
				t.Fatalf("%+v and %+v", m, again)
			}
		case kindExits:
			if x, err := decodeExits(body); err == nil {
				if again, err := decodeExits(exitsFrame(x)[headSize:]); err != nil || !reflect.DeepEqual(x, again) {
					t.Fatalf("%+v and %+v, %v", x, again, err)
				}
			}
		}
	})
}
