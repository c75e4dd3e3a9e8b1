package valkeystore

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/valkey-io/valkey-go"
)

// recount is how old the number of active sessions may be.
const recount = time.Minute

// active is the number of sessions in use, counted now and then for metrics.
type active struct {
	number atomic.Int64
	at     atomic.Int64 // unix nanoseconds of the last count
}

// Active returns how many sessions were used within the idle timeout, as it was
// a minute ago at most. It does not wait: where that is too long ago, the
// next caller gets a new number.
func (s *Store) Active() int {
	now := time.Now().UnixNano()
	last := s.active.at.Load()
	if now-last >= int64(recount) && s.active.at.CompareAndSwap(last, now) {
		go func() {
			if n, err := s.countActive(context.Background()); err == nil {
				s.active.number.Store(n)
			}
		}()
	}
	return int(s.active.number.Load())
}

func (s *Store) countActive(ctx context.Context) (total int64, err error) {
	since := micros(time.Now().Add(-s.idle))
	for begin := 0; begin < bucketCount; begin += batch {
		n, err := call(ctx, s, "count", firstOf(begin), func(ctx context.Context, c valkey.Client) (n int64, err error) {
			questions := make([]valkey.Completed, batch)
			for i := range questions {
				questions[i] = c.B().Zcount().Key(s.layout.bucketKey(begin+i, 'a')).Min(since).Max("+inf").Build()
			}
			for _, answer := range c.DoMulti(ctx, questions...) {
				k, err := answer.AsInt64()
				if err != nil {
					return 0, err
				}
				n += k
			}
			return n, nil
		})
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}
