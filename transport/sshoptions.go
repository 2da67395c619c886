package transport

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// sshArgv is the program to run, with what stands before the host.
func (d Dialer) sshArgv(ctx context.Context, t sshTarget) ([]string, error) {
	prog := d.SSH
	if prog == nil {
		prog = strings.Fields(os.Getenv("HUB_SSH"))
	}
	own := len(prog) == 0
	if own {
		prog = []string{"ssh"}
	}
	if _, err := exec.LookPath(prog[0]); err != nil {
		return nil, fmt.Errorf("%w: it comes with OpenSSH, and $HUB_SSH names another", err)
	}
	var where []string
	if t.port != "" {
		where = append(where, "-p", t.port)
	}
	if t.user != "" {
		where = append(where, "-l", t.user)
	}
	argv := append(prog[:len(prog):len(prog)], "-T")
	if own {
		conf, err := sshConfig(ctx, append(where, "--", t.host))
		if err != nil {
			return nil, err
		}
		argv = append(argv, sshDefaults(conf)...)
	}
	if d.Batch {
		argv = append(argv, "-o", "BatchMode=yes")
	}
	return append(argv, where...), nil
}

// sshConfig asks ssh how it is configured for a host.
func sshConfig(ctx context.Context, host []string) (map[string]string, error) {
	cmd := exec.CommandContext(ctx, "ssh", append([]string{"-T", "-G"}, host...)...)
	out, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		if line := lastLine(exit.Stderr); line != "" {
			err = errors.New(line)
		}
	}
	if err != nil {
		return nil, err
	}
	conf := map[string]string{}
	for line := range strings.Lines(string(out)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		conf[key] = value
	}
	return conf, nil
}

// sshDefaults are the options that the user's configuration has left open.
func sshDefaults(conf map[string]string) []string {
	var argv []string
	option := func(key, value string) { argv = append(argv, "-o", key+"="+value) }
	// A network that is gone is noticed, by the process that has the
	// connection, in 15 seconds.
	if v := conf["serveraliveinterval"]; v == "" || v == "0" {
		option("ServerAliveInterval", "5")
		option("ServerAliveCountMax", "2")
	}
	if v := conf["remotecommand"]; v != "" && v != "none" {
		option("RemoteCommand", "none")
	}
	// One connection for everything on a host, also for who comes within a
	// minute, with ssh's own means; unless the user has his way of doing so.
	if v := conf["controlpath"]; v != "" && v != "none" {
		return argv
	}
	path, err := controlPath()
	if err != nil {
		return argv // each its own, then
	}
	argv = append(argv, "-S", path)
	option("ControlMaster", "auto")
	option("ControlPersist", "60s")
	// It is no login: what the configuration forwards has others who want it.
	option("ClearAllForwardings", "yes")
	return argv
}

// controlPath is where ssh is to put the socket of a connection that others
// can use: in the private folder of servers' sockets. ssh writes a hash of
// user, host and port for %C.
func controlPath() (string, error) {
	dir := runtimeDir()
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	if err := checkPrivateDir(dir); err != nil {
		return "", err
	}
	const hash, temporary = 40, len(".0123456789abcdef") // ssh binds it under another name first
	if len(dir)+len("/ssh-")+hash+temporary > maxPath {
		return "", fmt.Errorf("folder %s: its path is too long for ssh's socket", dir)
	}
	return filepath.Join(strings.ReplaceAll(dir, "%", "%%"), "ssh-%C"), nil
}
