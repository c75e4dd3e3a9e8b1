package guard

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/policy"
)

// Denial is a decision against a proven user, with what it was made on: it can be
// explained long after the request is over. It is immutable, holds no credential,
// and is about as large as the headers and the claims.
type Denial struct {
	verdict  Verdict
	input    policy.Input
	withheld []string // names of header fields that are not kept
}

// worthAsking reports whether the decision on a proven user is one that somebody
// will ask about: he is not let in, or would not be if a policy were enforced.
// Requests of nobody in particular are not kept: anybody could fill the memory
// with them.
func (v *Verdict) worthAsking() bool {
	return v.Outcome != Allow || v.Shadow.Judged && v.Shadow.Effect != policy.Allow
}

// newDenial is a function of its own so that the Input of requests that are let in
// stays on the stack.
func newDenial(v Verdict, in policy.Input) *Denial {
	d := &Denial{verdict: v, input: in}
	d.input.Request.Header, d.withheld = keepable(in.Request.Header)
	d.verdict.values = nil
	return d
}

// maxKept bounds the headers that a denial keeps.
const maxKept = 16 << 10

// keepable leaves out what may hold a credential, and what is too long.
func keepable(h http.Header) (kept http.Header, withheld []string) {
	kept = maps.Clone(h)
	size := 0
	for name, values := range kept {
		one := 0
		for _, value := range values {
			one += len(name) + len(value)
		}
		if size+one > maxKept || mayHoldSecret(name) {
			delete(kept, name)
			if !policy.CarriesCredential(name) { // which no policy reads
				withheld = append(withheld, name)
			}
			continue
		}
		size += one
	}
	slices.Sort(withheld)
	return kept, withheld
}

// mayHoldSecret goes by the name, since the configuration knows only the
// credentials that the gateway takes itself.
func mayHoldSecret(name string) bool {
	name = strings.ToLower(name)
	for _, word := range [...]string{"cookie", "auth", "token", "secret", "key", "dpop", "password", "signature", "assertion", "credential", "session"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}
