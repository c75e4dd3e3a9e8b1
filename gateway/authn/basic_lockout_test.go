package authn_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/authn"
)

// TestRememberedPasswordsCannotBeGuessedDuringLockout: a wrong one would be
// refused without being counted, and the right one let in.
func TestRememberedPasswordsCannotBeGuessedDuringLockout(t *testing.T) {
	accounts := &people{passwords: map[string]string{"alice": "right"}}
	b := authn.NewBasic(passwords(t, accounts), authn.TokenKinds{}, func(*http.Request) string { return "192.0.2.1" })
	if _, err := signIn(t, b, basicPair("alice:right")); err != nil {
		t.Fatal(err)
	}
	accounts.locked.Store(true)
	for _, password := range []string{"right", "wrong"} {
		id, err := signIn(t, b, basicPair("alice:"+password))
		many, ok := errors.AsType[*authn.TooMany](err)
		if id != nil || !ok || many.Wait != time.Minute || many.Reason != "locked_out_192.0.2.1" {
			t.Errorf("%s: %v, %v", password, id, err)
		}
	}
	if n := accounts.hashed.Load(); n != 1 {
		t.Errorf("%d passwords were hashed", n)
	}
}
