package daemon

import (
	"bytes"
	"io"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

func TestMetricsAreServedOnTheLoopback(t *testing.T) {
	inPrivate(t)
	var log bytes.Buffer
	r := start(t, Config{Addr: address(t, "met"), Metrics: "localhost:0", Log: slog.New(slog.NewTextHandler(&log, nil))})
	m := regexp.MustCompile(`serving metrics" addr=(\S+)`).FindStringSubmatch(log.String())
	if m == nil {
		t.Fatalf("log: %s", &log)
	}
	write(t, r.connect(), "fear")
	get := func() string {
		resp, err := http.Get("http://" + m[1] + "/metrics")
		if err != nil {
			return err.Error()
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return string(body)
	}
	if got := get(); !strings.Contains(got, "\nhubfs_connections 1\n") {
		t.Errorf("metrics:\n%s", got)
	}
	text, err := r.connect().ReadFile(t.Context(), "/metrics")
	if err != nil || !strings.Contains(string(text), "\nhubfs_connections 2\n") {
		t.Errorf("/metrics: %v\n%s", err, text)
	}
	http.DefaultClient.CloseIdleConnections()
	r.cancel()
	r.ends()
	if got := get(); !strings.Contains(got, "refused") {
		t.Errorf("after the end: %s", got)
	}
}

// TestMetricsStayOnTheLoopback: whoever could connect would read them.
func TestMetricsStayOnTheLoopback(t *testing.T) {
	inPrivate(t)
	for addr, say := range map[string]string{
		":9100":          "expected a host of the loopback",
		"0.0.0.0:9100":   "0.0.0.0 is not of the loopback",
		"[::]:9100":      "is not of the loopback",
		"192.0.2.1:9100": "is not of the loopback",
		"9100":           "expected HOST:PORT",
		"127.0.0.1:none": "127.0.0.1:none",
	} {
		a := address(t, "met")
		err := Run(t.Context(), Config{Addr: a, Metrics: addr})
		if err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("--metrics %s: %v", addr, err)
		}
		r := start(t, Config{Addr: a}) // the name is free
		r.cancel()
		r.ends()
	}
}

// TestScrapersDoNotTakeAllDescriptors: who connects for metrics and says nothing
// makes way for who comes.
func TestScrapersDoNotTakeAllDescriptors(t *testing.T) {
	inPrivate(t)
	var log bytes.Buffer
	r := start(t, Config{Addr: address(t, "met"), Metrics: "localhost:0", Log: slog.New(slog.NewTextHandler(&log, nil))})
	m := regexp.MustCompile(`serving metrics" addr=(\S+)`).FindStringSubmatch(log.String())
	if m == nil {
		t.Fatalf("log: %s", &log)
	}
	var silent []net.Conn
	for range scrapers.All + 1 {
		c, err := net.Dial("tcp", m[1])
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		silent = append(silent, c)
	}
	if n, err := silent[0].Read(make([]byte, 1)); n > 0 || err == nil {
		t.Errorf("the first of too many: %d, %v", n, err)
	}
	resp, err := http.Get("http://" + m[1] + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	r.cancel()
	r.ends()
}
