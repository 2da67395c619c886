package hubfs

import (
	"errors"
	"strings"
	"testing"
)

func TestListenersAreAskedForByWords(t *testing.T) {
	var did []string
	cfg := Config{
		Listen: func(addr string) error {
			if addr == "tls!:0" {
				did = append(did, "listen "+addr)
				return nil
			}
			return errors.New("no such address")
		},
		Unlisten:  func(addr string) error { did = append(did, "unlisten "+addr); return nil },
		Listeners: func() []string { return []string{"unix!a b", "tls!:4711"} },
	}
	bubble(t, cfg, func(t *testing.T, s *server) {
		s.ctl("listen tls!:0\nunlisten tls!:4711")
		if got, want := strings.Join(did, ", "), "listen tls!:0, unlisten tls!:4711"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
		s.ctlFails("listen x", nil, "listen x: no such address")
		s.ctlFails("listen", nil, "listen: 0 arguments: expected listen ADDR")
		if st := s.cat("status"); !strings.Contains(st, "\nlisten 'unix!a b'\nlisten tls!:4711\n") {
			t.Errorf("status:\n%s", st)
		}
	})
	bubble(t, Config{}, func(t *testing.T, s *server) {
		s.ctlFails("listen tls!:0", nil, `unknown command "listen"`)
	})
}
