package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"

	"hubfs/hubfs"
	"hubfs/internal/supervise"
	"hubfs/taskfs"
	"hubfs/taskfs/cluster"
	"hubfs/taskfs/fence"
	"hubfs/taskfs/gang"
)

// makeNode makes this server a node of a tree, with nobody above and below yet.
func (s *server) makeNode() error {
	info, err := s.cfg.Node.info(s.cfg.Addr)
	if err != nil {
		return err
	}
	policy, err := s.cfg.Node.policy()
	if err != nil {
		return err
	}
	folder, err := Dir()
	if err != nil {
		return err
	}
	runner, err := supervise.New(supervise.Options{Dir: taskDir(), Folder: folder, Log: s.log})
	if err != nil {
		return err
	}
	s.node = gang.New(gang.Options{
		Cluster: cluster.Options{
			Info:   info,
			Period: s.cfg.Node.Heartbeat.Period,
			Missed: s.cfg.Node.Heartbeat.Missed,
			Fence:  policy,
			Event:  s.nodeEvent,
			Log:    s.log,
		},
		Runner: runner,
		Dir:    taskDir(),
		Env:    append(os.Environ(), "HUB_SERVER="+s.cfg.Addr.String()),
		Log:    s.log,
	})
	return nil
}

// policy reads who is fenced how; nil is what package cluster has.
func (n NodeConfig) policy() (*fence.Policy, error) {
	if n.Fence == "" {
		return nil, nil
	}
	text, err := os.ReadFile(n.Fence)
	if err != nil {
		return nil, err
	}
	p, err := fence.ParsePolicy(fence.NewRegistry(), string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", n.Fence, err)
	}
	return p, nil
}

// taskDir is where tasks start: where the server was started, or at home if that
// says nothing.
func taskDir() string {
	dir, err := os.Getwd()
	if err == nil && dir != "/" {
		return dir
	}
	if home, err := os.UserHomeDir(); err == nil {
		return home
	}
	return "/"
}

// remote makes the folder /remote.
func (s *server) remote(streams taskfs.Streams) hubfs.Remote {
	s.tasks = taskfs.New(taskfs.Config{
		Node:    s.node,
		Owner:   ownUser(),
		Streams: streams,
		Session: "remote/",
		Dir:     taskDir(),
		Log:     s.log,
		Add:     s.addNode,
	})
	return s.tasks
}

// nodeEvent tells what has happened to a node.
func (s *server) nodeEvent(line string) {
	s.fs.Node(line)
	s.tasks.Event(line)
}

// endTasks ends what runs here, for whomever, and tells the nodes above.
func (s *server) endTasks(ctx context.Context) error {
	err := s.tasks.Close(ctx)
	return errors.Join(err, s.node.Close(ctx))
}
