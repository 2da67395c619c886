package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"

	"hubfs/client"
	"hubfs/internal/wire"
)

func TestPipeReaderKeepsReadsWaitingAtTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := dial(t)
		f := s.open(c, client.OREAD)
		p := f.Reader(3)
		got := async(func() result { return read(t.Context(), p, 3) })
		ms := []wire.Msg{s.want(wire.Tread), s.want(wire.Tread), s.want(wire.Tread)}
		s.data(ms[0], "abcdef")
		if r := <-got; r.data != "abc" {
			t.Errorf("%+v", r)
		}
		s.data(ms[1], "ghi") // comes without having been asked for
		s.data(ms[2], "")
		for _, want := range []result{{3, "def", nil}} {
			if r := read(t.Context(), p, 3); r != want {
				t.Errorf("%+v", r)
			}
		}
		got = async(func() result { return read(t.Context(), p, 3) })
		ms[0] = s.want(wire.Tread) // in the place of the first
		if r := <-got; r.data != "ghi" {
			t.Errorf("%+v", r)
		}
		got = async(func() result { return read(t.Context(), p, 3) })
		ms[1] = s.want(wire.Tread)
		if r := <-got; r.err != io.EOF || f.Offset() != 9 {
			t.Errorf("%+v, offset %d", r, f.Offset())
		}
		// The stream goes on behind a mark.
		s.data(ms[0], "j")
		got = async(func() result { return read(t.Context(), p, 3) })
		s.want(wire.Tread)
		if r := <-got; r.data != "j" {
			t.Errorf("%+v", r)
		}
	})
}

func TestPipeReaderGivenUpWaitKeepsItsReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := dial(t)
		f := s.open(c, client.OREAD)
		p := f.Reader(2)
		ctx, cancel := context.WithCancel(t.Context())
		got := async(func() result { return read(ctx, p, 9) })
		m, _ := s.want(wire.Tread), s.want(wire.Tread)
		synctest.Wait()
		cancel()
		if r := <-got; r.err != context.Canceled {
			t.Errorf("%+v", r)
		}
		s.data(m, "abc") // no Tflush before it
		if r := read(t.Context(), p, 9); r.data != "abc" {
			t.Errorf("%+v", r)
		}
	})
}

// Close flushes, and every byte that was taken comes out of the File, in
// order: what was returned in part, what came before, what came meanwhile.
func TestPipeReaderCloseLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := dial(t)
		f := s.open(c, client.OREAD)
		p := f.Reader(5)
		got := async(func() result { return read(t.Context(), p, 1) })
		var ms [5]wire.Msg
		for i := range ms {
			ms[i] = s.want(wire.Tread)
		}
		s.data(ms[0], "abc")
		if r := <-got; r.data != "a" {
			t.Errorf("%+v", r)
		}
		s.data(ms[1], "def")
		synctest.Wait()
		closed := async(func() error { return p.Close(t.Context()) })
		var fl [3]wire.Msg
		for i := range fl {
			fl[i] = s.want(wire.Tflush)
		}
		s.data(ms[2], "ghi") // meanwhile
		s.data(ms[3], "")
		for i := range fl {
			s.reply(fl[i], wire.Msg{})
		}
		if err := <-closed; err != nil {
			t.Error(err)
		}
		var all strings.Builder
		for all.Len() < len("bcdefghi$") {
			r := read(t.Context(), f, 2)
			all.WriteString(r.data)
			if r.err == io.EOF {
				all.WriteString("$")
			} else if r.err != nil {
				t.Fatal(r.err)
			}
		}
		if all.String() != "bcdefghi$" || f.Offset() != 9 {
			t.Errorf("%q, offset %d", &all, f.Offset())
		}
		go read(t.Context(), f, 1)
		if m := s.want(wire.Tread); m.Offset != 9 {
			t.Errorf("%v", &m)
		}
	})
}

func TestPipeReaderCloseEndsWithItsContextAndFinishesBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := dial(t)
		f := s.open(c, client.OREAD)
		p := f.Reader(1)
		gone, cancel := context.WithCancel(t.Context())
		got := async(func() result { return read(gone, p, 1) })
		m := s.want(wire.Tread)
		cancel()
		<-got
		ctx, cancel := context.WithCancel(t.Context())
		closed := async(func() error { return p.Close(ctx) })
		fl := s.want(wire.Tflush)
		cancel()
		if err := <-closed; err != context.Canceled {
			t.Error(err)
		}
		next := async(func() result { return read(t.Context(), f, 9) })
		synctest.Wait()
		s.data(m, "abc")
		s.reply(fl, wire.Msg{})
		if r := <-next; r.data != "abc" {
			t.Errorf("%+v", r)
		}
	})
}

func TestBytesBeforeTheLossAreRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := dial(t)
		f := s.open(c, client.OREAD)
		p := f.Reader(3)
		got := async(func() result { return read(t.Context(), p, 1) })
		ms := []wire.Msg{s.want(wire.Tread), s.want(wire.Tread), s.want(wire.Tread)}
		s.data(ms[0], "ab")
		s.data(ms[1], "cd")
		s.conn.Close()
		<-c.Done()
		if r := <-got; r.data != "a" {
			t.Errorf("%+v", r)
		}
		for _, want := range []string{"b", "cd"} {
			if r := read(t.Context(), p, 9); r.data != want {
				t.Errorf("%+v, want %q", r, want)
			}
		}
		if r := read(t.Context(), p, 9); !errors.Is(r.err, client.ErrLost) {
			t.Errorf("%+v", r)
		}
	})
}

func TestPipeWriterDoesNotWaitForAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := dial(t)
		f := s.open(c, client.OWRITE)
		w := f.Writer(3)
		wrote := async(func() result { return write(t.Context(), w, "0") })
		m := s.want(wire.Twrite)
		s.reply(m, wire.Msg{Count: 1}) // the first is waited for: how much does the server take?
		if r := <-wrote; r.n != 1 || r.err != nil {
			t.Errorf("%+v", r)
		}
		var ms []wire.Msg
		for i := 1; i <= 3; i++ {
			wrote = async(func() result { return write(t.Context(), w, fmt.Sprint(i)) })
			m := s.want(wire.Twrite)
			if r := <-wrote; r.n != 1 || r.err != nil || string(m.Data) != fmt.Sprint(i) || m.Offset != uint64(i) {
				t.Errorf("%+v, %v", r, &m)
			}
			ms = append(ms, m)
		}
		wrote = async(func() result { return write(t.Context(), w, "4") })
		flushed := async(func() error { return w.Flush(t.Context()) })
		synctest.Wait() // the fourth waits for one of the three
		select {
		case r := <-wrote:
			t.Errorf("%+v with three under way", r)
		default:
		}
		s.reply(ms[1], wire.Msg{Count: 1})
		m = s.want(wire.Twrite)
		<-wrote
		s.reply(ms[0], wire.Msg{Count: 1})
		s.reply(ms[2], wire.Msg{Count: 1})
		synctest.Wait()
		select {
		case err := <-flushed:
			t.Errorf("Flush has not waited for the last: %v", err)
		default:
		}
		s.reply(m, wire.Msg{Count: 1})
		if err := <-flushed; err != nil {
			t.Error(err)
		}
	})
}

func TestPipeWriterErrorIsSticky(t *testing.T) {
	for name, answer := range map[string]wire.Msg{
		"error": {Type: wire.Rerror, Ename: "hub ended"},
		"short": {Type: wire.Rwrite, Count: 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, s := dial(t)
				f := s.open(c, client.OWRITE)
				w := f.Writer(3)
				wrote := async(func() result { return write(t.Context(), w, "0") })
				s.reply(s.want(wire.Twrite), wire.Msg{Count: 1})
				<-wrote
				wrote = async(func() result { return write(t.Context(), w, "1") })
				m := s.want(wire.Twrite)
				<-wrote
				s.reply(m, answer)
				err := w.Flush(t.Context())
				var e *client.Error
				if !errors.Is(err, io.ErrShortWrite) && !errors.As(err, &e) {
					t.Errorf("got %v", err)
				}
				if r := write(t.Context(), w, "2"); r.n != 0 || r.err != err {
					t.Errorf("%+v", r)
				}
				c.Close()
				if m := s.next(); m.Type != 0 {
					t.Errorf("sent after the error: %v", &m)
				}
			})
		})
	}
}

func TestPipeWriterWaitsEndWithTheirContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := dial(t)
		f := s.open(c, client.OWRITE)
		w := f.Writer(1)
		wrote := async(func() result { return write(t.Context(), w, "0") })
		s.reply(s.want(wire.Twrite), wire.Msg{Count: 1})
		<-wrote
		wrote = async(func() result { return write(t.Context(), w, "1") })
		m := s.want(wire.Twrite)
		<-wrote
		ctx, cancel := context.WithCancel(t.Context())
		wrote = async(func() result { return write(ctx, w, "2") })
		flushed := async(func() error { return w.Flush(ctx) })
		synctest.Wait()
		cancel()
		if r := <-wrote; r.n != 0 || r.err != context.Canceled {
			t.Errorf("%+v", r)
		}
		if err := <-flushed; err != context.Canceled {
			t.Error(err)
		}
		s.reply(m, wire.Msg{Count: 1}) // and no Tflush: what was sent stays sent
		if err := w.Flush(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestPipeWriterTellsWhatWasTaken, and nothing of what was refused: who keeps
// the rest can write it again.
func TestPipeWriterTellsWhatWasTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := dial(t)
		f := s.open(c, client.OWRITE)
		f.SetOffset(100)
		w := f.Writer(3)
		var told []string
		w.Answered(func(off int64, n int) { told = append(told, fmt.Sprintf("%d+%d", off, n)) })
		wrote := async(func() result { return write(t.Context(), w, "abc") })
		s.reply(s.want(wire.Twrite), wire.Msg{Count: 1}) // in part: the rest comes next
		if m := s.want(wire.Twrite); m.Offset != 101 || string(m.Data) != "bc" {
			t.Errorf("%v", &m)
		} else {
			s.reply(m, wire.Msg{Count: 2})
		}
		<-wrote
		var ms []wire.Msg
		for _, p := range []string{"de", "fg", "hi"} {
			wrote = async(func() result { return write(t.Context(), w, p) })
			ms = append(ms, s.want(wire.Twrite))
			<-wrote
		}
		s.reply(ms[0], wire.Msg{Count: 2})
		s.reply(ms[1], wire.Msg{Type: wire.Rerror, Ename: "gap: x ends at 3"})
		s.reply(ms[2], wire.Msg{Count: 2})
		if err := w.Flush(t.Context()); err == nil {
			t.Error("the refusal is not said")
		}
		if got := strings.Join(told, " "); got != "100+3 103+2 107+2" {
			t.Errorf("told %q", got)
		}
	})
}

// TestNextGivesWhatAReadBrought: whole, without a copy, and what is left of it
// if some was read otherwise.
func TestNextGivesWhatAReadBrought(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := dial(t)
		f := s.open(c, client.OREAD)
		p := f.Reader(1)
		next := func() result {
			b, err := p.Next(t.Context())
			return result{len(b), string(b), err}
		}
		for _, data := range []string{"abcdef", "ghi", ""} {
			got := async(next)
			s.data(s.want(wire.Tread), data)
			want := result{len(data), data, nil}
			if data == "" {
				want.err = io.EOF
			}
			if r := <-got; r != want {
				t.Errorf("%+v, want %+v", r, want)
			}
		}
		got := async(func() result { return read(t.Context(), p, 2) })
		s.data(s.want(wire.Tread), "jkl")
		if r := <-got; r.data != "jk" {
			t.Errorf("%+v", r)
		}
		if r := next(); r.data != "l" || f.Offset() != 12 {
			t.Errorf("%+v, offset %d", r, f.Offset())
		}
	})
}

// TestALossWhileAWriteIsLaidOut: whoever finishes what waits must not get at a
// request that somebody is writing yet. The race detector is the judge.
func TestALossWhileAWriteIsLaidOut(t *testing.T) {
	for n := range 300 {
		synctest.Test(t, func(t *testing.T) {
			c, s := dial(t)
			f := s.open(c, client.OWRITE)
			w := f.Writer(1000)
			wrote := async(func() result { return write(t.Context(), w, "x") })
			s.reply(s.want(wire.Twrite), wire.Msg{Count: 1})
			<-wrote
			go func() { // ends with the connection
				for range n % 30 {
					s.frame()
				}
				go s.conn.Close() // while the next are on their way
				for s.frame() != nil {
				}
			}()
			for {
				if _, err := w.WriteContext(t.Context(), []byte("x")); err != nil {
					break
				}
			}
			if err := w.Flush(t.Context()); !errors.Is(err, client.ErrLost) {
				t.Errorf("write after the end: %v", err)
			}
		})
	}
}
