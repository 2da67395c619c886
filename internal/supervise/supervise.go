// Package supervise runs the tasks of a session under a process of its own, which
// ends them, and all that they have started, when the session ends, when its
// lease has passed, or when the program that it works for is gone.
package supervise
