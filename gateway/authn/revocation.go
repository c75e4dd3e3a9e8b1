package authn

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/jose"
	"github.com/sallyport/sallyport/gateway/session"
)

// ReasonTokenRevoked says that the token was taken back before its end.
const ReasonTokenRevoked = "token_revoked"

// Revocation takes tokens back before they expire. It names one token (ID),
// the tokens of one subject, or all of an issuer; at least one of them is given.
// An empty Issuer stands for every one.
type Revocation struct {
	Issuer  string
	ID      string // jti: that token, whenever it was issued
	Subject string
	// IssuedBefore takes back what was issued before this time, in whole seconds
	// as tokens tell it; a token that does not tell was. Not used with ID.
	IssuedBefore time.Time
	// ExpiresAt is when the revocation may be forgotten: not before everything
	// that it concerns has expired. Zero: never.
	ExpiresAt time.Time
}

// revocationFeed is the feed in which revocations are kept.
const revocationFeed = "token_revocations"

// Revocations knows every revocation. It holds them all in memory, where the
// store pushes new ones, so that judging costs no call. It is safe for
// concurrent use.
type Revocations struct {
	feeds      session.Feeds
	freshness  *session.Freshness
	generation atomic.Uint64 // grows with each change; 0 = none were ever made

	mu     sync.RWMutex
	tokens map[revoked]time.Time // by jti; when to forget it
	before map[revoked]cut       // by subject; an empty one stands for all
}

type revoked struct{ issuer, name string }

// cut takes back what was issued before it.
type cut struct {
	before  int64 // unix seconds
	expires time.Time
}

// NewRevocations makes the list. Until Run has read the feed nothing is known.
// maxStaleness is how long it is believed without a word from the store.
func NewRevocations(feeds session.Feeds, maxStaleness time.Duration) *Revocations {
	return &Revocations{
		feeds: feeds, freshness: session.NewFreshness(maxStaleness),
		tokens: make(map[revoked]time.Time), before: make(map[revoked]cut),
	}
}

// SetMaxStaleness changes how long the list is believed without a word from the store.
func (r *Revocations) SetMaxStaleness(limit time.Duration) { r.freshness.SetLimit(limit) }

// Run follows the feed until ctx ends. It is called once.
func (r *Revocations) Run(ctx context.Context) {
	r.feeds.Follow(ctx, revocationFeed, r.apply, r.freshness.Confirm)
}

// storedRevocation is the form in which the feed keeps a Revocation. A reader
// ignores members that it does not know, so they may only ever narrow in a new
// version.
type storedRevocation struct {
	Version int    `json:"v"`
	Issuer  string `json:"iss,omitempty"`
	ID      string `json:"jti,omitempty"`
	Subject string `json:"sub,omitempty"`
	Before  int64  `json:"before,omitempty"`
}

const revocationVersion = 1

// Revoke takes tokens back, on every gateway. It returns when the store has it;
// from then on this gateway refuses them.
func (r *Revocations) Revoke(ctx context.Context, v Revocation) error {
	if v.ID == "" && v.IssuedBefore.IsZero() {
		return errors.New("revocation: neither a token nor a time is named")
	}
	s := storedRevocation{Version: revocationVersion, Issuer: v.Issuer, ID: v.ID, Subject: v.Subject}
	name := "jti\x00" + v.Issuer + "\x00" + v.ID
	if v.ID == "" {
		// A token of the same second may have been issued after it; better that it
		// is asked for again than that one from before passes.
		s.Before = v.IssuedBefore.Add(time.Second - 1).Unix()
		name = fmt.Sprintf("before\x00%s\x00%s\x00%d", v.Issuer, v.Subject, s.Before)
	}
	value, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("revocation: %w", err)
	}
	sum := sha256.Sum256([]byte(name)) // issuers and subjects may be longer than names
	entry := session.FeedEntry{Name: hex.EncodeToString(sum[:]), Value: value, ExpiresAt: v.ExpiresAt}
	if err := r.feeds.Publish(ctx, revocationFeed, entry); err != nil {
		return err
	}
	// Here it holds from now on, and not only when the store has pushed it.
	r.apply([]session.FeedEntry{entry})
	return nil
}

// apply takes entries in. It only ever adds: what an older entry takes back
// stays taken back.
func (r *Revocations) apply(entries []session.FeedEntry) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range entries {
		if !e.ExpiresAt.IsZero() && !now.Before(e.ExpiresAt) {
			continue
		}
		var s storedRevocation
		if err := json.Unmarshal(e.Value, &s); err != nil {
			continue // not ours; nothing that it could take back can be told
		}
		if s.ID != "" {
			r.tokens[revoked{s.Issuer, s.ID}] = e.ExpiresAt
			continue
		}
		key, c := revoked{s.Issuer, s.Subject}, cut{before: s.Before, expires: e.ExpiresAt}
		if old, ok := r.before[key]; ok {
			c.before, c.expires = max(c.before, old.before), later(c.expires, old.expires)
		}
		r.before[key] = c
	}
	r.forget(now)
	r.generation.Add(1)
}

// later returns the later of two ends, where zero is never.
func later(a, b time.Time) time.Time {
	if a.IsZero() || b.IsZero() {
		return time.Time{}
	}
	if a.After(b) {
		return a
	}
	return b
}

// forget drops what has expired.
func (r *Revocations) forget(now time.Time) {
	over := func(t time.Time) bool { return !t.IsZero() && !now.Before(t) }
	for key, expires := range r.tokens {
		if over(expires) {
			delete(r.tokens, key)
		}
	}
	for key, c := range r.before {
		if over(c.expires) {
			delete(r.before, key)
		}
	}
}

// tokenFacts are the verified claims by which a token can be taken back.
type tokenFacts struct {
	issuer, id       string
	subject, claimed string // by the configured claim, and sub
	issuedAt         int64  // unix seconds, rounded down; 0 = it does not tell
	judged           atomic.Uint64
}

func factsOf(c *jose.Claims, subject string) *tokenFacts {
	f := &tokenFacts{issuer: c.Issuer, id: c.ID, subject: subject, claimed: c.Subject}
	if !c.IssuedAt.IsZero() {
		f.issuedAt = c.IssuedAt.Unix()
	}
	return f
}

// judge refuses a token that was taken back. Where that can't be known it is an
// outage. Once it has let a token pass, the same token costs two comparisons
// until something is taken back.
func (r *Revocations) judge(ctx context.Context, f *tokenFacts, now time.Time) error {
	if r == nil {
		return nil
	}
	now = r.freshness.Await(ctx, now)
	if generation := r.generation.Load(); generation != 0 && f.judged.Load() != generation {
		if r.takesBack(f) { // for good, so that is certain whatever else is not
			return &Refusal{Reason: ReasonTokenRevoked}
		}
		f.judged.Store(generation)
	}
	// Without a recent word from the store, it may have been taken back.
	if err := r.freshness.Judge(now); err != nil {
		return fmt.Errorf("revocations: %w", err)
	}
	return nil
}

// List returns every revocation that is known, in no particular order.
func (r *Revocations) List() []Revocation {
	r.mu.RLock()
	defer r.mu.RUnlock()
	list := make([]Revocation, 0, len(r.tokens)+len(r.before))
	for key, expires := range r.tokens {
		list = append(list, Revocation{Issuer: key.issuer, ID: key.name, ExpiresAt: expires})
	}
	for key, c := range r.before {
		list = append(list, Revocation{Issuer: key.issuer, Subject: key.name, IssuedBefore: time.Unix(c.before, 0), ExpiresAt: c.expires})
	}
	return list
}

// takesBack reports whether the list, as far as it is known, takes back a token
// with these facts.
func (r *Revocations) takesBack(f *tokenFacts) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, issuer := range [...]string{f.issuer, ""} {
		if f.id != "" {
			if _, ok := r.tokens[revoked{issuer, f.id}]; ok {
				return true
			}
		}
		for _, subject := range [...]string{f.subject, f.claimed, ""} {
			if c, ok := r.before[revoked{issuer, subject}]; ok && f.issuedAt < c.before {
				return true
			}
		}
	}
	return false
}

// Revoked reports whether the token behind an identity was taken back, as far as
// is known. It is for streams, which have outlived the request with the token.
func (r *Revocations) Revoked(id *identity.Identity) bool {
	isToken := id.Method == string(KindBearer) || id.Method == string(KindIntrospection)
	if !isToken || r.generation.Load() == 0 {
		return false
	}
	f := tokenFacts{issuer: id.Issuer, subject: id.Subject}
	if iss, ok := id.Claim("iss").(string); ok {
		f.issuer = iss
	}
	f.id, _ = id.Claim("jti").(string)
	f.claimed, _ = id.Claim("sub").(string)
	if iat, ok := id.Claim("iat").(float64); ok {
		f.issuedAt = int64(iat)
	}
	return r.takesBack(&f)
}
