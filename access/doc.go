// Package access keeps who may do what on a server: grants, which somebody
// holds by a link that was used once, by a key, or by being a local user.
//
// A Grant gives a role for the things that its patterns name. A link is a
// grant for whoever brings its token: that is exchanged for a grant of the
// client's own key, or, if it shows no key, for one that lasts as long as its
// connection. What came of a grant ends with it.
//
// A Party is who came in: the grants that it holds, as tree.Rights. What a
// Party may do is looked up each time, so that it ends when a grant does.
//
// # Secrets
//
// A token has 128 random bits. It is handed out once, by Invite; what is kept,
// in memory and in the file, is its SHA-256. All hashes are compared, each in
// constant time. An address that brings ten wrong tokens within a minute is not
// listened to for the rest of it: not even a right token is looked at. No
// error and no line of the log holds a token.
//
// # Names
//
// A guest is called guest:NAME, where NAME has at most 32 of the characters
// A-Z a-z 0-9 . _ and -, so that no guest looks like a local user, whose name
// has no colon. Nobody gets a name that somebody else bears or has borne, or
// one that differs in case alone: files belong to names. A key keeps its name, and
// so does a link that says what its guests are called. Of those who have gone, the
// last 4096 names are remembered.
//
// # Ordering
//
// Changes happen one after another. Each is in the file, with the file on the
// disk, before it is seen and before the call returns; a change that could not
// be written did not happen, except for the end of a grant, which always does.
// A watcher is called after the end of grants is seen by everybody, and before
// the call that ended them returns.
//
// # Blocking
//
// Invite, Grant, Login, Revoke, Approve, Party.End and Close may write the file
// and wait for those that are at it. All else looks at what is there, and never
// waits.
package access
