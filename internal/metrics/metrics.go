// Package metrics gives a server's counters to Prometheus, as text and over
// HTTP. It is the one package that knows Prometheus.
//
// # Series
//
// A hub is a label. Names of hubs come from whoever may write, and each makes
// series that a monitor keeps for long: the hubs that have been there longest
// have series of their own, MaxHubs of them, and the rest are one hub without a
// name. A counter of the rest falls when one of its hubs goes or comes to have
// series of its own, which is a reset to whoever reads it.
//
// # Blocking
//
// Nothing here waits for other people. Serve returns when its listener is
// closed.
package metrics

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/common/expfmt"

	"hubfs/hubfs"
)

// MaxHubs is how many hubs have series of their own.
const MaxHubs = 1_000

// Text is the counters in Prometheus' text format.
func Text(s hubfs.Stats) string {
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(counters(func() hubfs.Stats { return s }))
	families, err := reg.Gather()
	if err != nil {
		return fmt.Sprintf("# %v\n", err) // a comment, as the format has it
	}
	var b strings.Builder
	for _, f := range families {
		// A strings.Builder takes everything, and Gather has checked the rest.
		_, _ = expfmt.MetricFamilyToText(&b, f)
	}
	return b.String()
}

// Serve answers GET /metrics on l with what snapshot counts, and with the
// counters of the Go runtime and of the process besides. Requests that name
// another host than this one are refused: a page from elsewhere, in somebody's
// browser here, must not get to read the names of hubs.
func Serve(l net.Listener, snapshot func() hubfs.Stats) error {
	reg := prometheus.NewRegistry()
	reg.MustRegister(counters(snapshot), collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
	srv := &http.Server{
		Handler:           onlyLocal(mux),
		ReadHeaderTimeout: 10 * time.Second,
		WriteTimeout:      time.Minute,
		MaxHeaderBytes:    16 << 10,
	}
	defer srv.Close()
	if err := srv.Serve(l); !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("serve metrics: %w", err)
	}
	return nil
}

// onlyLocal refuses requests for a host that is not this machine's loopback.
func onlyLocal(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		if ip := net.ParseIP(strings.Trim(host, "[]")); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			http.Error(w, "not this host", http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r)
	})
}
