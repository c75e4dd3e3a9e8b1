package valkeystore

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

const name = "sp:{AAA}sAAAAAAAAAAAAAAAAAAAA"

func (l *link) ask() { l.Flight(name, "GET", time.Hour, time.Now()) }

// TestSignOfLifeIsWhenTheReadWasSent: what comes late tells of a connection that
// was whole when it was asked, not when it answers.
func TestSignOfLifeIsWhenTheReadWasSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, l := cached(1 << 20)
		pass(time.Second)
		l.ask()
		sent := n.clock()
		pass(3 * time.Second)
		if _, ok := l.answered(name); !ok || l.proven.Load() != sent {
			t.Errorf("proven at %v, want %v", time.Duration(l.proven.Load()), time.Duration(sent))
		}
		if _, ok := l.answered(name); ok {
			t.Error("an answer without a question counts")
		}
	})
}

// TestAnswersBelongToTheirReads: the first of two reads is given up, and its
// answer, which comes first, must not pass for that of the second.
func TestAnswersBelongToTheirReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, l := cached(1 << 20)
		pass(time.Second)
		l.ask()
		first := n.clock()
		l.Cancel(name, "GET", context.DeadlineExceeded)
		pass(time.Second)
		l.ask()
		second := n.clock()
		if read, _ := l.answered(name); !read.deserted || l.proven.Load() != first {
			t.Errorf("the first answer: deserted %v, proven at %v", read.deserted, time.Duration(l.proven.Load()))
		}
		if read, _ := l.answered(name); read.deserted || l.proven.Load() != second {
			t.Errorf("the second answer: deserted %v, proven at %v", read.deserted, time.Duration(l.proven.Load()))
		}
	})
}

// TestReadThatWasNeverSentMakesTheLinkLookOlder, never younger: its place is
// taken by the answer to the next one.
func TestReadThatWasNeverSentMakesTheLinkLookOlder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, l := cached(1 << 20)
		l.ask()
		l.Cancel(name, "GET", context.DeadlineExceeded)
		for range 3 {
			pass(time.Minute)
			before := n.clock()
			l.ask()
			pass(time.Second)
			l.answered(name)
			if proven := l.proven.Load(); proven > before {
				t.Errorf("proven at %v by a read of %v", time.Duration(proven), time.Duration(before))
			}
		}
	})
}
