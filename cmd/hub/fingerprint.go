package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"hubfs/internal/daemon"
)

func (a *app) fingerprintCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "fingerprint",
		Short: "print by which key your servers here are known",
		Long: `Print by which key your servers on this machine are known to who comes with
tls: the KEY of tls://HOST:PORT#KEY, and of the links of hub invite and hub share.
It is made at first use, and kept in $XDG_CONFIG_HOME/hub/server.pem, or in
~/.config/hub without that variable. A server without it is another server.`,
		Args:              a.atMost(0),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if a.serverFlag != "" { // which may be of another machine
				return &usageError{usagef("hub fingerprint: expected no -s: it is about this machine's servers"), "ssh HOST hub fingerprint says it of another's"}
			}
			key, err := daemon.ServerKey()
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(a.stdout, key.Fingerprint())
			return err
		},
	}
}
