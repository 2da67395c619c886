package hubfscli

import (
	"bytes"
	"strings"
	"testing"
)

func TestUsage(t *testing.T) {
	for _, tt := range []struct {
		args           string
		code           int
		stdout, stderr string
	}{
		{"-h", 0, "usage: hubfs", ""},
		{"--help", 0, "usage: hubfs", ""},
		{"-nosuch", 2, "", "hubfs: flag provided but not defined: -nosuch\n"},
		{"-q nonsense", 2, "", "expected a number of bytes"},
		{"-q 0", 2, "", "expected a number of bytes"},
		{"-i 1s", 2, "", "expected a whole number"},
		{"-a gopher://x", 2, "", "gopher"},
		{"-s a/b", 2, "", "a/b"},
		{"-m /nosuch/folder", 1, "", "hubfs: hint: "},
		{"-m /mnt -stdio", 2, "", "-stdio"},
		{"--idle -1s", 2, "", "-idle"},
		{"--alive", 2, "", "-stdio"},
		{"--node", 2, "", "-stdio"},
		{"--join gopher://x", 2, "", "gopher"},
		{"--join hub://x", 2, "", "HOST:PORT"},
		{"--heartbeat 5", 2, "", "expected a time"},
		{"--slots 0", 2, "", "expected a whole number"},
		{"--label a=b", 2, "", "expected labels"},
		{"-a tls!h", 2, "", "tls!HOST!PORT"},
		{"-s x extra", 2, "", "extra"},
	} {
		var stdout, stderr bytes.Buffer
		code := Run(strings.Fields(tt.args), &stdout, &stderr)
		if code != tt.code || !strings.Contains(stdout.String(), tt.stdout) || !strings.Contains(stderr.String(), tt.stderr) {
			t.Errorf("hubfs %s: exit %d\nstdout: %s\nstderr: %s", tt.args, code, &stdout, &stderr)
		}
		if (tt.stdout == "") != (stdout.Len() == 0) || (tt.stderr == "") != (stderr.Len() == 0) {
			t.Errorf("hubfs %s: stdout %q, stderr %q", tt.args, &stdout, &stderr)
		}
	}
}
