package frame

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
)

func TestFramesSurviveTheCodec(t *testing.T) {
	frames := []Frame{
		{Kind: Hello},
		{Kind: Leave, Body: []byte("{}")},
		{Kind: Output, Session: 1, Body: []byte("x")},
		{Kind: Credit, Session: 1<<64 - 1},
		{Kind: Input, Session: 300, Body: make([]byte, MaxBody)},
		{Kind: Failed, Session: 1<<64 - 1, Body: make([]byte, MaxBody)},
	}
	var p []byte
	for _, f := range frames {
		var err error
		if p, err = Append(p, f); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range frames {
		f, n, _, err := Next(p)
		if err != nil || n == 0 {
			t.Fatalf("%v: %d bytes, %v", want.Kind, n, err)
		}
		if f.Kind != want.Kind || f.Session != want.Session || !bytes.Equal(f.Body, want.Body) {
			t.Errorf("%v of %d came as %v of %d", want.Kind, want.Session, f.Kind, f.Session)
		}
		p = p[n:]
	}
	if len(p) > 0 {
		t.Errorf("%d bytes are left", len(p))
	}
}

// raw makes a frame whose length is right, out of what may be wrong.
func raw(rest ...byte) []byte {
	return append(binary.LittleEndian.AppendUint32(nil, uint32(len(rest))), rest...)
}

func TestWhatIsNoFrameIsRefused(t *testing.T) {
	length := func(n uint32) []byte { return binary.LittleEndian.AppendUint32(nil, n) }
	for _, tt := range []struct {
		name string
		p    []byte
		want string
	}{
		{"no room for a session", length(1), "want 2 to 1048592"},
		{"a length that is too large", length(MaxBody + 17), "want 2 to 1048592"},
		{"all ones", length(1<<32 - 1), "want 2 to 1048592"},
		{"a body that is too long", append(length(MaxBody+16), byte(Output), 1), "a body of 1048590 bytes: 1048576 may be"},
		{"kind 0", raw(0, 0), "unknown kind 0: want 1 to 23"},
		{"a kind that does not exist", raw(24, 1), "unknown kind 24: want 1 to 23"},
		{"the kind alone shows it", raw(200, 1, 2, 3)[:6], "unknown kind 200"},
		{"a session of 65 bits", raw(byte(Output), 255, 255, 255, 255, 255, 255, 255, 255, 255, 2), "larger than 64 bits"},
		{"a session without an end", raw(byte(Output), 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255), "larger than 64 bits"},
		{"a session that the frame cuts", raw(byte(Output), 128), "ends within its session"},
		{"a longer form", raw(byte(Output), 129, 0), "not of the shortest form"},
		{"a link's frame of a session", raw(byte(Beat), 1), "Beat frame of session 1: want 0"},
		{"a session's frame of the link", raw(byte(Exec), 0), "Exec frame of session 0: want another"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, n, _, err := Next(tt.p)
			if err == nil || n != 0 || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%d bytes, %v; want an error with %q", n, err, tt.want)
			}
		})
	}
}

func TestWhatMayNotBeSentIsNot(t *testing.T) {
	for _, f := range []Frame{
		{},
		{Kind: kinds, Session: 1},
		{Kind: Beat, Session: 1},
		{Kind: Exec},
		{Kind: Exec, Session: 1, Body: make([]byte, MaxBody+1)},
	} {
		if p, err := Append(nil, f); err == nil || len(p) != 0 {
			t.Errorf("%v of %d: %d bytes, %v", f.Kind, f.Session, len(p), err)
		}
		a, _ := Pipe(0)
		if err := a.Send(t.Context(), f); err == nil {
			t.Errorf("a pipe took %v of %d", f.Kind, f.Session)
		}
	}
}

// FuzzNext: whatever comes, a frame is found or refused, the same bytes come out
// of it again, and less of it is never something else.
func FuzzNext(f *testing.F) {
	for _, fr := range []Frame{{Kind: Hello}, {Kind: Output, Session: 1, Body: []byte("x")}, {Kind: Credit, Session: 1 << 40}} {
		p, _ := Append(nil, fr)
		f.Add(p)
	}
	f.Add(raw(byte(Output), 129, 0))
	f.Add(raw(byte(Beat), 1))
	f.Add([]byte{255, 255, 255, 255, 1})
	f.Fuzz(func(t *testing.T, p []byte) {
		fr, n, want, err := Next(p)
		if err != nil {
			if n != 0 {
				t.Fatalf("%d bytes and %v", n, err)
			}
			return
		}
		if n == 0 {
			if want <= len(p) || want > header+maxLength {
				t.Fatalf("of %d bytes it wants %d", len(p), want)
			}
			return
		}
		again, err := Append(nil, fr)
		if err != nil || !bytes.Equal(again, p[:n]) {
			t.Fatalf("%x came out as %x, %v", p[:n], again, err)
		}
		for i := range n {
			if _, m, want, err := Next(p[:i]); m != 0 || err != nil || want <= i || want > n {
				t.Fatalf("%d of %d bytes: %d taken, %d wanted, %v", i, n, m, want, err)
			}
			if i > 64 {
				break
			}
		}
	})
}
