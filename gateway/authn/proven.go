package authn

import (
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/jose"
)

// provenToken is what is known of a token whose signature and claims hold. It
// is immutable and shared by all requests that carry the token.
type provenToken struct {
	id           *identity.Identity
	confirmation jose.Confirmation
	audience     []string
	facts        *tokenFacts
	until        time.Time // exp and the leeway
	keys         KeySource
	generation   uint64 // of keys, when it was proven
}

// provenTokens remembers tokens by their whole text, which a signature covers in
// full: two tokens that differ in one bit have two entries. What depends on the
// route is not in it. Tokens that are never asked for again are pushed out when
// the memory is full, whether or not they have expired. Only proven tokens come in, so that forged ones can push
// nobody out. It is safe for concurrent use; nil remembers nothing.
type provenTokens struct {
	cache *otter.Cache[string, *provenToken]
}

// A proven token takes about this much memory beside and for its text: the
// decoded claims are some three times as large as their JSON.
const (
	provenBase   = 1500
	provenFactor = 4
)

func newProvenTokens(maxBytes int64) *provenTokens {
	if maxBytes <= 0 {
		return nil
	}
	return &provenTokens{otter.Must(&otter.Options[string, *provenToken]{
		MaximumWeight: uint64(maxBytes),
		Weigher: func(raw string, _ *provenToken) uint32 {
			return uint32(provenBase + provenFactor*len(raw))
		},
	})}
}

// get returns what was proven, if that holds still: a token that has expired, or
// whose issuer has other keys by now, is to be proven anew, which then finds the
// reason to refuse it.
func (t *provenTokens) get(raw string, now time.Time) (*provenToken, bool) {
	if t == nil {
		return nil, false
	}
	p, ok := t.cache.GetIfPresent(raw)
	switch {
	case !ok:
		return nil, false
	case !now.Before(p.until) || p.keys.Generation() != p.generation:
		t.cache.Invalidate(raw)
		return nil, false
	}
	return p, true
}

func (t *provenTokens) put(raw string, p *provenToken) {
	if t != nil {
		t.cache.Set(raw, p)
	}
}
