package assertion_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/gateway/assertion"
	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/jose"
)

func TestAnAssertionSaysWhoAndForWhom(t *testing.T) {
	r := stored(t, &memory{}, "ES256")
	now := time.Now()
	id := someone(1)
	raw, err := minter(r).Mint(id, "billing", now)
	if err != nil {
		t.Fatal(err)
	}
	token, err := jose.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	if token.Header.Type != "sallyport-assertion+jwt" || token.Header.Algorithm != "ES256" {
		t.Errorf("header %+v", token.Header)
	}
	got := verify(t, r, raw)
	if jti, _ := got["jti"].(string); len(jti) < 22 {
		t.Errorf("jti %v", got["jti"])
	}
	delete(got, "jti")
	want := map[string]any{
		"iss": issuer, "aud": "billing", "sub": "alice", "idp": "https://id.example.test",
		"iat": float64(now.Unix()), "exp": float64(now.Add(time.Minute).Unix()), "auth_time": float64(id.AuthTime.Unix()),
		"email": "alice@example.test", "email_verified": true, "name": "Alice", "preferred_username": "al",
		"groups": []any{"staff", "admin"}, "amr": []any{"pwd", "otp"}, "acr": "2",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}

	bare := verify(t, r, mint(t, r, &identity.Identity{Subject: "x"}))
	for _, absent := range []string{"email", "email_verified", "name", "groups", "amr", "acr", "auth_time", "idp"} {
		if v, ok := bare[absent]; ok {
			t.Errorf("%s is %v, and nothing is known of it", absent, v)
		}
	}
}

func TestAnAssertionIsReusedForHalfOfItsLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := minter(stored(t, &memory{}, "ES256"))
		id := someone(1)
		ask := func(id *identity.Identity, audience string) string {
			t.Helper()
			raw, err := m.Mint(id, audience, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			return raw
		}
		first := ask(id, "app")
		pass(29 * time.Second)
		if ask(id, "app") != first {
			t.Error("another one before half of its life is over")
		}
		copied := *id
		if ask(&copied, "app") != first {
			t.Error("another one for the same user, decoded again")
		}
		if ask(id, "billing") == first || ask(someone(2), "app") == first {
			t.Error("one assertion for two audiences or two sessions")
		}
		pass(time.Second)
		if ask(id, "app") == first {
			t.Error("the same one in the second half of its life")
		}
	})
}

func TestAChangedIdentityGetsANewAssertion(t *testing.T) {
	r := stored(t, &memory{}, "ES256")
	m, now := minter(r), time.Now()
	for name, change := range map[string]func(*identity.Identity){
		"groups":     func(id *identity.Identity) { id.Groups = []string{"staff"} },
		"more":       func(id *identity.Identity) { id.Groups = append([]string{"x"}, id.Groups...) },
		"subject":    func(id *identity.Identity) { id.Subject = "bob" },
		"issuer":     func(id *identity.Identity) { id.Issuer = "https://other.example.test" },
		"e-mail":     func(id *identity.Identity) { id.EmailVerified = false },
		"acr":        func(id *identity.Identity) { id.ACR = "1" },
		"amr":        func(id *identity.Identity) { id.AMR = nil },
		"its end":    func(id *identity.Identity) { id.ExpiresAt = now.Add(10 * time.Second) },
		"auth time":  func(id *identity.Identity) { id.AuthTime = now },
		"name":       func(id *identity.Identity) { id.Name = "Al" },
		"user name":  func(id *identity.Identity) { id.PreferredUsername = "" },
		"the e-mail": func(id *identity.Identity) { id.Email = "" },
	} {
		t.Run(name, func(t *testing.T) {
			id := someone(1)
			before, err := m.Mint(id, "app", now)
			if err != nil {
				t.Fatal(err)
			}
			changed := *id
			change(&changed)
			after, err := m.Mint(&changed, "app", now)
			if err != nil {
				t.Fatal(err)
			}
			if after == before {
				t.Error("the old assertion was given")
			}
		})
	}
}

func TestAnAssertionNeverOutlivesItsIdentity(t *testing.T) {
	r := stored(t, &memory{}, "ES256")
	m := minter(r)
	now := time.Now().Truncate(time.Second).Add(500 * time.Millisecond)
	for name, c := range map[string]struct {
		left, want time.Duration // of the identity, and of the assertion, from the full second on
	}{
		"an hour":         {time.Hour, time.Minute},
		"half a minute":   {30 * time.Second, 30 * time.Second},
		"a little more":   {1700 * time.Millisecond, 2 * time.Second},
		"within a second": {400 * time.Millisecond, 0},
		"none":            {0, 0},
		"less than none":  {-time.Minute, 0},
	} {
		t.Run(name, func(t *testing.T) {
			id := someone(byte(len(name)))
			id.ExpiresAt = now.Add(c.left)
			raw, err := m.Mint(id, "app", now)
			if c.want == 0 {
				if !errors.Is(err, assertion.ErrExpired) || raw != "" {
					t.Errorf("%q, %v", raw, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			exp := verify(t, r, raw)["exp"].(float64)
			if want := now.Truncate(time.Second).Add(c.want).Unix(); int64(exp) != want || time.Unix(int64(exp), 0).After(id.ExpiresAt) {
				t.Errorf("exp is %v, want %v; the identity ends %v", int64(exp), want, id.ExpiresAt.Unix())
			}
		})
	}
}

func TestAThousandRequestsAtOnceNeedOneSignature(t *testing.T) {
	m := minter(stored(t, &memory{}, "ES256"))
	id, now := someone(1), time.Now()
	tokens := make([]string, 1000)
	var all sync.WaitGroup
	for i := range tokens {
		all.Go(func() {
			var err error
			if tokens[i], err = m.Mint(id, "app", now); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, raw := range tokens {
		if raw != tokens[0] || raw == "" {
			t.Fatal("there were several") // ES256 and jti make every signature another one
		}
	}
}

func TestAnIdentityWithoutACredentialIsSignedEachTime(t *testing.T) {
	m := minter(stored(t, &memory{}, "ES256"))
	id, now := someone(1), time.Now()
	id.Ref = identity.Ref{}
	one, err := m.Mint(id, "app", now)
	if err != nil {
		t.Fatal(err)
	}
	if two, _ := m.Mint(id, "app", now); one == two {
		t.Error("two strangers could share an assertion")
	}
}

func TestMoreSessionsThanAreKeptAreAnsweredRightlyInBoundedMemory(t *testing.T) {
	r := stored(t, &memory{}, "EdDSA")
	m, now := minter(r), time.Now()
	most := 0
	for range 2 {
		for n := range 1500 { // all in one shard
			id := &identity.Identity{Subject: fmt.Sprint(n), Ref: identity.Ref{1, byte(n), byte(n >> 8)}}
			raw, err := m.Mint(id, "app", now)
			if err != nil {
				t.Fatal(err)
			}
			if n%200 == 0 {
				if got := verify(t, r, raw)["sub"]; got != id.Subject {
					t.Fatalf("%s got the assertion of %v", id.Subject, got)
				}
			}
			most = max(most, m.Kept())
		}
	}
	if most > 512 || most < 256 {
		t.Errorf("one shard keeps %d assertions", most)
	}
}

func TestAnAccessTokenIsOfItsOwnKind(t *testing.T) {
	r := stored(t, &memory{}, "ES256")
	now := time.Now()
	raw, expires, err := minter(r).MintAccess(someone(1), "api", 5*time.Minute, map[string]any{
		"tenant": "t1", "aud": "other", "sub": "mallory", "nonce": "n", "cnf": map[string]any{"jkt": "x"},
	}, now)
	if err != nil {
		t.Fatal(err)
	}
	token, err := jose.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	if token.Header.Type != "at+jwt" || expires.Unix() != now.Add(5*time.Minute).Unix() {
		t.Errorf("typ %s, ends %v", token.Header.Type, expires)
	}
	got := verify(t, r, raw)
	for name, want := range map[string]any{"aud": "api", "sub": "alice", "tenant": "t1", "client_id": "sallyport", "nonce": nil, "cnf": nil} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	rules := jose.Rules{Issuer: issuer, Audiences: []string{"api", "app"}, Algorithms: []string{"ES256"}}
	k, _, _ := r.Find(token.Header.KeyID, "ES256")
	claims, err := token.Verify(k)
	if err != nil {
		t.Fatal(err)
	}
	if err := rules.JudgeAccess(token, claims, now); err != nil {
		t.Errorf("the gateway does not accept its own token: %v", err)
	}
	// An application that was sent an assertion can't come back with it.
	sent, err := jose.Parse(mint(t, r, someone(1)))
	if err != nil {
		t.Fatal(err)
	}
	k, _, _ = r.Find(sent.Header.KeyID, "ES256")
	if claims, err = sent.Verify(k); err != nil {
		t.Fatal(err)
	}
	if err := rules.JudgeAccess(sent, claims, now); err == nil {
		t.Error("an assertion passes for an access token")
	}
}
