// Package soak holds one test: a whole server in this process, and many
// clients that do at random all that one can do to it, for as long as one
// likes.
//
//	go test ./internal/soak                     a second or two
//	go test ./internal/soak -for 10m -timeout 15m -seed 7
//
// Every byte carries its place, so that each reader proves that what it got is
// what was written, in order, without a hole but those that it was told of. When
// the clients have gone, nothing of them may be left: no goroutine, descriptor,
// process, fid or file.
//
// # Ordering
//
// From the seed follows what each actor does, and in which order, whatever comes
// of it. How the actors fall in with one another the seed does not say: they are
// real goroutines, clients and sockets. A failure prints the seed and what was
// done last.
//
// The package exists for the sake of the test; there is nothing in it to import.
package soak
