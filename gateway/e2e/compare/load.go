//go:build e2e && linux

package compare

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// requests hands out what is sent next; false when there is no more. It is called
// by many clients at once.
type requests func() (request []byte, ok bool)

// always sends the same.
func always(request []byte) requests {
	return func() ([]byte, bool) { return request, true }
}

// once sends each of a list once.
func once(list [][]byte) requests {
	var next atomic.Int64
	return func() ([]byte, bool) {
		n := next.Add(1) - 1
		if n >= int64(len(list)) {
			return nil, false
		}
		return list[n], true
	}
}

// load is what one proxy gets to carry: many clients with a connection each.
type load struct {
	clients  []*client
	next     requests
	answered atomic.Int64
	end      atomic.Bool
	running  sync.WaitGroup
	done     chan struct{} // closed when every client has ended

	mu   sync.Mutex
	errs []error
}

// connect opens the connections.
func connect(ctx context.Context, address string, connections int, next requests) (*load, error) {
	l := &load{next: next, done: make(chan struct{})}
	for range connections {
		c, err := dial(ctx, address)
		if err != nil {
			l.close()
			return nil, err
		}
		l.clients = append(l.clients, c)
	}
	return l, nil
}

func (l *load) close() {
	for _, c := range l.clients {
		_ = c.conn.Close()
	}
}

// ask sends the next request of a client; false means that its work is over.
func (l *load) ask(c *client) bool {
	request, ok := l.next()
	if !ok {
		return false
	}
	status, err := c.exchange(request)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("the answer is %d", status)
	}
	if err != nil {
		l.mu.Lock()
		l.errs = append(l.errs, err)
		l.mu.Unlock()
		return false
	}
	l.answered.Add(1)
	return true
}

// saturate makes every client ask as fast as it is answered, until stop is called,
// or there are no more requests.
func (l *load) saturate() (stop func() error) {
	l.deadline(time.Hour)
	for _, c := range l.clients {
		l.running.Go(func() {
			for !l.end.Load() {
				if !l.ask(c) {
					return
				}
			}
		})
	}
	go func() { l.running.Wait(); close(l.done) }()
	return func() error {
		l.end.Store(true)
		l.deadline(patience)
		<-l.done
		return errors.Join(l.errs...)
	}
}

// deadline bounds every wait of every client.
func (l *load) deadline(wait time.Duration) {
	for _, c := range l.clients {
		_ = c.conn.SetDeadline(time.Now().Add(wait)) // the connections are open
	}
}

// paced sends a number of requests at a fixed rate, whether or not the former ones
// were answered, and returns how long each took from the moment at which it was to be
// sent. What a slow answer keeps waiting counts for as long as it waited.
func (l *load) paced(rate, count int) ([]time.Duration, error) {
	due, err := pace(time.Second/time.Duration(rate), count)
	if err != nil {
		return nil, err
	}
	l.deadline(time.Duration(count)*time.Second/time.Duration(rate) + patience)
	took := make([][]time.Duration, len(l.clients))
	for i, c := range l.clients {
		l.running.Go(func() {
			for at := range due {
				if !l.ask(c) {
					break
				}
				took[i] = append(took[i], time.Since(at))
			}
		})
	}
	l.running.Wait()
	return slices.Concat(took...), errors.Join(l.errs...)
}

// quantile returns the value below which a share q of the values is. The values are
// sorted in place.
func quantile[T cmp.Ordered](values []T, q float64) T {
	slices.Sort(values)
	if len(values) == 0 {
		var none T
		return none
	}
	return values[min(int(q*float64(len(values))), len(values)-1)]
}

// median is the value in the middle; the mean of the two there, if there are two.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	switch n := len(sorted); {
	case n == 0:
		return 0
	case n%2 == 1:
		return sorted[n/2]
	default:
		return (sorted[n/2-1] + sorted[n/2]) / 2
	}
}
