package authn_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/gateway/authn"
	"github.com/sallyport/sallyport/gateway/identity"
)

func TestATokenIsProvenOnce(t *testing.T) {
	o := newOP(t)
	b := authn.NewBearer(authn.BearerOptions{Issuers: []authn.Issuer{o.issuer()}, CacheBytes: 1 << 20})
	token := o.token(t, map[string]any{"email": "a@example.test", "groups": []string{"staff"}})
	first, err := present(t, b, bearing(t, token))
	if err != nil {
		t.Fatal(err)
	}
	if first.Subject != "alice" || first.Issuer != issuerName || first.Email != "a@example.test" || first.EmailVerified ||
		first.Groups[0] != "staff" || first.Ref.IsZero() || first.Method != "bearer" || first.Memo == nil {
		t.Errorf("the identity is %+v", first)
	}
	for range 100 {
		if again, err := present(t, b, bearing(t, token)); err != nil || again != first {
			t.Fatalf("the same token gave %v, %v", again, err)
		}
	}
	if n := o.keys.asked.Load(); n != 1 {
		t.Errorf("the token was proven %d times", n)
	}
}

func TestWithoutACacheEachRequestIsProven(t *testing.T) {
	o := newOP(t)
	b := authn.NewBearer(authn.BearerOptions{Issuers: []authn.Issuer{o.issuer()}})
	token := o.token(t, nil)
	for range 3 {
		if _, err := present(t, b, bearing(t, token)); err != nil {
			t.Fatal(err)
		}
	}
	if n := o.keys.asked.Load(); n != 3 {
		t.Errorf("the token was proven %d times", n)
	}
}

// A cache that answers for a token by a part of it, or for longer than the token
// itself would be accepted, is how CVE-2021-32701 and CVE-2026-33496 came about.
func TestWhatWasProvenStandsForThatTokenAlone(t *testing.T) {
	o := newOP(t)
	b := authn.NewBearer(authn.BearerOptions{Issuers: []authn.Issuer{o.issuer()}, CacheBytes: 1 << 20})
	alice, root := o.token(t, nil), o.token(t, map[string]any{"sub": "root"})
	for _, token := range []string{alice, root} {
		if _, err := present(t, b, bearing(t, token)); err != nil {
			t.Fatal(err)
		}
	}
	a, r := strings.Split(alice, "."), strings.Split(root, ".")
	flipped := []byte(a[2])
	flipped[4] ^= 1
	for name, token := range map[string]string{
		"a signature with one bit changed":     a[0] + "." + a[1] + "." + string(flipped),
		"another token's signature":            a[0] + "." + a[1] + "." + r[2],
		"another token's payload":              a[0] + "." + r[1] + "." + a[2],
		"the signature cut off":                a[0] + "." + a[1] + ".",
		"the signature cut short":              alice[:len(alice)-2],
		"the token twice":                      alice + "." + alice,
		"the token with a space behind it":     alice + " ",
		"the token with a line end behind it":  alice + "\n",
		"the same signature, spelt once again": alice + "=",
	} {
		t.Run(name, func(t *testing.T) {
			if id, err := present(t, b, bearing(t, token)); err == nil {
				t.Errorf("it passed for %s", id.Subject)
			}
		})
	}
}

func TestAProvenTokenEndsAtItsExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOP(t)
		issuer := o.issuer()
		issuer.Rules.Leeway = 5 * time.Second
		b := authn.NewBearer(authn.BearerOptions{Issuers: []authn.Issuer{issuer}, CacheBytes: 1 << 20})
		token := o.token(t, map[string]any{"exp": time.Now().Add(10 * time.Second).Unix()})
		_, err := present(t, b, bearing(t, token))
		wantReason(t, err, "")
		pass(15*time.Second - 1)
		_, err = present(t, b, bearing(t, token))
		wantReason(t, err, "")
		pass(1)
		_, err = present(t, b, bearing(t, token))
		wantReason(t, err, "token_expired")
	})
}

func TestKeysThatChangeHaveEveryTokenProvenAnew(t *testing.T) {
	o := newOP(t)
	b := authn.NewBearer(authn.BearerOptions{Issuers: []authn.Issuer{o.issuer()}, CacheBytes: 1 << 20})
	token := o.token(t, nil)
	_, err := present(t, b, bearing(t, token))
	wantReason(t, err, "")

	o.keys.generation.Store(2)
	_, err = present(t, b, bearing(t, token))
	wantReason(t, err, "")
	if n := o.keys.asked.Load(); n != 2 {
		t.Errorf("after a change of the keys it was proven %d times, want 2", n)
	}

	other := newOP(t)
	o.keys.set = other.keys.set
	o.keys.generation.Store(3)
	_, err = present(t, b, bearing(t, token))
	wantReason(t, err, "bad_signature")

	// No good keys any more: nothing can be said, not even of what was proven.
	o.keys.down.Store(true)
	o.keys.generation.Store(0)
	_, err = present(t, b, bearing(t, token))
	wantReason(t, err, "outage")
}

func TestTheAudienceIsJudgedForEachRoute(t *testing.T) {
	o := newOP(t)
	b := authn.NewBearer(authn.BearerOptions{Issuers: []authn.Issuer{o.issuer()}, CacheBytes: 1 << 20})
	routes := map[string]*authn.Bearer{"api": b.For([]string{"api"}), "other": b.For([]string{"other"}), "any": b.For(nil)}
	both := o.token(t, map[string]any{"aud": []string{"api", "other"}})
	api := o.token(t, nil)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				for _, c := range []struct{ route, token, want string }{
					{"api", api, ""},
					{"other", api, "wrong_audience"},
					{"any", api, ""},
					{"api", both, ""},
					{"other", both, ""},
				} {
					if _, err := present(t, routes[c.route], bearing(t, c.token)); reasonOf(err) != c.want {
						t.Errorf("on route %s: %v, want %q", c.route, err, c.want)
					}
				}
			}
		})
	}
	wg.Wait()
	if n := o.keys.asked.Load(); n > 16 {
		t.Errorf("two tokens were proven %d times by 8 clients", n)
	}
}

// The cache must not be a way to fill the memory, nor to push others out.
func TestForgedTokensLeaveNothingInTheCache(t *testing.T) {
	o := newOP(t)
	b := authn.NewBearer(authn.BearerOptions{Issuers: []authn.Issuer{o.issuer()}, CacheBytes: 16 << 10})
	token := o.token(t, nil)
	_, err := present(t, b, bearing(t, token))
	wantReason(t, err, "")
	parts := strings.Split(token, ".")
	stranger := newOP(t)
	for i := range 1000 {
		forged := strings.Split(stranger.token(t, map[string]any{"jti": fmt.Sprint(i)}), ".")
		_, err := present(t, b, bearing(t, parts[0]+"."+forged[1]+"."+forged[2]))
		wantReason(t, err, "bad_signature")
	}
	before := o.keys.asked.Load()
	_, err = present(t, b, bearing(t, token))
	wantReason(t, err, "")
	if o.keys.asked.Load() != before {
		t.Error("1,000 forged tokens have pushed a proven one out")
	}
}

func TestClaimsAreMappedAsConfigured(t *testing.T) {
	o := newOP(t)
	issuer := o.issuer()
	issuer.Mapping.SubjectClaim, issuer.Mapping.EmailClaim = "uid", "contact.mail"
	issuer.Mapping.NameClaim, issuer.Mapping.UsernameClaim, issuer.Mapping.GroupsClaim = "cn", "login", "realm_access.roles"
	issuer.Rules.SubjectClaim, issuer.TrustEmail = "uid", true
	issuer.Rules.RequiredClaims = []string{"client_id"}
	b := authn.NewBearer(authn.BearerOptions{Issuers: []authn.Issuer{issuer}, CacheBytes: 1 << 20})
	claims := map[string]any{
		"sub": nil, "uid": "u-1", "cn": "Alice", "login": "al", "client_id": "cli",
		"contact": map[string]any{"mail": "a@example.test"}, "realm_access": map[string]any{"roles": []string{"ops"}},
	}
	id, err := present(t, b, bearing(t, o.token(t, claims)))
	if err != nil {
		t.Fatal(err)
	}
	if id.Subject != "u-1" || id.Name != "Alice" || id.PreferredUsername != "al" || id.Email != "a@example.test" || !id.EmailVerified || id.Groups[0] != "ops" {
		t.Errorf("the identity is %+v", id)
	}
	for name, missing := range map[string]string{"the subject": "uid", "a required claim": "client_id"} {
		t.Run(name+" is missing", func(t *testing.T) {
			_, err := present(t, b, bearing(t, o.token(t, map[string]any{"uid": "u-1", "client_id": "cli", missing: nil})))
			wantReason(t, err, "missing_claim")
		})
	}
}

// TestEmailVerifiedSpeaksOfEmailAlone: whoever can write his own address into some
// other claim would be taken for its owner.
func TestEmailVerifiedSpeaksOfEmailAlone(t *testing.T) {
	o := newOP(t)
	issuer := o.issuer()
	issuer.Mapping.EmailClaim = "mail"
	b := authn.NewBearer(authn.BearerOptions{Issuers: []authn.Issuer{issuer}, CacheBytes: 1 << 20})
	for name, tt := range map[string]struct {
		claims map[string]any
		want   bool
	}{
		"email_verified of another claim": {map[string]any{"mail": "root@example.test", "email": "eve@example.test", "email_verified": true}, false},
		"its own":                         {map[string]any{"mail": "root@example.test", "mail_verified": true}, true},
		"as text":                         {map[string]any{"mail": "root@example.test", "mail_verified": "true"}, false},
	} {
		id, err := present(t, b, bearing(t, o.token(t, tt.claims)))
		if err != nil {
			t.Fatal(err)
		}
		if id.Email != "root@example.test" || id.EmailVerified != tt.want {
			t.Errorf("%s: %q, verified %v", name, id.Email, id.EmailVerified)
		}
	}
}

func TestHeadersOfATokenAreMadeOnce(t *testing.T) {
	o := newOP(t)
	b := authn.NewBearer(authn.BearerOptions{Issuers: []authn.Issuer{o.issuer()}, CacheBytes: 1 << 20})
	r := bearing(t, o.token(t, nil))
	cred, err := b.Extract(r)
	if err != nil {
		t.Fatal(err)
	}
	var id *identity.Identity
	if id, err = b.Authenticate(t.Context(), cred); err != nil || id.Memo == nil {
		t.Fatal(id, err)
	}
	allocations := testing.AllocsPerRun(1000, func() {
		cred, _ := b.Extract(r)
		if _, err := b.Authenticate(t.Context(), cred); err != nil {
			t.Error(err)
		}
	})
	if allocations > 0 {
		t.Errorf("a proven token costs %v allocations", allocations)
	}
}
