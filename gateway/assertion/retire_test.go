package assertion_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/gateway/assertion"
	"github.com/sallyport/sallyport/gateway/jose"
)

func TestAKeyIsRetiredOnceNothingItSignedIsValid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memory{}
		r := stored(t, store, "ES256")
		published, first := kids(t, r)
		if err := r.Retire(t.Context(), first, true); !errors.Is(err, assertion.ErrSigns) {
			t.Errorf("the key that signs: %v", err)
		}
		if err := r.Retire(t.Context(), "nobody's", true); !errors.Is(err, assertion.ErrUnknownKey) {
			t.Errorf("a key that is not there: %v", err)
		}

		// The next key has signed nothing, so another stands in its place.
		if err := r.Retire(t.Context(), published[1], false); err != nil {
			t.Fatal(err)
		}
		again, signing := kids(t, r)
		if signing != first || len(again) != 2 || slices.Contains(again, published[1]) {
			t.Errorf("%v sign by %s, before %v", again, signing, published)
		}

		if err := r.Rotate(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		err := r.Retire(t.Context(), first, false)
		needed, ok := errors.AsType[*assertion.NeededError](err)
		if !ok || time.Until(needed.Until) < time.Minute {
			t.Fatalf("what it signed may be valid for a minute: %v", err)
		}
		if now, _ := kids(t, r); !slices.Contains(now, first) {
			t.Error("a key that is needed is gone")
		}
		pass(time.Until(needed.Until))
		if err := r.Retire(t.Context(), first, false); err != nil && !errors.Is(err, assertion.ErrUnknownKey) {
			t.Errorf("at %v: %v", needed.Until, err)
		}
		other := stored(t, store, "ES256")
		if err := r.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, one := range []*assertion.Ring{r, other} {
			if now, _ := kids(t, one); slices.Contains(now, first) {
				t.Error("it is still published")
			}
		}

		store.fail(errDown)
		if err := r.Retire(t.Context(), first, true); !errors.Is(err, errDown) {
			t.Errorf("without the store: %v", err)
		}
	})
}

// TestAnAssertionOfAKeyThatWasForcedOutIsNotGivenAgain: verifiers would refuse it.
func TestAnAssertionOfAKeyThatWasForcedOutIsNotGivenAgain(t *testing.T) {
	for name, asked := range map[string]bool{"the gateway that was asked": true, "another, at its next look": false} {
		t.Run(name, func(t *testing.T) {
			store := &memory{}
			r, ring := stored(t, store, "ES256"), stored(t, store, "ES256")
			if asked {
				ring = r
			}
			m, alice := minter(ring), someone(1)
			given := func() (raw, kid string) {
				t.Helper()
				raw, err := m.Mint(alice, "app", time.Now())
				if err != nil {
					t.Fatal(err)
				}
				token, err := jose.Parse(raw)
				if err != nil {
					t.Fatal(err)
				}
				return raw, token.Header.KeyID
			}
			raw, kid := given()
			if again, _ := given(); again != raw {
				t.Fatal("nothing is kept")
			}
			look := func() {
				t.Helper()
				if asked {
					return
				}
				if err := ring.Refresh(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if err := r.Rotate(t.Context(), true); err != nil {
				t.Fatal(err)
			}
			look()
			if again, _ := given(); again != raw {
				t.Error("it is signed anew though its key is published")
			}
			if err := r.Retire(t.Context(), kid, true); err != nil {
				t.Fatal(err)
			}
			look()
			again, by := given()
			if by == kid {
				t.Fatal("it is given again, and no verifier finds its key")
			}
			verify(t, ring, again)
		})
	}
}
