package gateway

import (
	"crypto/rand"
	"sync"

	"github.com/sallyport/sallyport/gateway/guard"
)

// maxDenials is how many denials are kept to be asked about.
const maxDenials = 4096

// denials keeps the last decisions against proven users, the oldest out. It is safe
// for concurrent use.
type denials struct {
	mu   sync.Mutex
	kept map[string]*guard.Denial
	ring [maxDenials]string
	next int
}

func newDenials() *denials { return &denials{kept: make(map[string]*guard.Denial)} }

// keep returns the name that the denial is found by. Who is denied can read it
// out on the telephone, and nobody can guess another one's.
func (d *denials) keep(one *guard.Denial) string {
	name := rand.Text()[:decisionLength]
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.kept, d.ring[d.next])
	d.ring[d.next] = name
	d.next = (d.next + 1) % maxDenials
	d.kept[name] = one
	return name
}

// decisionLength is 60 bits in letters and digits.
const decisionLength = 12

func (d *denials) find(name string) *guard.Denial {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.kept[name]
}
