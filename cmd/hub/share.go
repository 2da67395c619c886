package main

import (
	"bufio"
	"context"
	"os"
	"strings"

	"hubfs/cmd/hub/internal/lend"
)

// obeySharer does what hub share, which has started this process, says: the
// lines "revoke ID", an invitation to take back at the end of the shell, and
// "home", the shell goes to the user's own server. When its terminal is gone
// it says nothing more, and the shell goes on.
func (a *app) obeySharer(ctx context.Context, h *lend.Host, orders *os.File) {
	defer orders.Close()
	lines := bufio.NewScanner(orders)
	for lines.Scan() {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		switch word {
		case "revoke":
			h.RevokeAtEnd(rest)
		}
	}
}
