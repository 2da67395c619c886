// Package e2e drives the programs as people and scripts drive them: built, in
// processes of their own, on real terminals and real sockets. It has tests
// and benchmarks only.
//
//   - Dialogues: a program on a PTY, to which a test types and whose answers
//     it waits for (session_test.go and its neighbours).
//
//   - Scripts: testdata/*.txtar, the commands that need no terminal.
//
//   - Benchmarks: each beside its limit or its peer, in the same run, with
//     the ratio reported. What is missing on the machine is named and skipped.
//     For figures to keep:
//
//     go test -run '^$' -bench . -benchtime 5s ./e2e
//
// Every test lives in a world of its own (see world in world_test.go): its
// own runtime directory, its own home, its own server. When the test is over
// the server is stopped. A process that is left then, and a panic or a race in
// a server's log, fails the test.
//
// # Waiting
//
// Nothing here sleeps or polls. A test waits for text, for the end of a
// process, for a byte on a pipe: always with a deadline, and when that passes
// the test fails and shows all that the terminal showed.
package e2e
