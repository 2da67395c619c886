// Package metrics gives a server's counters to Prometheus, as text and over
// HTTP. It is the one package that knows Prometheus, of which it has the data
// model and the encoder: the client library around them makes a registry of its
// own before main begins, which would cost every start of hub, and of every
// attach, as much again as the rest of the program.
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
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/common/expfmt"

	"hubfs/hubfs"
)

// MaxHubs is how many hubs have series of their own.
const MaxHubs = 1_000

// Text is the counters in Prometheus' text format.
func Text(s hubfs.Stats) string {
	var b strings.Builder
	for _, f := range families(s) {
		if _, err := expfmt.MetricFamilyToText(&b, f); err != nil {
			return fmt.Sprintf("# %v\n", err) // a comment, as the format has it
		}
	}
	return b.String()
}

// Serve answers GET /metrics on l with what snapshot counts. Requests that name
// another host than this one are refused: a page from elsewhere, in somebody's
// browser here, must not get to read the names of hubs.
func Serve(l net.Listener, snapshot func() hubfs.Stats) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", string(expfmt.NewFormat(expfmt.TypeTextPlain)))
		_, _ = io.WriteString(w, Text(snapshot())) // who asked has gone, else
	})
	srv := &http.Server{
		Handler:           onlyLocal(mux),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       time.Minute,
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
