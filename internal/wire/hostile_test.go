package wire_test

import (
	"encoding/hex"
	"strings"
	"testing"

	"hubfs/internal/wire"
)

// hostile holds frames that ninep's own server dies of, obeys although they
// are cut short, or is fooled by. None may reach the codec.
var hostile = []struct{ hex, effect string }{
	{"17000000 76 0300 00000000 0000000000000000 ffffff7f", "Twrite of 2 GiB without data: panic"},
	{"0d000000 7e 0300 02000000 ffff", "Twstat of 64 KiB without data: panic"},
	{"18000000 76 0300 02000000 0000000000000000 2c010000 41", "Twrite of 300 bytes with one: reads beyond the message"},
	{"08000000 7a 0300 01", "Tremove with one byte of fid: removes fid 1"},
	{"07000000 78 0300", "Tclunk without a fid: clunks fid 0"},
	{"11000000 6e 0300 01000000 02000000 ffff", "Twalk of 65535 names without any: 1 MiB allocated"},
	{"00e1f505 76 0300 01000000 0000000000000000 e9e0f505", "Twrite of 96 MiB, begun"},
	{"00000000 78 0300", "size 0"},
	{"03000000 78 0300", "size 3"},
	// The smallest bodies found to make the codec panic, framed.
	{"0b000000 7e 04005d73746174", "Twstat"},
	{"07000000 7d 74cdcd", "Rstat: n far beyond the end"},
	{"08000000 75 003000", "Rread without a count"},
	{"13000000 76 640000000000000400000300617461", "Twrite with half a count"},
	// Replies that lie to a client.
	{"0c000000 75 0300 02000000 41", "Rread of two bytes with one"},
	{"0b000000 75 0300 ffffffff", "Rread of 4 GiB"},
	{"09000000 6f 0300 ffff", "Rwalk of 65535 qids: 1 MiB allocated"},
	{"09000000 7d 0300 ffff", "Rstat of 64 KiB without data"},
	{"09000000 6b 0300 0500", "Rerror of five bytes without any"},
	{"08000000 77 0300 01", "Rwrite with one byte of count"},
	// Messages that no side may send.
	{"07000000 6a 0300", "Terror"},
	{"07000000 00 0300", "type 0"},
	{"07000000 80 0300", "type 128"},
	{"07000000 ff 0300", "type 255"},
	// Strings and walks.
	{"13000000 64 ffff 00200000 0600 395032303000", "NUL in a version"},
	{"0f000000 64 ffff 00200000 0200 fffe", "version that is not UTF-8"},
	{"13000000 6e 0300 01000000 02000000 0100 0500", "name of five bytes without any"},
	{"33000000 6e 0300 01000000 02000000 1100" + strings.Repeat(" 0000", 17), "17 empty names"},
	// Stats: n[2] and size[2] must agree, and the strings fill it exactly.
	{"3e000000 7e 0300 01000000 3100 3000" + strings.Repeat("00", 47), "stat one byte larger than it says"},
	{"3e000000 7e 0300 01000000 3100 2f00" + strings.Repeat("00", 39) + "0100 00 0000 0000 00", "stat that ends in a length"},
	{"3e000000 7e 0300 01000000 3100 2f00" + strings.Repeat("00", 39) + "0000 0000 0000 0100", "muid beyond the stat"},
	{"0d000000 7e 0300 01000000 0000", "no stat at all"},
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return b
}

func TestHostileFramesAreRefused(t *testing.T) {
	for _, h := range hostile {
		b := unhex(t, h.hex)
		// As it lies in a pooled buffer: old bytes follow, of somebody else.
		frame := append(b, "SECRET-OF-ANOTHER-CLIENT.........."...)[:len(b)]
		if err := wire.CheckT(frame); err == nil {
			t.Errorf("CheckT accepts: %s", h.effect)
		}
		if err := wire.CheckR(frame); err == nil {
			t.Errorf("CheckR accepts: %s", h.effect)
		}
		var d wire.Decoder
		m := wire.Msg{Data: []byte("old"), Ename: "old"}
		err := d.Decode(frame, &m)
		if err == nil {
			t.Errorf("Decode accepts: %s", h.effect)
			continue
		}
		if m.Data != nil || m.Ename != "" || m.Fid != 0 {
			t.Errorf("%s: refused, but decoded as %v", h.effect, &m)
		}
		if len(err.Error()) > wire.MaxEname {
			t.Errorf("%s: the error is too long to send: %v", h.effect, err)
		}
		if n := testing.AllocsPerRun(10, func() { _ = d.Decode(frame, &m) }); n > 8 {
			t.Errorf("%s: %v allocations to refuse it", h.effect, n)
		}
	}
}

// What is refused can still be answered, if it has a tag at all.
func TestRefusedFrameKeepsItsTag(t *testing.T) {
	var d wire.Decoder
	var m wire.Msg
	if err := d.Decode(unhex(t, "08000000 7a 0301 01"), &m); err == nil || m.Type != wire.Tremove || m.Tag != 0x0103 {
		t.Errorf("got %v, tag %#x, error %v", m.Type, m.Tag, err)
	}
}
