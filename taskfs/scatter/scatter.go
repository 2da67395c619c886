// Package scatter divides one stream of input among many tasks: all of it to each,
// record by record in turn, or the next record to the task that asks.
package scatter
