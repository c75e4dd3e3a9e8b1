package assertion_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/gateway/assertion"
)

func TestTheNextKeyIsPublishedBeforeItSigns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := stored(t, &memory{}, "ES256")
		before, first := kids(t, r)
		if len(before) != 2 || before[0] != first {
			t.Fatalf("published %v, signed by %s", before, first)
		}
		pass(assertion.MaxAge + assertion.PollInterval)
		if err := r.Rotate(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		after, second := kids(t, r)
		if second != before[1] {
			t.Errorf("%s signs, which no verifier knew: %v", second, before)
		}
		if len(after) != 3 || !slices.Contains(after, first) {
			t.Errorf("published %v: without %s, or without a next key", after, first)
		}
	})
}

func TestARotationWaitsUntilEveryVerifierKnowsTheKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memory{}
		r := stored(t, store, "ES256")
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { r.Run(ctx) })
		defer func() { cancel(); running.Wait() }()

		published, first := kids(t, r)
		begin := time.Now()
		if err := r.Rotate(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		_, at, err := r.Keys()
		if err != nil {
			t.Fatal(err)
		}
		if wait := at.Sub(begin); wait < assertion.MaxAge {
			t.Fatalf("the switch is planned after %v, verifiers may keep a key set for %v", wait, assertion.MaxAge)
		}
		if err := r.Rotate(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		if _, again, _ := r.Keys(); !again.Equal(at) {
			t.Errorf("asking twice moved the switch from %v to %v", at, again)
		}
		pass(at.Sub(begin) - time.Second)
		if _, signing := kids(t, r); signing != first {
			t.Error("the new key signs before its time")
		}
		pass(time.Second)
		if _, signing := kids(t, r); signing != published[1] {
			t.Error("the new key does not sign when its time has come")
		}
		pass(assertion.PollInterval)
		keys, at, err := r.Keys()
		if err != nil || !at.IsZero() || len(keys) != 3 || keys[2].State != assertion.StateRetired || keys[2].ID != first {
			t.Errorf("%v: %+v, switch at %v", err, keys, at)
		}
	})
}

func TestTheSwitchHappensInTimeWithoutTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memory{}
		r := stored(t, store, "ES256")
		published, _ := kids(t, r)
		if err := r.Rotate(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		store.fail(errDown)
		pass(assertion.MaxAge + assertion.PollInterval)
		if err := r.Refresh(t.Context()); !errors.Is(err, errDown) {
			t.Fatal(err)
		}
		if _, signing := kids(t, r); signing != published[1] {
			t.Error("without the store this gateway signs with another key than the rest")
		}
		keys, at, err := r.Keys()
		if err != nil || keys[1].State != assertion.StateCurrent || !at.IsZero() {
			t.Errorf("%v: %+v, switch at %v", err, keys, at)
		}
	})
}

func TestARetiredKeyIsPublishedUntilNothingItSignedIsValid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := stored(t, &memory{}, "ES256")
		_, first := kids(t, r)
		raw := mint(t, r, someone(1)) // at the last moment
		if err := r.Rotate(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		for range 6 { // the minute of its life, and that of another clock
			if err := r.Refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
			verify(t, r, raw)
			pass(20 * time.Second)
		}
		pass(assertion.PollInterval)
		if err := r.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if published, _ := kids(t, r); slices.Contains(published, first) || len(published) != 2 {
			t.Errorf("%s is still published: %v", first, published)
		}
	})
}

func TestGatewaysOfOneStorePublishTheSame(t *testing.T) {
	store := &memory{}
	const gateways = 8
	rings := make([]*assertion.Ring, gateways)
	var start sync.WaitGroup
	for i := range rings {
		start.Go(func() { rings[i] = stored(t, store, "ES256") })
	}
	start.Wait()
	same := func(when string) {
		t.Helper()
		want, _, err := rings[0].JWKS()
		if err != nil {
			t.Fatal(err)
		}
		_, signing := kids(t, rings[0])
		for _, r := range rings[1:] {
			if err := r.Refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
			got, _, err := r.JWKS()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("%s: -want +got\n%s", when, diff)
			}
			if _, other := kids(t, r); other != signing {
				t.Errorf("%s: %s signs here and %s there", when, signing, other)
			}
		}
	}
	same("when they start at once")
	var rotate sync.WaitGroup
	for _, r := range rings[:2] {
		rotate.Go(func() {
			if err := r.Rotate(t.Context(), true); err != nil {
				t.Error(err)
			}
		})
	}
	rotate.Wait()
	if err := rings[0].Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	same("when two of them rotate at once")
}

func TestARestartKeepsTheKeys(t *testing.T) {
	store := &memory{}
	raw := mint(t, stored(t, store, "ES256"), someone(1))
	saves := store.saves
	verify(t, stored(t, store, "ES256"), raw)
	if store.saves != saves {
		t.Error("the restart wrote the ring")
	}
}

func TestAnOutageKeepsTheLastRing(t *testing.T) {
	store := &memory{}
	r := stored(t, store, "ES256")
	_, first := kids(t, r)
	generation := r.Generation()
	store.fail(errDown)
	if err := r.Refresh(t.Context()); !errors.Is(err, errDown) {
		t.Fatal(err)
	}
	if _, signing := kids(t, r); signing != first || r.Generation() != generation {
		t.Error("the outage changed the keys")
	}
	if err := r.Rotate(t.Context(), true); !errors.Is(err, errDown) {
		t.Errorf("a rotation during the outage says %v", err)
	}
}

func TestAStartWithoutARingIsAnOutageUntilTheStoreAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memory{down: errDown}
		r := stored(t, store, "ES256")
		if _, err := minter(r).Mint(someone(1), "app", time.Now()); !errors.Is(err, assertion.ErrNoRing) || !errors.Is(err, errDown) {
			t.Errorf("minting says %v", err)
		}
		if _, _, err := r.JWKS(); !errors.Is(err, assertion.ErrNoRing) {
			t.Errorf("the key set says %v", err)
		}
		if _, _, err := r.Find("k", "ES256"); !errors.Is(err, assertion.ErrNoRing) {
			t.Errorf("a search says %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { r.Run(ctx) })
		store.fail(nil)
		pass(2 * time.Second)
		if err := r.Ready(); err != nil {
			t.Errorf("2 s after the store is back: %v", err)
		}
		cancel()
		running.Wait()
	})
}

func TestARingThatTheStoreLostComesBack(t *testing.T) {
	store := &memory{}
	r := stored(t, store, "ES256")
	raw := mint(t, r, someone(1))
	store.lose()
	if err := r.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	verify(t, stored(t, store, "ES256"), raw)
}

func TestARingThatCannotBeOpenedIsNeverOverwritten(t *testing.T) {
	store := &memory{}
	stored(t, store, "ES256")
	saves := store.saves
	for name, err := range map[string]error{"sealed with another key": assertion.ErrUnopened, "an outage": errDown} {
		store.fail(err)
		r := assertion.NewStored(assertion.StoredOptions{Store: store, Algorithm: "ES256", Longest: time.Minute})
		if got := r.Refresh(t.Context()); !errors.Is(got, err) {
			t.Errorf("%s: %v", name, got)
		}
		if got := r.Rotate(t.Context(), true); !errors.Is(got, err) {
			t.Errorf("%s: a rotation says %v", name, got)
		}
	}
	store.fail(nil)
	for name, text := range map[string]string{"garbage": "secret-garbage", "a newer format": `{"version":2}`, "no keys": `{"version":1}`} {
		store.plain = []byte(text)
		r := assertion.NewStored(assertion.StoredOptions{Store: store, Algorithm: "ES256", Longest: time.Minute})
		err := r.Refresh(t.Context())
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
		if string(store.plain) != text {
			t.Errorf("%s was overwritten", name)
		}
	}
	if store.saves != saves {
		t.Error("something was written")
	}
}

func TestAnotherAlgorithmInTheConfigurationRotates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memory{}
		old := stored(t, store, "ES256")
		raw := mint(t, old, someone(1))
		r := stored(t, store, "EdDSA")
		keys, at, err := r.Keys()
		if err != nil || time.Until(at) < assertion.MaxAge {
			t.Fatalf("%v: %+v, switch at %v", err, keys, at)
		}
		if keys[0].Algorithm != "ES256" || keys[1].Algorithm != "EdDSA" {
			t.Errorf("before the switch: %+v", keys)
		}
		// The one that still has the old configuration does not fight.
		for range 3 {
			pass(assertion.PollInterval)
			for _, one := range []*assertion.Ring{old, r} {
				if err := one.Refresh(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
		verify(t, r, raw)
		pass(assertion.MaxAge)
		if err := old.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		keys, _, err = old.Keys()
		if err != nil || keys[0].Algorithm != "EdDSA" || keys[1].Algorithm != "EdDSA" {
			t.Errorf("after the switch: %v, %+v", err, keys)
		}
		if _, signing := kids(t, old); signing != keys[0].ID {
			t.Errorf("%s signs", signing)
		}
	})
}

func TestRotatingInALoopDoesNotGrowTheKeySetWithoutBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := stored(t, &memory{}, "EdDSA")
		raw, rotations := mint(t, r, someone(1)), 0
		for ; rotations < 100; rotations++ {
			if err := r.Rotate(t.Context(), true); err != nil {
				if !errors.Is(err, assertion.ErrCrowded) {
					t.Fatal(err)
				}
				break
			}
		}
		if published, _ := kids(t, r); len(published) > 40 || rotations < 10 {
			t.Errorf("%d keys after %d rotations", len(published), rotations)
		}
		verify(t, r, raw)
		pass(3 * time.Minute)
		if err := r.Rotate(t.Context(), true); err != nil {
			t.Errorf("later: %v", err)
		}
	})
}

func TestTheEntityTagFollowsTheKeys(t *testing.T) {
	r := stored(t, &memory{}, "EdDSA")
	_, before, err := r.JWKS()
	if err != nil {
		t.Fatal(err)
	}
	generation := r.Generation()
	if err := r.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, same, _ := r.JWKS(); same != before || r.Generation() != generation {
		t.Error("another tag for the same keys")
	}
	if err := r.Rotate(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	if _, after, _ := r.JWKS(); after == before || r.Generation() == generation {
		t.Error("the same tag for other keys")
	}
}
