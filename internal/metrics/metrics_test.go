package metrics

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"hubfs/hubfs"
)

var someStats = hubfs.Stats{
	Started: time.Unix(1763640000, 5e8), Conns: 2, Fids: 7, Waiting: 1, Shells: 3, Retained: 8, Room: 92,
	Hubs: []hubfs.HubStats{
		{Name: "ci/build", In: 1 << 40, Retained: 8, Readers: 2, Writers: 1, Lost: 2, Blocked: 1},
		{Name: "a \"b\"\\ →", In: 5},
	},
}

func TestTextHoldsWhatWasCounted(t *testing.T) {
	text := Text(someStats)
	for _, want := range []string{
		"# TYPE hubfs_connections gauge\nhubfs_connections 2\n",
		"hubfs_fids 7\n", "hubfs_waiting_requests 1\n", "hubfs_shells 3\n", "hubfs_hubs 2\n",
		"hubfs_retained_bytes 8\n", "hubfs_room_bytes 92\n", "hubfs_start_time_seconds 1.7636400005e+09\n",
		"# TYPE hubfs_hub_in_bytes_total counter\n",
		`hubfs_hub_in_bytes_total{hub="ci/build"} 1.099511627776e+12` + "\n",
		`hubfs_hub_in_bytes_total{hub="a \"b\"\\ →"} 5` + "\n",
		`hubfs_hub_lost_bytes_total{hub="ci/build"} 2` + "\n",
		`hubfs_hub_blocked_writers{hub="ci/build"} 1` + "\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// TestTextIsWhatPrometheusReads, by its own parser and by its own rules for
// names.
func TestTextIsWhatPrometheusReads(t *testing.T) {
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(Text(someStats)))
	if err != nil {
		t.Fatal(err)
	}
	if want := len(ofServer) + len(ofHub); len(families) != want {
		t.Errorf("%d metrics, want %d", len(families), want)
	}
	problems, err := promlint.New(strings.NewReader(Text(someStats))).Lint()
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	if err != nil {
		t.Error(err)
	}
}

// TestSeriesHaveALimit: the hubs beyond it are one, which has no name.
func TestSeriesHaveALimit(t *testing.T) {
	var s hubfs.Stats
	for i := range MaxHubs + 3 {
		s.Hubs = append(s.Hubs, hubfs.HubStats{Name: fmt.Sprint("h", i), In: 10})
	}
	text := Text(s)
	if n := strings.Count(text, "hubfs_hub_in_bytes_total{"); n != MaxHubs+1 {
		t.Errorf("%d series", n)
	}
	for _, want := range []string{`hubfs_hub_in_bytes_total{hub="h999"} 10`, `hubfs_hub_in_bytes_total{hub=""} 30`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s", want)
		}
	}
}

func TestServe(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- Serve(l, func() hubfs.Stats { return someStats }) }() // ends with l
	ask := func(method, path, host string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+l.Addr().String()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if host != "" {
			req.Host = host
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}
	code, body := ask("GET", "/metrics", "")
	if code != 200 || body != Text(someStats) {
		t.Errorf("%d:\n%s", code, body)
	}
	for _, c := range []struct {
		method, path, host string
		want               int
	}{
		{"GET", "/metrics", "localhost", 200},
		{"GET", "/metrics", "[::1]:9100", 200},
		{"GET", "/metrics", "evil.example:80", 403}, // a name that was made to point here
		{"GET", "/metrics", "192.0.2.1", 403},
		{"GET", "/", "", 404},
		{"POST", "/metrics", "", 405},
	} {
		if code, _ := ask(c.method, c.path, c.host); code != c.want {
			t.Errorf("%s %s of %s: %d, want %d", c.method, c.path, c.host, code, c.want)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	l.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
