package authorizer

import (
	"context"
	"net"
	"net/http"
)

// MaxMemory is the bound of Remembered.
const MaxMemory = maxMemory

// MaxAsking is how many questions can be under way.
const MaxAsking = maxAsking

// Over lets the client reach its service in another way than by TCP.
func (c *Client) Over(dial func(ctx context.Context, network, address string) (net.Conn, error)) {
	transport, _ := c.http.Transport.(*http.Transport)
	transport.DialContext = dial
}

// Remembered returns what the memory counts for its answers, once it has made room.
func (c *Client) Remembered() (bytes uint64, answers int) {
	c.memory.answers.CleanUp()
	return c.memory.answers.WeightedSize(), c.memory.answers.EstimatedSize()
}

// Judge reads an answer and says whether it is one, and whether it is a yes.
func Judge(body []byte) (allow, sound bool) {
	a, err := parseAnswer(body)
	if err != nil {
		return a != nil, false
	}
	return a.allow, true
}
