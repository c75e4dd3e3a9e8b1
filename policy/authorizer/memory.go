package authorizer

import (
	"context"
	"crypto/sha256"
	"errors"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"
	"golang.org/x/sync/singleflight"
)

const (
	// maxMemory bounds the memory for the answers to one policy, in bytes.
	maxMemory = 8 << 20
	// answerBytes is what an answer without text takes, with its place. It also bounds
	// how many there can be.
	answerBytes = 512
)

// memory keeps answers for a while, by the SHA-256 of the whole question, and lets
// those who ask the same at the same time share one question.
type memory struct {
	lasts   time.Duration
	answers *otter.Cache[[sha256.Size]byte, *known]
	flights singleflight.Group
}

// known is an answer and until when it counts.
type known struct {
	answer *answer
	until  time.Time
}

func newMemory(lasts time.Duration) (*memory, error) {
	cache, err := otter.New(&otter.Options[[sha256.Size]byte, *known]{
		MaximumWeight: maxMemory,
		Weigher:       func(_ [sha256.Size]byte, k *known) uint32 { return k.answer.bytes() },
	})
	if err != nil {
		return nil, err
	}
	return &memory{lasts: lasts, answers: cache}, nil
}

func (a *answer) bytes() uint32 {
	n := answerBytes + len(a.rule) + len(a.message)
	for _, words := range [][]string{a.stepUp.ACR, a.stepUp.AMR} {
		for _, w := range words {
			n += 16 + len(w)
		}
	}
	return uint32(n)
}

// recall returns the answer to a question, from memory where one counts still.
// Otherwise it is asked once for all who want to know, and goes on when one of them
// leaves.
func (c *Client) recall(ctx context.Context, body []byte) (*answer, error) {
	m, key, now := c.memory, sha256.Sum256(body), time.Now()
	if k, ok := m.answers.GetIfPresent(key); ok && now.Before(k.until) {
		c.o.Observe(ResultCached, 0)
		return k.answer, nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.o.Timeout)
	defer cancel()
	for {
		var own atomic.Bool // whoever asks is the one who counts the question
		flight := m.flights.DoChan(string(key[:]), func() (any, error) {
			own.Store(true)
			return c.learn(context.WithoutCancel(ctx), key, body)
		})
		var landed singleflight.Result
		select {
		case landed = <-flight:
		case <-ctx.Done():
			if !own.Load() && errors.Is(ctx.Err(), context.DeadlineExceeded) {
				c.o.Observe(ResultOutage, 0)
			}
			return nil, c.locate(ctx.Err())
		}
		k, _ := landed.Val.(*known)
		switch {
		case landed.Err != nil && !own.Load():
			c.o.Observe(failureOf(landed.Err), 0)
			return nil, landed.Err
		case landed.Err != nil:
			return nil, landed.Err
		case own.Load():
			return k.answer, nil
		case now.Before(k.until):
			c.o.Observe(ResultCached, 0)
			return k.answer, nil
		}
		// The question was older than an answer may be. The next one is not.
	}
}

func failureOf(err error) Result {
	if isSenseless(err) {
		return ResultError
	}
	return ResultOutage
}

// learn asks, and remembers the answer: from the time of the question, which it is as
// old as at most. What is no answer is not remembered.
func (c *Client) learn(ctx context.Context, key [sha256.Size]byte, body []byte) (*known, error) {
	asked := time.Now()
	a, err := c.ask(ctx, body)
	if err != nil {
		return nil, err
	}
	k := &known{answer: a, until: asked.Add(c.memory.lasts)}
	c.memory.answers.Set(key, k)
	return k, nil
}
