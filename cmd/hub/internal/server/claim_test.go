package server_test

import (
	"sync"
	"testing"
	"testing/synctest"

	"hubfs/client"
	"hubfs/cmd/hub/internal/server"
	"hubfs/cmd/hub/internal/servertest"
)

// TestAnEndedHubIsReplacedOnce: of several who claim the name of a hub that has
// ended one gets a new hub, and nobody takes it away again.
func TestAnEndedHubIsReplacedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := servertest.New(t)
		const claimants = 4
		var conns [claimants]*server.Server
		for i := range conns {
			conns[i] = s.Server()
			defer conns[i].Close()
		}
		for range 50 {
			old, err := conns[0].Claim(t.Context(), "build")
			if err != nil {
				t.Fatal(err)
			}
			old.Close()
			if err := conns[0].End(t.Context(), "build", "exit 0", true); err != nil {
				t.Fatal(err)
			}
			var files [claimants]*client.File
			var work sync.WaitGroup
			for i, c := range conns {
				work.Go(func() { files[i], _ = c.Claim(t.Context(), "build") })
			}
			work.Wait()
			got := 0
			for _, f := range files {
				if f == nil {
					continue
				}
				got++
				mine, err := f.Stat(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if now, err := conns[0].Stat(t.Context(), "/build"); err != nil || now.Path != mine.Path {
					t.Errorf("the hub that was claimed has gone: %v", err)
				}
				if err := f.Remove(t.Context()); err != nil {
					t.Error(err)
				}
			}
			if got != 1 {
				t.Fatalf("%d have the hub for themselves", got)
			}
		}
	})
}
