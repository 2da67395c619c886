package transport

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", "/run/user/7")
	cwd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		in, network, address string
		pin                  string
		out                  string // String; "" is in
		local                bool
	}{
		{in: "default", network: "unix", address: "/run/user/7/hub/default.sock", local: true},
		{in: "büro 2", network: "unix", address: "/run/user/7/hub/büro 2.sock", local: true},
		{in: "unix!/tmp/x", network: "unix", address: "/tmp/x"},
		{in: "unix:/tmp/x", network: "unix", address: "/tmp/x", out: "unix!/tmp/x"},
		{in: "unix:///tmp/x", network: "unix", address: "/tmp/x", out: "unix!/tmp/x"},
		{in: "unix:x", network: "unix", address: filepath.Join(cwd, "x"), out: "unix!" + filepath.Join(cwd, "x")},
		{in: "unix:/tmp/a!b:c", network: "unix", address: "/tmp/a!b:c", out: "unix!/tmp/a!b:c"},
		{in: "tcp!localhost!5640", network: "tcp", address: "localhost:5640"},
		{in: "tcp!::1!5640", network: "tcp", address: "[::1]:5640"},
		{in: "tcp!*!5640", network: "tcp", address: ":5640"},
		{in: "tcp!localhost!http", network: "tcp", address: "localhost:http"},
		{in: "tcp://localhost:5640", network: "tcp", address: "localhost:5640", out: "tcp!localhost!5640"},
		{in: "tcp://[::1]:0", network: "tcp", address: "[::1]:0", out: "tcp!::1!0"},
		{in: "tcp://:5640", network: "tcp", address: ":5640", out: "tcp!*!5640"},
		{in: "tls!localhost!5640", network: "tls", address: "localhost:5640"},
		{in: "tls://[::1]:5640", network: "tls", address: "[::1]:5640", out: "tls!::1!5640"},
		{in: "tls://h:5640#" + somePin, network: "tls", address: "h:5640", pin: somePin},
		{in: "tls!h!5640#" + somePin, network: "tls", address: "h:5640", pin: somePin, out: "tls://h:5640#" + somePin},
		{in: "ssh!host", network: "ssh", address: "host", out: "ssh://host"},
		{in: "ssh!ann@host", network: "ssh", address: "ann@host", out: "ssh://ann@host"},
		{in: "ssh://host", network: "ssh", address: "host"},
		{in: "ssh://host/", network: "ssh", address: "host", out: "ssh://host"},
		{in: "ssh://host/default", network: "ssh", address: "host", out: "ssh://host"},
		{in: "ssh://ann@host:2222/büro 2", network: "ssh", address: "ann@host:2222/büro 2"},
		{in: "ssh://ann@corp@host", network: "ssh", address: "ann@corp@host"},
		{in: "ssh://[fe80::1%eth0]:22/work", network: "ssh", address: "[fe80::1%eth0]:22/work"},
		{in: "ssh://[::1]", network: "ssh", address: "[::1]"},
		{in: "fd!3", network: "fd", address: "3"},
		{in: "fd:0", network: "fd", address: "0", out: "fd!0"},
		{in: "systemd", network: "systemd"},
		{in: "systemd!hub.socket", network: "systemd", address: "hub.socket"},
		{in: "systemd:tcp", network: "systemd", address: "tcp", out: "systemd!tcp"},
	} {
		a, err := Parse(tc.in)
		if err != nil {
			t.Errorf("Parse(%q): %v", tc.in, err)
			continue
		}
		if tc.out == "" {
			tc.out = tc.in
		}
		if a.Network != tc.network || a.Address != tc.address || a.Pin != tc.pin || a.Local() != tc.local || a.String() != tc.out {
			t.Errorf("Parse(%q) = %s %s, pin %q, local %v, String %s; want %s %s, %q, %v, %s", tc.in,
				a.Network, a.Address, a.Pin, a.Local(), a, tc.network, tc.address, tc.pin, tc.local, tc.out)
		}
		if again, err := Parse(a.String()); err != nil || again != a {
			t.Errorf("Parse(%q), which is String of %q: %+v, %v", a.String(), tc.in, again, err)
		}
	}
}

func TestParseSaysWhatWasExpected(t *testing.T) {
	for in, want := range map[string]string{
		"":                               "empty",
		".":                              "not a name",
		"..":                             "not a name",
		"a/b":                            "use unix:a/b",
		"/tmp/x.sock":                    "use unix:/tmp/x.sock",
		"a\nb":                           "control characters",
		"a\xffb":                         "UTF-8",
		strings.Repeat("n", 200):         "too long",
		"localhost:5640":                 "expected NAME",
		"udp!localhost!5640":             "expected NAME",
		"unix!":                          "expected unix:PATH",
		"unix:/tmp/":                     "expected unix:PATH",
		"unix:/" + long:                  "too long",
		"tcp!localhost":                  "expected tcp!HOST!PORT",
		"tcp!localhost!1!2":              "expected tcp!HOST!PORT",
		"tcp!localhost!":                 "bad port",
		"tcp!localhost!70000":            "bad port",
		"tcp:localhost:5640":             "expected tcp!HOST!PORT",
		"tcp://localhost":                "expected tcp://HOST:PORT",
		"tcp://a!b:5640":                 "bad host",
		"tcp://localhost:56!40":          "bad port",
		"tcp://localhost:5640/io":        "bad port",
		"tls://localhost":                "expected tls://HOST:PORT",
		"tls://localhost:1#":             "43 characters",
		"tls://localhost:1#short":        "43 characters",
		"tls://h:1#" + somePin[1:] + "!": "43 characters",
		"tls://h:1#" + somePin[1:] + "B": "43 characters", // bits that are no part of the sum
		"ssh:host":                       "not an address",
		"ssh!host!22":                    "bad host",
		"ssh://":                         "no host",
		"ssh://:22":                      "no host",
		"ssh://ann@/x":                   "no host",
		"ssh://-oProxyCommand=x":         "bad host",
		"ssh!-v":                         "bad host",
		"ssh://$(id)":                    "bad host",
		"ssh://a`id`":                    "bad host",
		"ssh://a b":                      "bad host",
		"ssh://-l@host":                  "bad user",
		"ssh://a;b@host":                 "bad user",
		"ssh://host:0":                   "bad port",
		"ssh://host:x":                   "bad port",
		"ssh://host:70000":               "bad port",
		"ssh://host/a/b":                 "bad name",
		"ssh://host/a'b":                 "bad name",
		"ssh://host/a!b":                 "bad name",
		"ssh://host/tcp:x":               "bad name",
		"fd!":                            "expected fd!N",
		"fd!-1":                          "expected fd!N",
		"fd!03":                          "expected fd!N",
		"fd!x":                           "expected fd!N",
		"systemd!":                       "FileDescriptorName",
		"systemd!a\nb":                   "FileDescriptorName",
		"hub://h:1/x#" + somePin:         "a link",
		"http://localhost/default":       "expected NAME",
	} {
		if a, err := Parse(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse(%q) = %v, %v; want an error that says %q", in, a, err, want)
		}
	}
}

// somePin looks like the fingerprint of a key.
var somePin = strings.Repeat("A", 43)

var long = strings.Repeat("p", 200)

func TestNameWithoutRuntimeDir(t *testing.T) {
	for _, dir := range []string{"", "relative"} {
		t.Setenv("XDG_RUNTIME_DIR", dir)
		a, err := Parse("io")
		if want := "/tmp/hub-" + strconv.Itoa(os.Geteuid()) + "/io.sock"; err != nil || a.Address != want {
			t.Errorf("XDG_RUNTIME_DIR=%s: %s, %v; want %s", dir, a.Address, err, want)
		}
	}
}

// A path that Parse takes can be bound, temporary name and all.
func TestLongestPathListens(t *testing.T) {
	dir := shortDir(t)
	for n := range 80 {
		path := filepath.Join(dir, strings.Repeat("d", n), "s")
		a, err := Parse("unix:" + path)
		if err != nil {
			if len(path) < maxPath-20 {
				t.Fatalf("%d bytes refused: %v", len(path), err)
			}
			return
		}
		l, err := Listen(t.Context(), a, ListenOptions{})
		if err != nil {
			t.Fatalf("%d bytes: %v", len(path), err)
		}
		l.Close()
	}
	t.Fatal("no path is too long")
}
