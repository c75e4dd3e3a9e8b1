package telemetry

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"sync"

	"github.com/sallyport/sallyport/gateway/config"
)

// People says how much log lines, audit records and events tell of people: of subjects
// and of the addresses that they come from. A nil People tells all. It is safe for
// concurrent use.
type People struct {
	hide bool      // nothing is told
	macs sync.Pool // of hash.Hash: keyed by the secret
}

// NewPeople tells in one of the modes config.PII…; secret keys the pseudonyms.
func NewPeople(mode string, secret []byte) *People {
	switch mode {
	case config.PIINone:
		return &People{hide: true}
	case config.PIIHash:
		return &People{macs: sync.Pool{New: func() any { return hmac.New(sha256.New, secret) }}}
	}
	return nil
}

// Tell returns what may be told in place of a text that says who somebody is: the text,
// a pseudonym that is the same for the same text and secret, or nothing.
func (p *People) Tell(text string) string {
	switch {
	case p == nil || text == "":
		return text
	case p.hide:
		return ""
	}
	mac := p.macs.Get().(hash.Hash) //nolint:forcetypeassert // what New makes
	defer p.macs.Put(mac)
	mac.Reset()
	mac.Write([]byte("sallyport audit pseudonym\x00" + text))
	return "p:" + base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:16])
}
