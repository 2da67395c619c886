package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"time"

	"hubfs/cmd/hub/internal/server"
	"hubfs/cmd/hub/internal/session"
)

// audiencePatience is how long the server may take to say who watches.
const audiencePatience = 10 * time.Second

// An audience is those who read some hubs, for whoever asks about them with a
// signal or a key.
type audience struct {
	app    *app
	json   bool
	hubs   []string
	server func() *server.Server // nil while it is lost
}

// onSignals has every signal that asks for it answered until ctx is done.
func (w *audience) onSignals(ctx context.Context) {
	signals := make(chan os.Signal, 1)
	notify(signals, infoSignals...)
	go func() { // ends with ctx
		defer signal.Stop(signals)
		for {
			select {
			case <-signals:
				w.say(ctx)
			case <-ctx.Done():
				return
			}
		}
	}()
}

// say says on standard error who reads the hubs, and how much there is.
func (w *audience) say(ctx context.Context) {
	srv := w.server()
	if srv == nil {
		fmt.Fprintf(w.app.stderr, "hub: the server is lost, and tried again\n")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, audiencePatience)
	defer cancel()
	st, err := srv.Status(ctx)
	if err != nil {
		fmt.Fprintf(w.app.stderr, "hub: %s\n", printableLines(err.Error()))
		return
	}
	var out strings.Builder
	for _, name := range w.hubs {
		h, ok := st.Hub(name)
		switch {
		case !ok:
			fmt.Fprintf(&out, "hub: hub %s was removed\n", printable(name))
		case w.json:
			out.Write(attendanceJSON(h, st.Readers))
		default:
			out.WriteString(attendance(h, st.Readers))
		}
	}
	fmt.Fprint(w.app.stderr, out.String())
}

// readersOf are those who read a hub, the furthest behind first.
func readersOf(h server.Hub, all []server.Reader) []server.Reader {
	var of []server.Reader
	for _, r := range all {
		if r.Hub == h.Name {
			of = append(of, r)
		}
	}
	slices.SortStableFunc(of, func(a, b server.Reader) int {
		switch {
		case a.Offset < b.Offset:
			return -1
		case a.Offset > b.Offset:
			return 1
		}
		return strings.Compare(a.User+" "+a.Addr, b.User+" "+b.Addr)
	})
	return of
}

// attendance says in lines for people who reads a hub.
func attendance(h server.Hub, all []server.Reader) string {
	var b strings.Builder
	readers := readersOf(h, all)
	fmt.Fprintf(&b, "hub: %s: %s so far, read by %d", printable(h.Name), amount(h.Next), len(readers))
	if h.Writers == 0 && !h.Ended() { // as when a tee was killed: there may be no more to wait for
		b.WriteString(", written by nobody")
	}
	b.WriteByte('\n')
	for _, r := range readers {
		fmt.Fprintf(&b, "hub:   %s", describe(r, h))
		if r.ID != "" { // what hub ctl drop takes
			fmt.Fprintf(&b, " (reader %s)", printable(r.ID))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// describe says who a reader is and how far it is.
func describe(r server.Reader, h server.Hub) string {
	text := printable(r.User) + ", " + printable(r.Addr)
	if behind := h.Next - r.Offset; behind > 0 {
		text += fmt.Sprintf(": %s behind", amount(behind))
	} else {
		text += ": at the end"
	}
	if r.Lost > 0 {
		text += fmt.Sprintf(", %s lost", amount(r.Lost))
	}
	if r.Slowest {
		text += ", the slowest"
	}
	return text
}

// attendanceJSON says the same in a line for programs.
func attendanceJSON(h server.Hub, all []server.Reader) []byte {
	type reader struct {
		User    string `json:"user"`
		Addr    string `json:"addr"`
		Behind  int64  `json:"behind"`
		Lost    int64  `json:"lost"`
		ID      string `json:"id,omitempty"`
		Slowest bool   `json:"slowest,omitempty"`
	}
	line := struct {
		Hub     string   `json:"hub"`
		Bytes   int64    `json:"bytes"`
		Mode    string   `json:"mode"`
		Writers int      `json:"writers"`
		Readers []reader `json:"readers"`
	}{h.Name, h.Next, h.Mode, h.Writers, []reader{}}
	for _, r := range readersOf(h, all) {
		line.Readers = append(line.Readers, reader{r.User, r.Addr, max(0, h.Next-r.Offset), r.Lost, r.ID, r.Slowest})
	}
	b, err := json.Marshal(line)
	if err != nil {
		panic(err) // strings and numbers: cannot be
	}
	return append(b, '\n')
}

// onKeys has the prefix key and s at the terminal answered until ctx is done,
// when the terminal is as it was: Wait waits for that. leave is what d and q
// do; nil is nothing.
func (w *audience) onKeys(ctx context.Context, prefix session.Prefix, leave func()) *sync.WaitGroup {
	var work sync.WaitGroup
	if prefix == session.NoPrefix {
		return &work
	}
	keys, err := session.NewAside(prefix)
	if err != nil {
		fmt.Fprintf(w.app.stderr, "hub: %v\n", err)
		return &work
	}
	help := "s who watches"
	if leave != nil {
		help += ", d or q leave"
	}
	work.Go(func() { // ends with ctx
		err := keys.Run(ctx, func(key rune) {
			switch {
			case key == 's':
				w.say(ctx)
			case leave != nil && (key == 'd' || key == 'q'):
				leave()
			default:
				fmt.Fprintf(w.app.stderr, "hub: %s, then: %s, ? help\n", prefix, help)
			}
		})
		if err != nil {
			fmt.Fprintf(w.app.stderr, "hub: %v\n", err)
		}
	})
	return &work
}
