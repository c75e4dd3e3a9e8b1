package session_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/session"
)

func staff(_ context.Context, id *identity.Identity) bool { return slices.Contains(id.Groups, "staff") }

func TestStreamsEndWhenTheirUserWouldNotBeLetIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatching(t)
		w.store.member("staff")
		guarded := w.add(session.Stream{Identity: who(1), OfSession: true, Still: staff})
		other := w.add(session.Stream{Identity: who(1), OfSession: true})
		pass(time.Minute)
		guarded.wants(t, 0, 0)

		w.store.member("guests") // the provider says so at the next refresh
		pass(300 * time.Millisecond)
		guarded.wants(t, 1, session.EndPolicy)
		other.wants(t, 0, 0)
	})
}

func TestStreamsOfTokensEndWhenTheirUserWouldNotBeLetIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatching(t)
		opens := time.Now()
		officeHours := func(context.Context, *identity.Identity) bool { return time.Since(opens) < 10*time.Minute }
		token, other := w.add(session.Stream{Identity: who(1), Still: officeHours}), w.add(session.Stream{Identity: who(1)})
		closed := w.add(session.Stream{Identity: who(2), Still: officeHours})
		closed.remove()
		pass(10*time.Minute - time.Second)
		token.wants(t, 0, 0)
		pass(1300 * time.Millisecond)
		token.wants(t, 1, session.EndPolicy)
		other.wants(t, 0, 0)
		closed.wants(t, 0, 0)
	})
}

// TestPolicyThatTakesItsTimeEndsNoOtherStreamLater: somebody who is asked about a
// stream may be slow, as an external authorizer is.
func TestPolicyThatTakesItsTimeEndsNoOtherStreamLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatching(t)
		slow := w.add(session.Stream{Identity: who(1), OfSession: true, Still: func(ctx context.Context, _ *identity.Identity) bool {
			<-ctx.Done()
			return true // not known
		}})
		quick := w.add(session.Stream{Identity: who(2), OfSession: true, Still: staff})
		pass(300 * time.Millisecond)
		quick.wants(t, 1, session.EndPolicy)
		pass(time.Minute)
		slow.wants(t, 0, 0)
	})
}

func TestStreamsEndWithTheirLifetime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatching(t)
		until := time.Now().Add(10 * time.Minute)
		anonymous := w.add(session.Stream{Until: until})
		own := w.add(session.Stream{Identity: who(1), OfSession: true, Until: until})
		pass(10*time.Minute - time.Second)
		anonymous.wants(t, 0, 0)
		own.wants(t, 0, 0)
		pass(1300 * time.Millisecond)
		anonymous.wants(t, 1, session.EndLifetime)
		own.wants(t, 1, session.EndLifetime)
	})
}
