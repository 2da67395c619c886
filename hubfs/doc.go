// Package hubfs is the tree that a server of hubs serves: hubs as files, the
// directory of shells, and the files that control and describe them. It is
// the one place where streams (package hub), processes (package shellctl) and
// files (package tree) meet. It knows nothing of 9P or of connections.
//
//	/ctl  /status  /events  /stats  /metrics  /access
//	/NAME ...                       hubs, and directories that group them
//	/NAME0 /NAME1 /NAME2            stdin, stdout, stderr of shell NAME
//	/NAME0.note                     what is written there signals shell NAME
//	/shell/NAME/                    ctl status wait args env dir clients
//	                                stdin stdout stderr input@KEY
//	/remote/                        one command on many nodes, see package taskfs
//
// A hub is opened as NAME, from its oldest byte; as NAME@end, from its end; as
// NAME@-N, from N bytes before the end; and as NAME@, where the offset of each
// read and write is that in the stream. NAME@times says when its bytes came.
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
// A shell may be hosted: a client runs its process. What was typed stays until
// the host has asked for what follows it, also while it is away. Its key, if it
// gave one, is what it comes back with.
//
// The owner of a shell, and of a hub, is who made it. Only the owner, or the
// server's own user, may remove it or change its name and mode. Who has a hub
// open that was removed goes on with it; it ends when nobody who writes it is
// left.
//
// What is written to input@KEY is typed like what is written to NAME0, and the
// offset of a write counts what was typed under that key, which the client has
// chosen. So it may write again what it does not know to have been typed: after
// a lost connection it asks stat for the length, and goes on there. A key is its
// first user's, and gone with the shell.
//
// # Rights
//
// A caller may have bounds (tree.Caller.Rights). What it has no level for is not
// there: it is in no listing, no line of /status, /events and clients tells of
// it, and an error about it is that about what does not exist. ruleLocked says
// what each file takes to be seen, read and written, and each word of a ctl file
// what it takes; mode bits are asked besides. With the level to write one owns
// what one makes or hosts. Where others are, who owns the server alone is told.
//
// Rights go by names: a shell's files by the shell's, all else by its path. They
// are asked at each open, and of a stream of lines at each line.
//
// /access is package access as a file. A guest whose grant asks attaches ro, is
// rw when an owner says so, and is told of both.
//
// # Pipes
//
// A pipe reads one hub and writes another as if it had opened them for who made
// it, so that fear, limits and freeze work through it. Package conduit does the
// work. Its number is read from the open of /ctl on which it was made.
//
// It ends with FROM, whose last byte is in TO then, with its program, or with one
// of the two hubs. TO goes on, or ends first if that was asked. A pipe that has
// ended stays in /status for a while, where its reason is.
//
// A mark in FROM ends nothing. A plain pipe sets it in TO, unless plain pipes
// lead from there back to FROM: nothing would stop it.
//
// # Sessions
//
// What is in /remote is a Remote's, but for the hubs of its sessions: it makes them
// through Streams, and they are opened, counted, set and told of as hubs are, under
// remote/N/NAME. They are their session's: they end and go with it, and nobody
// renames them. Who may see remote reads all that is in it, and who owns it runs
// commands; there is no right to a part. The names that a Remote gives as qid.path
// are its own: ours are counted from 1, so that it has those with the top bit.
//
// # Spools
//
// A spooled hub has its history in a folder (package hub/filestore), and beside
// it a note of what the hub is. The state folder holds these folders, or links
// to those elsewhere; Restore makes hubs of them again. An entry without a note is
// nobody's: files that are kept for their own sake. What is not as it should be
// is logged and left alone.
//
// The words spool, nospool, end, reopen and rm are answered when the note says
// what they did. What renames a hub or changes its mode is answered before.
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
// tree.StreamReader has it, Restore and Shutdown. Starting a process takes its
// time, and so does the disk, which is why ctl files and /access are tree.Writers. Unpipe is
// answered when a plain pipe carries nothing more.
//
// # Ownership
//
// There is one lock that counts. FS.mu guards the tree and all that is in it; no call
// leaves the package while it is held, save to make, open and count hubs, which
// wakes nobody, and to ask for a caller's rights, which do not block: the lock
// order is FS.mu, then the locks inside package hub and those of the stores. Opens
// of /stats and /access have a lock of their own, under which nothing is called but
// what lists the grants, and stateDir.mu orders what is done to that folder; it is
// taken without FS.mu.
// What must be called out is queued under mu and done with no lock held, by one
// goroutine at a time, which keeps the order. See post.go.
//
// A goroutine waits for each process, for each pipe, and for each store; it ends
// with it, and Shutdown waits for it. One writes the note of a spool while that is behind.
package hubfs
