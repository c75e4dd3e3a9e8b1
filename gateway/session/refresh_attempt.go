package session

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/sallyport/sallyport/gateway/identity"
)

const (
	// redeemLimit bounds one call of the provider.
	redeemLimit = 20 * time.Second
	// keepLimit is how long the store is asked to take what the provider gave out:
	// the tokens from before may be worth nothing any more.
	keepLimit = time.Minute
	// callLimit bounds the other calls of the store.
	callLimit = 2 * time.Second

	firstBackoff = time.Second
	lastBackoff  = time.Minute
	// maxRetryAfter is the longest wish of a provider that is heeded.
	maxRetryAfter = 15 * time.Minute
)

// errOvertaken keeps a late result from being written over a newer one.
var errOvertaken = errors.New("session: the tokens were renewed by another gateway")

// renew renews the tokens of s, in numbered steps. With an error, again is when
// to try the next time; zero means that it is of no use, or for another to say.
func (r *renewer) renew(s *Session) (renewed *Session, again time.Time, err error) {
	generation := s.Grant.Generation
	// 1. Another gateway may have done it: what this one knows can be milliseconds old.
	current, err := r.look(r.waiting, s.Key())
	if err != nil {
		return r.unanswered(err)
	}
	if current.Grant.Generation != generation {
		return current, time.Time{}, nil
	}
	// 2. Take the lease, or wait until whoever has it is done.
	l, current, err := r.acquire(r.waiting, s.Key(), generation)
	if paused, ok := errors.AsType[*pausedError](err); ok {
		return nil, paused.until, err
	}
	switch {
	case err != nil:
		return r.unanswered(err)
	case current != nil:
		r.observe(RefreshOvertaken)
		return current, time.Time{}, nil
	}
	// 3. Read the tokens, then the record once more: where its generation is still
	// the same, the tokens are of that generation.
	tokens, err := r.tokens(s.Key())
	if err == nil {
		current, err = r.look(r.working, s.Key())
	}
	if err != nil || current.Grant.Generation != generation || len(tokens) == 0 {
		l.release(leaseState{})
		if err == nil && current.Grant.Generation == generation {
			err = ErrNoTokens
		}
		if err != nil {
			return r.unanswered(err)
		}
		return current, time.Time{}, nil
	}
	// 4. Redeem the refresh token, with the lease held all the while.
	stop := l.hold()
	ctx, cancel := context.WithTimeout(r.working, redeemLimit)
	fresh, err := r.refresher.Refresh(ctx, s.Provider, tokens, current.Identity)
	cancel()
	came := time.Now()
	// 5. Keep what came, or find out what the refusal means.
	if err == nil {
		renewed, err = r.keep(s.Key(), generation, fresh, came)
		stop()
		l.release(leaseState{})
		return r.kept(s.Key(), renewed, err)
	}
	stop()
	if errors.Is(err, ErrGrantEnded) || errors.Is(err, ErrAnotherSubject) {
		return r.refused(l, current, err)
	}
	again = r.backOff(l, generation, err)
	r.observe(RefreshUnavailable)
	return nil, again, err
}

// look reads the record itself rather than a copy of it that may be stale.
func (r *renewer) look(ctx context.Context, key Key) (seen *Session, err error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	_, err = r.store.Update(ctx, key, func(s *Session) error {
		seen = s
		return errSeen
	})
	if errors.Is(err, errSeen) {
		return seen, nil
	}
	return nil, err
}

// errSeen stops an update that only wanted to see.
var errSeen = errors.New("session: seen")

func (r *renewer) tokens(key Key) ([]byte, error) {
	ctx, cancel := context.WithTimeout(r.working, callLimit)
	defer cancel()
	return r.manager.Tokens(ctx, key)
}

// unanswered is the end of a refresh that did not come to the provider.
func (r *renewer) unanswered(err error) (*Session, time.Time, error) {
	if errors.Is(err, ErrNotFound) {
		return nil, time.Time{}, ErrNotFound
	}
	r.observe(RefreshStoreUnavailable)
	return nil, time.Now().Add(jittered(firstBackoff)), err
}

// keep writes what the provider gave out where the tokens are still those that
// were redeemed, however late it is: a newer generation is never overwritten.
func (r *renewer) keep(key Key, generation uint32, fresh *Refreshed, came time.Time) (*Session, error) {
	sealed := r.manager.ring.Seal(PurposeTokens, fresh.Tokens, key[:])
	change := func(s *Session) error {
		if s.Grant.Generation != generation {
			return errOvertaken
		}
		s.Grant = newGrant(generation+1, came, fresh.AccessExpires, fresh.Renewable)
		s.SealedTokens = &sealed
		if fresh.Identity != nil {
			id := *fresh.Identity
			id.ProviderSession = s.Identity.ProviderSession
			id.Ref, id.ExpiresAt, id.Memo = s.Key(), s.ExpiresAt(), new(identity.Memo)
			s.Identity = &id
		}
		return nil
	}
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.working), callLimit)
		kept, err := r.store.Update(ctx, key, change)
		cancel()
		if err == nil || errors.Is(err, errOvertaken) || errors.Is(err, ErrNotFound) || time.Since(came) > keepLimit {
			return kept, err
		}
		if !sleep(r.working, wait) {
			return nil, err
		}
	}
}

// kept is the end of a refresh that the provider has answered.
func (r *renewer) kept(key Key, renewed *Session, err error) (*Session, time.Time, error) {
	switch {
	case err == nil:
		r.observe(RefreshOK)
		return renewed, time.Time{}, nil
	case errors.Is(err, ErrNotFound): // signed out meanwhile
		r.observe(RefreshOK)
		return nil, time.Time{}, ErrNotFound
	case errors.Is(err, errOvertaken):
		// Another holder was faster, or the store's answer to this one was lost.
		r.observe(RefreshOvertaken)
		current, err := r.look(r.working, key)
		return current, time.Time{}, err
	}
	r.observe(RefreshLost)
	return nil, time.Now().Add(jittered(firstBackoff)), err
}

// refused judges a definite no of the provider. It ends the session, unless
// somebody else has redeemed the refresh token in the meantime, which is why it
// was worth nothing any more.
func (r *renewer) refused(l *lease, s *Session, refusal error) (*Session, time.Time, error) {
	defer l.release(leaseState{})
	current, err := r.look(r.working, s.Key())
	switch {
	case err != nil:
		return r.unanswered(err)
	case current.Grant.Generation != s.Grant.Generation && errors.Is(refusal, ErrGrantEnded):
		r.observe(RefreshOvertaken)
		return current, time.Time{}, nil
	}
	result := RefreshGrantEnded
	if errors.Is(refusal, ErrAnotherSubject) {
		result = RefreshAnotherSubject
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.working), callLimit)
	defer cancel()
	if err := r.end(ctx, current, result); !errors.Is(err, ErrNotFound) {
		return r.unanswered(err)
	}
	return nil, time.Time{}, ErrNotFound
}

// end ends a session. It returns ErrNotFound, or the outage that kept it from
// doing so.
func (r *renewer) end(ctx context.Context, s *Session, result string) error {
	if err := r.store.Delete(ctx, s.Key()); err != nil {
		return err
	}
	r.observe(result)
	r.ended(s, result)
	return ErrNotFound
}

// backOff says, to every gateway, when the provider is asked again.
func (r *renewer) backOff(l *lease, generation uint32, cause error) time.Time {
	failures := min(l.failures+1, 16)
	wait := min(firstBackoff<<(failures-1), lastBackoff)
	wait = jittered(wait)
	if wish, ok := errors.AsType[*RetryError](cause); ok {
		wait = max(wait, min(wish.After, maxRetryAfter))
	}
	again := time.Now().Add(wait)
	l.release(leaseState{Generation: generation, Failures: failures, NotBefore: again})
	return again
}

// jittered is d, or up to a fifth more.
func jittered(d time.Duration) time.Duration {
	return d + rand.N(d/5) //nolint:gosec // not a secret
}

// sleep waits, and reports whether ctx goes on.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
