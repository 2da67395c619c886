package daemon

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"sync"
	"time"

	"hubfs/internal/lobby"
	"hubfs/transport"
)

// handshakes is how many connections may be in the middle of a handshake.
var handshakes = lobby.Limits{All: 500, Each: 100}

// handshake completes the handshake of a connection. Who comes when there are too
// many of them takes the place of the one that has taken longest.
func (s *server) handshake(ctx context.Context, c net.Conn) error {
	t, ok := c.(*tls.Conn)
	if !ok {
		return transport.Handshake(ctx, c)
	}
	place := s.lobby.Enter(lobby.Origin(c.RemoteAddr().String()), handshakes, func() { t.NetConn().Close() })
	defer place.Leave()
	return transport.Handshake(ctx, c)
}

// A sparing log has a limit to what others can have it write: the disk is ours.
type sparing struct {
	log *slog.Logger // immutable

	mu    sync.Mutex
	since time.Time // guarded by mu; when the while began
	lines int       // guarded by mu; written since
	more  int       // guarded by mu; not written since
}

// So many lines are written in a while.
const (
	while      = time.Minute
	whileLines = 20
)

// write writes a line, unless there were too many of late; how many were left out
// the next one says.
func (s *sparing) write(level slog.Level, msg string, attrs ...any) {
	s.mu.Lock()
	if now := time.Now(); now.Sub(s.since) >= while {
		s.since, s.lines = now, 0
	}
	if s.lines == whileLines {
		s.more++
		s.mu.Unlock()
		return
	}
	s.lines++
	if s.more > 0 {
		attrs = append(attrs, "unsaid", s.more)
		s.more = 0
	}
	s.mu.Unlock()
	s.log.Log(context.Background(), level, msg, attrs...)
}
