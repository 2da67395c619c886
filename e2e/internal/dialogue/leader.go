package dialogue

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

const (
	leaderName = "dialogue-leader" // argv[0] of a test binary that is a leader
	endMark    = "[dialogue: the program has ended: "
)

// Leader makes this process the leader of a terminal's session if it was
// started as one, and does not return then. TestMain calls it first.
func Leader() {
	if os.Args[0] == leaderName {
		os.Exit(lead(os.Args[1], os.Args[2:]))
	}
}

// lead runs the program in the foreground of the terminal on descriptor 0,
// reports its pid and status on descriptor 3, and stays until 4 is closed.
func lead(path string, args []string) int {
	report, hold := os.NewFile(3, "report"), os.NewFile(4, "hold")
	syscall.CloseOnExec(3) // the program shall not keep them open
	syscall.CloseOnExec(4)
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	cmd := &exec.Cmd{
		Path:   path,
		Args:   args,
		Stdin:  os.Stdin,
		Stdout: os.Stdout,
		Stderr: os.Stderr,
		// As a shell with job control: a group of its own, in the foreground.
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true, Foreground: true, Ctty: 0},
	}
	if err := cmd.Start(); err != nil {
		fmt.Fprintf(report, "start: %v\n", err)
		return 1
	}
	fmt.Fprintf(report, "pid %d\n", cmd.Process.Pid)
	go func() { // ends with this process
		// When a terminal goes the kernel tells the leader alone, and a
		// shell passes it on to its jobs.
		<-hangup
		syscall.Kill(-cmd.Process.Pid, syscall.SIGHUP)
	}()
	cmd.Wait() // the status is in ProcessState
	status := fmt.Sprintf("exit %d", cmd.ProcessState.ExitCode())
	if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		status = fmt.Sprintf("signal %v", ws.Signal())
	}
	fmt.Fprintln(report, status)
	// The mark comes after the program's last byte, so whoever sees it knows
	// that nothing more appears.
	fmt.Printf("%s%s]\r\n", endMark, status)
	io.Copy(io.Discard, hold)
	return 0
}
