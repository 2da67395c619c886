package transport

import (
	"strings"
	"testing"
)

func TestLinksAreReadAsTheyAreWritten(t *testing.T) {
	token := "abcdefghij-_0123456789"
	for in, want := range map[string]Link{
		"hub://h:5640/work#" + somePin + "." + token:  {Addr{Network: "tls", Address: "h:5640", Pin: somePin}, "work", token},
		"hub://h:5640/ci/b%C3%BCro%202%23#" + somePin: {Addr{Network: "tls", Address: "h:5640", Pin: somePin}, "ci/büro 2#", ""},
		"hub://[::1]:5640/work":                       {Addr{Network: "tls", Address: "[::1]:5640"}, "work", ""},
		"hub://h:5640":                                {Addr{Network: "tls", Address: "h:5640"}, "", ""},
		"hub://h:5640#" + somePin + "." + token:       {Addr{Network: "tls", Address: "h:5640", Pin: somePin}, "", token},
	} {
		l, err := ParseLink(in)
		if err != nil || l != want || !IsLink(in) {
			t.Errorf("ParseLink(%q) = %+v, %v; want %+v", in, l, err, want)
		}
		if s := l.String(); s != in {
			t.Errorf("%q is written %q", in, s)
		}
	}
}

// A link is pasted into the quotes of a shell, whatever name it has.
func TestALinkHasNoQuotes(t *testing.T) {
	l := Link{Addr{Network: "tls", Address: "h:1"}, "it's \"$x\" `y` \\ !z #1", ""}
	s := l.String()
	if strings.ContainsAny(strings.TrimPrefix(s, "hub://"), "'\"`\\! ") {
		t.Error(s)
	}
	if again, err := ParseLink(s); err != nil || again != l {
		t.Errorf("%+v, %v", again, err)
	}
}

// Nor has the host that a server gives for itself, or the port.
func TestAHostHasNoQuotes(t *testing.T) {
	for _, where := range []string{"a'$(id)':1", "a`id`:1", "a b:1", "a;b:1", "a\x1b[2J:1", "h:1'", "h:$(id)", "h:a b", "h:-1", "h:", "[a]b:1", "h\u202e:1"} {
		if l, err := ParseLink(linkScheme + where + "/x"); err == nil {
			t.Errorf("link to %q: %+v", where, l)
		}
		for _, network := range []string{"tls", "tcp"} {
			if a, err := Parse(network + "://" + where); err == nil {
				t.Errorf("%s to %q: %+v", network, where, a)
			}
		}
	}
}

func TestErrorsOfLinksHoldNoSecret(t *testing.T) {
	const secret = "TOPSECRETTOPSECRET"
	for _, in := range []string{
		"http://h:1/x#" + secret,
		"hub://h/x#" + secret,
		"hub://h:1/x#" + secret,
		"hub://h:1/x#" + somePin[1:] + "." + secret,
		"hub://h:1/x#" + somePin + "." + secret + "!",
		"hub://h:1/x#" + somePin + ".",
		"hub://h:1/x#." + secret,
		"hub://h:1/x#" + somePin + secret + "." + secret,
		"hub://h:99999/x#" + somePin + "." + secret,
		"hub://:1/x#" + somePin + "." + secret,
		"hub:///x#" + somePin + "." + secret,
		"hub://h:1/%zz#" + somePin + "." + secret,
		"hub://h:1/a%00b#" + somePin + "." + secret,
		"hub://h:1/a%ffb#" + somePin + "." + secret,
		"hub://h:1/x#" + somePin + "." + strings.Repeat(secret, 500),
	} {
		l, err := ParseLink(in)
		if err == nil || strings.Contains(err.Error(), secret) || !strings.Contains(err.Error(), "expected "+linkForm) {
			t.Errorf("%q: %+v, %v", in, l, err)
		}
	}
	if _, err := Parse("hub://h:1/x#" + somePin + "." + secret); err == nil || strings.Contains(err.Error(), secret) {
		t.Errorf("Parse: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"default", "unix:/x", "tcp!h!1", "tls://h:1#" + somePin, "ssh://u@h:22/n", "ssh://[::1]/n", "fd!3", "systemd!x",
		"hub://h:1/a%20b#" + somePin + ".t"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if a, err := Parse(s); err == nil {
			if again, err := Parse(a.String()); err != nil || again != a {
				t.Errorf("%q: %+v is written %q, which is %+v, %v", s, a, a.String(), again, err)
			}
		}
		if l, err := ParseLink(s); err == nil {
			if again, err := ParseLink(l.String()); err != nil || again != l {
				t.Errorf("%q: %+v is written %q, which is %+v, %v", s, l, l.String(), again, err)
			}
		}
	})
}
