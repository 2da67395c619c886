package feed

import (
	"fmt"
	"strings"
	"testing"
)

// sends takes all that is to be sent, as OFFSET:BYTES.
func sends(q *queue) string {
	var out []string
	for {
		s, ok := q.next()
		if !ok {
			return strings.Join(out, " ")
		}
		out = append(out, fmt.Sprintf("%d:%s", s.off, s.data))
		q.release(s.chunk)
	}
}

// filled is a queue of segments of at most 4 bytes from offset 100 on.
func filled(words ...string) *queue {
	q := &queue{end: 100, unit: 4}
	c, used := q.chunk(), 0
	for _, w := range words {
		p := c.buf[used : used+copy(c.buf[used:], w)]
		used += len(w)
		q.add(c, p)
	}
	q.release(c)
	return q
}

func TestQueueJoinsAndDividesWhatIsAdded(t *testing.T) {
	if got := sends(filled("a", "bc", "defghij", "k")); got != "100:abcd 104:efgh 108:ijk" {
		t.Error(got)
	}
}

// TestQueueSendsAgainWhatIsNotAnswered, from the very byte, also where a write
// was taken in part or an answer came early.
func TestQueueSendsAgainWhatIsNotAnswered(t *testing.T) {
	q := filled("abcdefghijkl")
	sends(q)
	q.answered(100, 4)
	q.answered(104, 1)
	q.answered(108, 4)
	q.answered(90, 4)   // of something else
	q.answered(104, 1)  // told twice
	q.answered(105, 99) // more than there is
	if q.answeredTo() != 105 {
		t.Error(q.answeredTo())
	}
	q.rewind()
	if got := sends(q); got != "105:fgh" {
		t.Error(got)
	}
	q.answered(105, 3)
	if q.answeredTo() != 112 || len(q.segs) != 0 || q.bytes != 0 {
		t.Errorf("%d, %+v", q.answeredTo(), q)
	}
}

// TestQueueIsRenumberedWithoutGaps when it is to be appended.
func TestQueueIsRenumberedWithoutGaps(t *testing.T) {
	q := filled("abcdefghijklmn")
	sends(q)
	q.answered(100, 2)
	q.answered(104, 4) // the second write came behind the others', the first did not
	q.renumber(q.answeredTo())
	if got := sends(q); got != "102:cd 104:ijkl 108:mn" || q.end != 110 {
		t.Errorf("%s, end %d", got, q.end)
	}
	q.answered(102, 2)
	q.answered(104, 4)
	q.answered(108, 2)
	if q.answeredTo() != 110 || q.bytes != 0 {
		t.Errorf("%d, %d bytes", q.answeredTo(), q.bytes)
	}
}

// TestQueueUsesMemoryAgain only when nobody holds it.
func TestQueueUsesMemoryAgain(t *testing.T) {
	q := filled("abcd")
	if len(q.spare) != 0 {
		t.Fatal("the bytes are in it still")
	}
	s, _ := q.next()
	q.answered(100, 4) // before the write has returned
	if len(q.spare) != 0 {
		t.Fatal("it is being sent")
	}
	q.release(s.chunk)
	if len(q.spare) != 1 || q.chunk() != s.chunk {
		t.Error("not used again")
	}
	q = filled("abcd", "efgh")
	sends(q)
	q.drop()
	if q.bytes != 0 || len(q.segs) != 0 {
		t.Errorf("%+v", q)
	}
}
