package daemon

import "testing"

func TestBytes(t *testing.T) {
	for in, want := range map[string]Bytes{
		"1": 1, "65536": 65536, "64K": 65536, "64k": 65536, "1M": 1 << 20, "2G": 2 << 30,
	} {
		var b Bytes
		if err := b.Set(in); err != nil || b != want {
			t.Errorf("%q: %d, %v; want %d", in, b, err, want)
		}
	}
	for _, in := range []string{"", "0", "-1", "K", "1.5M", "1T", "+5", "99999999999G", "1 K", "0x10"} {
		var b Bytes
		if err := b.Set(in); err == nil {
			t.Errorf("%q: %d, want an error", in, b)
		}
	}
}

func TestCount(t *testing.T) {
	var c Count
	if err := c.Set("60"); err != nil || c != 60 {
		t.Errorf("60: %d, %v", c, err)
	}
	for _, in := range []string{"", "0", "-1", "1s"} {
		if err := c.Set(in); err == nil {
			t.Errorf("%q is no count", in)
		}
	}
}

func TestAddrsCollects(t *testing.T) {
	var l Addrs
	for _, s := range []string{"tcp!127.0.0.1!564", "unix!/tmp/s"} {
		if err := l.Set(s); err != nil {
			t.Fatal(err)
		}
	}
	if got := l.String(); got != "tcp!127.0.0.1!564 unix!/tmp/s" {
		t.Errorf("got %q", got)
	}
	if err := l.Set("gopher://x"); err == nil {
		t.Error("gopher is no network")
	}
}
