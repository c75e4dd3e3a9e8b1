package authorizer

import (
	"sync"
	"time"

	"go.uber.org/zap"
)

// quiet is how long the log hears nothing new of an outage after the last one: a
// service at its limit answers every other question.
const quiet = 10 * time.Second

// trouble tells the log when an outage begins and when it is over. A request that
// fails is in the log anyway, but not that of a policy in shadow.
type trouble struct {
	mu    sync.Mutex
	down  bool
	ended time.Time
}

func (t *trouble) begins(c *Client, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.down || time.Since(t.ended) < quiet {
		return
	}
	t.down = true
	c.o.Log.Error("an authorizer does not answer", zap.String("policy", c.o.Policy), zap.String("url", c.url), zap.Error(err))
}

func (t *trouble) over(c *Client) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.down {
		return
	}
	t.down, t.ended = false, time.Now()
	c.o.Log.Info("an authorizer answers again", zap.String("policy", c.o.Policy), zap.String("url", c.url))
}
