// Package hubfs is the tree that a server of hubs serves: hubs as files, the
// directory of shells, and the files that control and describe them. It is
// the one place where streams (package hub), processes (package shellctl) and
// files (package tree) meet. It knows nothing of 9P or of connections.
//
//	/ctl  /status  /events  /stats  /metrics
//	/NAME ...                       hubs, and directories that group them
//	/NAME0 /NAME1 /NAME2            stdin, stdout, stderr of shell NAME
//	/NAME0.note                     what is written there signals shell NAME
//	/shell/NAME/                    ctl status wait args env dir clients
//	                                stdin stdout stderr
//
// A hub is opened as NAME, from its oldest byte; as NAME@end, from its end; as
// NAME@-N, from N bytes before the end; and as NAME@, where the offset of each
// read and write is that in the stream.
//
// # Names
//
// checkName and its neighbours are the one place that says what a file may be
// called. The names of the tree itself are taken at the root, and the four
// files of a shell belong to it: they are made, removed and renamed with it
// only. What would need a name that is there already is refused, whoever came
// first.
//
// # Commands
//
// What is written to a ctl file is done line by line, and words are split as a
// shell does. A line that is unknown or malformed is refused with what was
// expected, and nothing of it is done. Of several lines those before it have
// been done; the error names the line. A blank line does nothing.
//
// A command without a hub's name sets all hubs and how new ones begin. Calm
// said to all leaves the stdin of shells alone, which is in fear so that a
// paste never vanishes: calm NAME0 is what takes that away.
//
// # Shells
//
// The files of a shell are there before its process. When the process has
// ended and its last byte of output is in the hub, the three hubs end, then the
// state is exited, then wait, the attached and /events are told, in this
// order. The files stay until rm, or until the next shell of that name, which
// gets hubs of its own: who has the old ones open keeps those.
//
// The owner of a shell, and of a hub, is who made it. Only the owner, or the
// server's own user, may remove it or change its name and mode.
//
// # Ordering
//
// What one change tells to others (events, notices, words for a host, sizes
// for a process, modes of hubs) is told in the order of the changes, to
// everybody alike, and before the write that made the change is answered.
//
// # Blocking
//
// Nothing here waits for other people but the reads of streams, as
// tree.StreamReader has it, and Shutdown. Starting a process takes its time,
// which is why ctl files are tree.Writers.
//
// # Ownership
//
// There is one lock. FS.mu guards the tree and all that is in it; no call
// leaves the package while it is held, save to make, open and count hubs, which
// wakes nobody: the lock order is FS.mu, then the locks inside package hub.
// What must be called out is queued under mu and done with no lock held, by one
// goroutine at a time, which keeps the order. See post.go.
//
// A goroutine waits for each process; it ends with it, and Shutdown waits for
// it.
package hubfs
