package supervise

import (
	"context"
	"fmt"
	"os"
	"time"

	"hubfs/taskfs/task"
)

// family is a task that has children of all kinds and says their numbers, a line each:
// one in the background, one in a session of its own, one that was forked twice,
// and one with all descriptors closed; and says "there" at last.
const family = `
	echo $$
	sleep 1000 & echo $!
	setsid sh -c 'echo $$; exec sleep 1001' &
	(setsid sh -c '(sh -c "echo \$\$; exec sleep 1002 <&- >&- 2>&-" &)' &)
	(setsid sh -c 'echo $$; exec sleep 1003' <&- 2>&- &)
	wait_for() { sleep 1004; }
	wait_for
`

// renew renews a lease at each interval until stop is called.
func renew(c task.Crew, interval time.Duration) (stop func()) {
	end, ended := make(chan struct{}), make(chan struct{})
	go func() { // ends with stop, which waits for it
		defer close(ended)
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				c.Renew()
			case <-end:
				return
			}
		}
	}()
	return func() { close(end); <-ended }
}

// ownerEnv makes this program what a supervisor works for: its value is the
// lease. It says the numbers of a family and of the supervisor.
const ownerEnv = "SUPERVISE_TEST_OWNER"

func owner(lease string) error {
	d, err := time.ParseDuration(lease)
	if err != nil {
		return err
	}
	r, err := New(Options{noCgroup: true})
	if err != nil {
		return err
	}
	c, err := r.Crew(context.Background(), task.CrewOptions{Session: "owner", Lease: d})
	if err != nil {
		return err
	}
	if _, err := c.Dir(); err != nil {
		return err
	}
	renew(c, d/10)
	fmt.Println(c.(*crew).cmd.Process.Pid)
	fmt.Println(c.(*crew).h.Dir)
	tk := sh(0, family)
	tk.Stdout = stdout{}
	if err := c.Start(tk); err != nil {
		return err
	}
	select {}
}

// stdout is a Sink.
type stdout struct{}

func (stdout) WriteContext(_ context.Context, p []byte) (int, error) { return os.Stdout.Write(p) }
