package gather

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// check fails if a queue is not what it says.
func (q *queue) check(t *testing.T) {
	t.Helper()
	items, bytes := 0, 0
	var last *item
	for it := q.first; it != nil; it = it.next {
		items++
		bytes += len(it.data)
		if it.prev != last || it.sent || len(it.data) == 0 || it.set().Len() != it.tasks {
			t.Fatalf("item %d of %d: sent %v, %d bytes, %d tasks in %s", items, q.items, it.sent, len(it.data), it.tasks, it.set())
		}
		last = it
	}
	if q.last != last || items != q.items || bytes != q.bytes {
		t.Fatalf("%d items and %d bytes, counted as %d and %d", items, bytes, q.items, q.bytes)
	}
	here := map[*item]int{}
	for _, it := range q.at {
		here[it.waiting()]++
	}
	for it := q.first; it != nil; it = it.next {
		if here[it] != it.here {
			t.Fatalf("%d tasks have said an item last, counted as %d", here[it], it.here)
		}
	}
	for k, it := range q.index {
		if it.sent || it.key != k || len(q.index) > q.items {
			t.Fatal("the index has what does not wait")
		}
	}
}

// TestQueueIsWhole looks at a queue after everything that is done to it.
func TestQueueIsWhole(t *testing.T) {
	text := output(40)
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(1, seed))
		l := newLine(16)
		said := make([]int, 16)
		for range 200 {
			task := r.IntN(16)
			if n := min(len(text)-said[task], 1+r.IntN(200)); n > 0 {
				p := text[said[task] : said[task]+n]
				if r.IntN(30) == 0 {
					p = fmt.Appendf(nil, "%d says so\n", task)
					n = 0
				}
				l.Output(one(task), Stdout, p)
				said[task] += n
				l.queue.check(t)
			}
			if r.IntN(12) > 0 {
				continue
			}
			l.enc.begin([]int{1 << 10, 1 << 20}[r.IntN(2)])
			for l.queue.first != nil && l.step() {
				l.queue.check(t)
			}
		}
	}
}
