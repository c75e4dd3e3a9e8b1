package authn_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/gateway/authn"
	"github.com/sallyport/sallyport/gateway/identity"
)

// revocable is a Bearer whose revocations come over f. It follows until the
// test ends.
func revocable(t *testing.T, o *op, f *feeds, maxStaleness time.Duration) (*authn.Bearer, *authn.Revocations) {
	t.Helper()
	list := authn.NewRevocations(f, maxStaleness)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); list.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return authn.NewBearer(authn.BearerOptions{
		Issuers: []authn.Issuer{o.issuer()}, CacheBytes: 1 << 20, Revocations: list,
	}), list
}

func TestRevokedTokensAreRefusedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		at := func(d time.Duration) int64 { return now.Add(d).Unix() }
		good := map[string]any{}
		for name, c := range map[string]struct {
			revoke authn.Revocation
			token  map[string]any
			want   string
		}{
			"the token":                              {authn.Revocation{Issuer: issuerName, ID: "t1"}, good, "token_revoked"},
			"the token, of any issuer":               {authn.Revocation{ID: "t1"}, good, "token_revoked"},
			"another token":                          {authn.Revocation{Issuer: issuerName, ID: "t2"}, good, ""},
			"the same id of another issuer":          {authn.Revocation{Issuer: "https://other.example.test", ID: "t1"}, good, ""},
			"its subject":                            {authn.Revocation{Issuer: issuerName, Subject: "alice", IssuedBefore: now}, map[string]any{"iat": at(-10 * time.Second)}, "token_revoked"},
			"its subject, of any issuer":             {authn.Revocation{Subject: "alice", IssuedBefore: now}, map[string]any{"iat": at(-10 * time.Second)}, "token_revoked"},
			"its subject, before it was issued":      {authn.Revocation{Issuer: issuerName, Subject: "alice", IssuedBefore: now.Add(-20 * time.Second)}, map[string]any{"iat": at(-10 * time.Second)}, ""},
			"its subject, and it does not tell when": {authn.Revocation{Issuer: issuerName, Subject: "alice", IssuedBefore: now}, map[string]any{"iat": nil}, "token_revoked"},
			"another subject":                        {authn.Revocation{Issuer: issuerName, Subject: "bob", IssuedBefore: now}, map[string]any{"iat": at(-10 * time.Second)}, ""},
			"the subject of another issuer":          {authn.Revocation{Issuer: "https://other.example.test", Subject: "alice", IssuedBefore: now}, map[string]any{"iat": at(-10 * time.Second)}, ""},
			"all of the issuer":                      {authn.Revocation{Issuer: issuerName, IssuedBefore: now}, map[string]any{"iat": at(-10 * time.Second)}, "token_revoked"},
			"all":                                    {authn.Revocation{IssuedBefore: now}, map[string]any{"iat": at(-10 * time.Second)}, "token_revoked"},
			"all of another issuer":                  {authn.Revocation{Issuer: "https://other.example.test", IssuedBefore: now}, map[string]any{"iat": at(-10 * time.Second)}, ""},
			"all from before it":                     {authn.Revocation{IssuedBefore: now.Add(-time.Minute)}, map[string]any{"iat": at(-10 * time.Second)}, ""},
			"the same second counts as before":       {authn.Revocation{IssuedBefore: now.Add(500 * time.Millisecond)}, map[string]any{"iat": at(0)}, "token_revoked"},
		} {
			o, f := newOP(t), &feeds{}
			b, list := revocable(t, o, f, 5*time.Second)
			synctest.Wait()
			token := o.token(t, c.token)
			if _, err := present(t, b, bearing(t, token)); err != nil {
				t.Errorf("%s: before it was revoked: %v", name, err)
			}
			if err := list.Revoke(t.Context(), c.revoke); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			for range 2 {
				if _, err := present(t, b, bearing(t, token)); reasonOf(err) != c.want {
					t.Errorf("%s: afterwards the answer is %v, want %q", name, err, c.want)
				}
			}
			// A gateway that starts later knows it as well.
			later, _ := revocable(t, o, f, 5*time.Second)
			synctest.Wait()
			if _, err := present(t, later, bearing(t, token)); reasonOf(err) != c.want {
				t.Errorf("%s: at a gateway that has just started the answer is %v, want %q", name, err, c.want)
			}
		}
	})
}

func TestARevocationByTheConfiguredSubject(t *testing.T) {
	for _, subject := range []string{"u-1", "alice"} { // the claim that is configured, and sub
		o, f := newOP(t), &feeds{}
		issuer := o.issuer()
		issuer.Mapping.SubjectClaim, issuer.Rules.SubjectClaim = "uid", "uid"
		_, list := revocable(t, o, f, time.Minute)
		b := authn.NewBearer(authn.BearerOptions{Issuers: []authn.Issuer{issuer}, CacheBytes: 1 << 20, Revocations: list})
		token := o.token(t, map[string]any{"uid": "u-1"})
		_, err := present(t, b, bearing(t, token))
		wantReason(t, err, "")
		if err := list.Revoke(t.Context(), authn.Revocation{Subject: subject, IssuedBefore: time.Now().Add(time.Second)}); err != nil {
			t.Fatal(err)
		}
		_, err = present(t, b, bearing(t, token))
		wantReason(t, err, "token_revoked")
	}
}

func TestAWeakerRevocationTakesNothingBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, f := newOP(t), &feeds{}
		b, list := revocable(t, o, f, time.Hour)
		synctest.Wait()
		token := o.token(t, map[string]any{"iat": time.Now().Add(-time.Minute).Unix()})
		for _, before := range []time.Duration{0, -time.Hour, -time.Minute} {
			if err := list.Revoke(t.Context(), authn.Revocation{Subject: "alice", IssuedBefore: time.Now().Add(before), ExpiresAt: time.Now().Add(time.Hour)}); err != nil {
				t.Fatal(err)
			}
			_, err := present(t, b, bearing(t, token))
			wantReason(t, err, "token_revoked")
		}
	})
}

// A gateway that can't hear of revocations must not go on as if there were none.
func TestRevocationsThatCanNotBeHeardOfAreAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, f := newOP(t), &feeds{}
		b, list := revocable(t, o, f, 5*time.Second)
		synctest.Wait()
		token := o.token(t, nil)
		_, err := present(t, b, bearing(t, token))
		wantReason(t, err, "")

		pass(5 * time.Second)
		_, err = present(t, b, bearing(t, token))
		wantReason(t, err, "")
		pass(time.Millisecond)
		_, err = present(t, b, bearing(t, token))
		wantReason(t, err, "outage")
		f.confirm()
		_, err = present(t, b, bearing(t, token))
		wantReason(t, err, "")

		f.mu.Lock()
		f.down = true
		f.mu.Unlock()
		if err := list.Revoke(t.Context(), authn.Revocation{ID: "t1"}); err == nil {
			t.Error("a revocation that nobody keeps was acknowledged")
		}
		// One that starts without the store knows nothing.
		cold, _ := revocable(t, o, f, 5*time.Second)
		synctest.Wait()
		began := time.Now()
		_, err = present(t, cold, bearing(t, token))
		wantReason(t, err, "outage")
		if waited := time.Since(began); waited != 2*time.Second {
			t.Errorf("it waited %v for the first reading", waited)
		}
	})
}

func TestRevocationsAreForgottenWhenTheyExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, f := newOP(t), &feeds{}
		b, list := revocable(t, o, f, time.Hour)
		synctest.Wait()
		token := o.token(t, nil)
		if err := list.Revoke(t.Context(), authn.Revocation{ID: "t1", ExpiresAt: time.Now().Add(10 * time.Minute)}); err != nil {
			t.Fatal(err)
		}
		_, err := present(t, b, bearing(t, token))
		wantReason(t, err, "token_revoked")
		pass(11 * time.Minute)
		// Any change has the list looked through.
		if err := list.Revoke(t.Context(), authn.Revocation{ID: "t2"}); err != nil {
			t.Fatal(err)
		}
		_, err = present(t, b, bearing(t, token))
		wantReason(t, err, "")
	})
}

func TestStreamsLearnOfRevocations(t *testing.T) {
	o, f := newOP(t), &feeds{}
	b, list := revocable(t, o, f, time.Minute)
	id, err := present(t, b, bearing(t, o.token(t, nil)))
	if err != nil {
		t.Fatal(err)
	}
	other, err := present(t, b, bearing(t, o.token(t, map[string]any{"jti": "t2", "sub": "bob"})))
	if err != nil {
		t.Fatal(err)
	}
	if list.Revoked(id) {
		t.Error("nothing was revoked")
	}
	if err := list.Revoke(t.Context(), authn.Revocation{ID: "t1"}); err != nil {
		t.Fatal(err)
	}
	if !list.Revoked(id) || list.Revoked(other) {
		t.Errorf("revoked are alice %v and bob %v", list.Revoked(id), list.Revoked(other))
	}
	if list.Revoked(&identity.Identity{Issuer: issuerName, Subject: "carol"}) {
		t.Error("somebody without a token counts as revoked")
	}
}

func TestARevocationMustNameSomething(t *testing.T) {
	_, list := revocable(t, newOP(t), &feeds{}, time.Minute)
	for _, v := range []authn.Revocation{{}, {Issuer: issuerName}, {Subject: "alice"}} {
		if err := list.Revoke(t.Context(), v); err == nil {
			t.Errorf("%+v was accepted", v)
		}
	}
}
