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
			key, err := daemon.ServerKey()
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(a.stdout, key.Fingerprint())
			return err
		},
	}
}
