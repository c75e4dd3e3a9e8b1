package proxy

import (
	"net/http"
	"sync"

	"github.com/sallyport/sallyport/gateway/httperr"
)

// counter counts the open streams of each user on each route. The zero value is
// ready, and safe for concurrent use.
type counter struct {
	mu   sync.Mutex
	open map[seat]int
}

// seat is what a user holds as many of as he has streams on a route.
type seat struct{ route, issuer, subject string }

// take reports whether s was free, with most of them in all.
func (c *counter) take(s seat, most int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open[s] >= most {
		return false
	}
	if c.open == nil {
		c.open = make(map[seat]int)
	}
	c.open[s]++
	return true
}

func (c *counter) leave(s seat) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open[s]--; c.open[s] <= 0 {
		delete(c.open, s)
	}
}

// seated takes a seat for the stream that an answer begins, where seats are
// counted. Nobody has no seat, and needs none.
func (x *exchange) seated() error {
	most, id := x.target.Settings.Streams.MaxPerUser, x.verdict.Identity
	if most <= 0 || id == nil {
		return nil
	}
	s := seat{x.verdict.Route.Name, id.Issuer, id.Subject}
	if !x.owner.seats.take(s, most) {
		return &httperr.Error{
			Code: http.StatusTooManyRequests, Reason: "too_many_streams",
			Public: "You have too many connections of this kind open. Close one, then try again.",
			Header: http.Header{"Retry-After": {"5"}},
		}
	}
	x.seat = s
	return nil
}
