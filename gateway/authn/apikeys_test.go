package authn_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/authn"
	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/session"
)

// keysOver follows a store within a synctest bubble.
func keysOver(t *testing.T, feeds *fakeFeeds) *authn.APIKeys {
	t.Helper()
	keys := authn.NewAPIKeys(feeds, 5*time.Second, zap.NewNop())
	go keys.Run(t.Context())
	synctest.Wait()
	return keys
}

func judge(t *testing.T, keys *authn.APIKeys, route, key string) string {
	t.Helper()
	id, err := keys.For(route).Authenticate(t.Context(), authn.Credential{Kind: authn.KindAPIKey, Value: authn.Secret(key)})
	return verdict(t, id, err)
}

func make1(t *testing.T, keys *authn.APIKeys, info authn.APIKeyInfo) (string, authn.APIKeyInfo) {
	t.Helper()
	key, made, err := keys.Create(t.Context(), info)
	if err != nil {
		t.Fatal(err)
	}
	return key, made
}

func TestAPIKeyIsTakenOnEveryGatewayUntilItIsRevoked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		feeds := &fakeFeeds{}
		here, there := keysOver(t, feeds), keysOver(t, feeds)
		feeds.confirm(time.Now())
		key, made := make1(t, here, authn.APIKeyInfo{Name: "nightly", Subject: "backup"})
		if len(key) != 47 || !strings.HasPrefix(key, "spk_") {
			t.Errorf("the key %q is not spk_ and 43 characters", key)
		}
		for _, keys := range []*authn.APIKeys{here, there} {
			if got := judge(t, keys, "api", key); got != accepted {
				t.Errorf("new: %s", got)
			}
			if got := judge(t, keys, "api", key[:46]+map[bool]string{true: "B", false: "A"}[key[46] == 'A']); got != authn.ReasonUnknownAPIKey {
				t.Errorf("with another last character: %s", got)
			}
		}
		id, err := there.For("api").Authenticate(t.Context(), authn.Credential{Value: authn.Secret(key)})
		if err != nil {
			t.Fatal(err)
		}
		if there.Revoked(id) {
			t.Error("counts as revoked")
		}
		if _, err := here.Revoke(t.Context(), made.ID); err != nil {
			t.Fatal(err)
		}
		for _, keys := range []*authn.APIKeys{here, there} {
			if got := judge(t, keys, "api", key); got != authn.ReasonAPIKeyRevoked {
				t.Errorf("revoked: %s", got)
			}
			if !keys.Revoked(id) {
				t.Error("streams do not learn of it")
			}
		}
		// A gateway that starts later, and an old entry that comes again.
		late := keysOver(t, feeds)
		feeds.confirm(time.Now())
		feeds.bring(feeds.kept()[0])
		for _, keys := range []*authn.APIKeys{here, there, late} {
			if got := judge(t, keys, "api", key); got != authn.ReasonAPIKeyRevoked {
				t.Errorf("brought again: %s", got)
			}
		}
		if _, err := here.Revoke(t.Context(), made.ID); err != nil {
			t.Errorf("revoked twice: %v", err)
		}
		if _, err := here.Revoke(t.Context(), "0123456789abcdef"); !errors.Is(err, authn.ErrNoAPIKey) {
			t.Errorf("an id that no key has: %v", err)
		}
	})
}

func TestTheKeyItselfIsKeptNowhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		feeds := &fakeFeeds{}
		keys := keysOver(t, feeds)
		feeds.confirm(time.Now())
		key, made := make1(t, keys, authn.APIKeyInfo{Name: "n", Subject: "s"})
		for _, e := range feeds.kept() {
			if secret := key[4:]; strings.Contains(e.Name+string(e.Value), secret) {
				t.Errorf("the store holds it: %s %s", e.Name, e.Value)
			}
			if len(e.Name) != 64 || !strings.HasPrefix(e.Name, made.ID) {
				t.Errorf("the entry is called %s, the key %s", e.Name, made.ID)
			}
		}
		// Somebody who can read the store gets in with nothing of it.
		for _, guess := range []string{feeds.kept()[0].Name, "spk_" + feeds.kept()[0].Name, "spk_" + feeds.kept()[0].Name[:43]} {
			if got := judge(t, keys, "api", guess); got != authn.ReasonUnknownAPIKey {
				t.Errorf("%s: %s", guess, got)
			}
		}
	})
}

func TestAPIKeysAreNotJudgedWithoutTheWordOfTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		feeds := &fakeFeeds{}
		keys := keysOver(t, feeds)
		unknown := "spk_" + strings.Repeat("A", 43)
		if got := judge(t, keys, "api", unknown); got != outage {
			t.Errorf("before the first confirmation: %s", got)
		}
		if keys.Ready() == nil {
			t.Error("ready before the first confirmation")
		}
		if _, err := keys.List(t.Context()); err == nil {
			t.Error("a list before the first confirmation")
		}
		feeds.confirm(time.Now())
		good, _ := make1(t, keys, authn.APIKeyInfo{Name: "n", Subject: "s"})
		bad, made := make1(t, keys, authn.APIKeyInfo{Name: "n", Subject: "s"})
		if _, err := keys.Revoke(t.Context(), made.ID); err != nil {
			t.Fatal(err)
		}
		<-time.After(5 * time.Second)
		if got := [3]string{judge(t, keys, "api", good), judge(t, keys, "api", bad), judge(t, keys, "api", unknown)}; got != [3]string{accepted, authn.ReasonAPIKeyRevoked, authn.ReasonUnknownAPIKey} {
			t.Errorf("with the last word 5 s old: %v", got)
		}
		<-time.After(time.Second)
		// What is certain stays so: revoked is for ever, and garbage is no key.
		if got := [4]string{judge(t, keys, "api", good), judge(t, keys, "api", bad), judge(t, keys, "api", unknown), judge(t, keys, "api", "spk_x")}; got != [4]string{outage, authn.ReasonAPIKeyRevoked, outage, authn.ReasonUnknownAPIKey} {
			t.Errorf("with the last word 6 s old: %v", got)
		}
		if _, err := keys.Revoke(t.Context(), "0123456789abcdef"); err == nil || errors.Is(err, authn.ErrNoAPIKey) {
			t.Errorf("revoking what may exist: %v", err)
		}
		feeds.confirm(time.Now())
		if got := judge(t, keys, "api", good); got != accepted {
			t.Errorf("after the store came back: %s", got)
		}
	})
}

func TestAPIKeyThatCouldNotBeKeptIsNoKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		feeds := &fakeFeeds{err: errors.New("down")}
		keys := keysOver(t, feeds)
		feeds.confirm(time.Now())
		key, made, err := keys.Create(t.Context(), authn.APIKeyInfo{Name: "n", Subject: "s"})
		if err == nil || key != "" || made.ID != "" {
			t.Errorf("%q, %v, %v", key, made, err)
		}
		if list, err := keys.List(t.Context()); err != nil || len(list) != 0 {
			t.Errorf("%v, %v", list, err)
		}
	})
}

func TestAPIKeyEndsWhenItSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		feeds := &fakeFeeds{}
		keys := keysOver(t, feeds)
		feeds.confirm(time.Now())
		key, _ := make1(t, keys, authn.APIKeyInfo{Name: "n", Subject: "s", Expires: time.Now().Add(time.Hour)})
		forEver, _ := make1(t, keys, authn.APIKeyInfo{Name: "n", Subject: "s"})
		if e := feeds.kept()[0]; !e.ExpiresAt.Equal(time.Now().Add(time.Hour)) {
			t.Errorf("the store drops it at %s", e.ExpiresAt)
		}
		<-time.After(time.Hour - time.Second)
		feeds.confirm(time.Now())
		if got := judge(t, keys, "api", key); got != accepted {
			t.Errorf("a second before: %s", got)
		}
		<-time.After(time.Second)
		if got := judge(t, keys, "api", key); got != authn.ReasonAPIKeyExpired {
			t.Errorf("at its end: %s", got)
		}
		list, err := keys.List(t.Context())
		if err != nil || len(list) != 1 {
			t.Errorf("listed: %v, %v", list, err)
		}
		<-time.After(time.Hour)
		feeds.confirm(time.Now())
		if got := judge(t, keys, "api", key); got != authn.ReasonUnknownAPIKey {
			t.Errorf("when it was forgotten: %s", got)
		}
		if got := judge(t, keys, "api", forEver); got != accepted {
			t.Errorf("the one that never expires: %s", got)
		}
	})
}

func TestAPIKeyOfAnotherRouteIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		feeds := &fakeFeeds{}
		keys := keysOver(t, feeds)
		feeds.confirm(time.Now())
		narrow, _ := make1(t, keys, authn.APIKeyInfo{Name: "n", Subject: "s", Routes: []string{"api", "jobs"}})
		broad, _ := make1(t, keys, authn.APIKeyInfo{Name: "n", Subject: "s"})
		for route, want := range map[string]string{"api": accepted, "jobs": accepted, "admin": "wrong_audience", "ap": "wrong_audience"} {
			if got := judge(t, keys, route, narrow); got != want {
				t.Errorf("%s: %s, want %s", route, got, want)
			}
			if got := judge(t, keys, route, broad); got != accepted {
				t.Errorf("%s, the key without routes: %s", route, got)
			}
		}
	})
}

func TestEntryOfANewerReleaseIsNeitherAcceptedNorRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		feeds := &fakeFeeds{}
		keys := keysOver(t, feeds)
		feeds.confirm(time.Now())
		key, _ := make1(t, keys, authn.APIKeyInfo{Name: "n", Subject: "s"})
		name := feeds.kept()[0].Name
		for value, want := range map[string]string{
			`{"v":2,"subject":"s","issuer":"x"}`: outage, `{"v":1,"subject":"","issuer":"x"}`: outage, `not JSON`: outage, `{}`: outage,
			`{"v":1,"subject":"s","issuer":"x"}`: accepted,
		} {
			feeds.bring(session.FeedEntry{Name: name, Value: []byte(value)}, session.FeedEntry{Name: "odd", Value: []byte(value)})
			if got := judge(t, keys, "api", key); got != want {
				t.Errorf("%s: %s, want %s", value, got, want)
			}
		}
		// A revocation counts in whatever version it was written.
		feeds.bring(session.FeedEntry{Name: name, Value: []byte(`{"v":2,"revoked":true}`)})
		if got := judge(t, keys, "api", key); got != authn.ReasonAPIKeyRevoked {
			t.Errorf("revoked by a newer release: %s", got)
		}
	})
}

func TestIdentityBehindAnAPIKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		feeds := &fakeFeeds{}
		keys := keysOver(t, feeds)
		feeds.confirm(time.Now())
		expires := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
		key, made := make1(t, keys, authn.APIKeyInfo{
			Name: "ci", Subject: "deployer", Email: "ci@example.test", Groups: []string{"ops"}, Scopes: []string{"read", "deploy"}, Expires: expires,
			ID: "chosen", Revoked: true, // not the caller's to choose
		})
		id, err := keys.For("api").Authenticate(t.Context(), authn.Credential{Value: authn.Secret(key)})
		if err != nil {
			t.Fatal(err)
		}
		if id.Claim("scope") != "read deploy" || id.Ref.String() != made.ID || id.Memo == nil {
			t.Errorf("scope %v, ref %s of key %s", id.Claim("scope"), id.Ref, made.ID)
		}
		got := *id
		got.Claims, got.Memo, got.Ref = nil, nil, identity.Ref{}
		want := identity.Identity{
			Issuer: authn.APIKeyIssuer, Subject: "deployer", PreferredUsername: "deployer", Email: "ci@example.test", EmailVerified: true,
			Groups: []string{"ops"}, Method: "api_key", ExpiresAt: expires,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
		again, err := keys.For("other").Authenticate(t.Context(), authn.Credential{Value: authn.Secret(key)})
		if err != nil || again != id {
			t.Error("the same key has two identities, whose headers are computed twice")
		}
	})
}

func TestAPIKeyInTheRequest(t *testing.T) {
	a := authn.NewAPIKeys(&fakeFeeds{}, time.Second, zap.NewNop()).For("api")
	for name, c := range map[string]struct {
		headers []string
		want    string // accepted, "" for none, or a reason
	}{
		"as a bearer token":                 {[]string{"Authorization", "Bearer spk_x"}, accepted},
		"in a header of its own":            {[]string{"X-API-Key", "spk_x"}, accepted},
		"garbage in that header":            {[]string{"X-API-Key", "x"}, accepted}, // is judged, and refused
		"an empty header":                   {[]string{"X-API-Key", ""}, accepted},
		"nothing":                           {nil, ""},
		"another token":                     {[]string{"Authorization", "Bearer x"}, ""},
		"the key under another scheme":      {[]string{"Authorization", "Token spk_x"}, ""},
		"twice in that header":              {[]string{"X-API-Key", "spk_x", "X-API-Key", "spk_x"}, authn.ReasonDuplicateCredential},
		"in both":                           {[]string{"X-API-Key", "spk_x", "Authorization", "Bearer spk_x"}, authn.ReasonDuplicateCredential},
		"beside a token":                    {[]string{"X-API-Key", "spk_x", "Authorization", "Bearer a.b.c"}, authn.ReasonDuplicateCredential},
		"beside a password":                 {[]string{"X-API-Key", "spk_x", "Authorization", "Basic dTpw"}, authn.ReasonDuplicateCredential},
		"twice in the Authorization header": {[]string{"Authorization", "Bearer spk_x", "Authorization", "Bearer spk_x"}, authn.ReasonDuplicateCredential},
	} {
		t.Run(name, func(t *testing.T) {
			// A kind that reads the header, too, and comes first in the list.
			chain := authn.Order(authn.Chain{fake{authn.KindBasic, "Authorization"}, a})
			if c.want == "" {
				chain = authn.Order(authn.Chain{a})
			}
			_, cred, err := chain.Extract(request(c.headers...), true)
			refusal, refused := errors.AsType[*authn.Refusal](err)
			switch {
			case c.want == accepted && err == nil && cred.Kind == authn.KindAPIKey:
			case c.want == "" && err != nil && (!refused || refusal.Reason == authn.ReasonUnsupportedCredential):
			case refused && refusal.Reason == c.want:
			default:
				t.Errorf("%v, %v; want %q", cred.Kind, err, c.want)
			}
		})
	}
	h := http.Header{"X-Api-Key": {"spk_x"}, "Authorization": {"Bearer spk_x"}, "Accept": {"a"}}
	a.Strip(h)
	if diff := cmp.Diff(http.Header{"Accept": {"a"}}, h); diff != "" {
		t.Errorf("after Strip: -want +got\n%s", diff)
	}
	h = http.Header{"Authorization": {"Bearer other"}}
	if a.Strip(h); len(h) != 1 {
		t.Error("Strip takes a credential of another kind")
	}
}

func TestLookingUpAnAPIKeyAllocatesNextToNothing(t *testing.T) {
	feeds := &fakeFeeds{}
	keys := authn.NewAPIKeys(feeds, time.Hour, zap.NewNop())
	go keys.Run(t.Context())
	key, _ := make1(t, keys, authn.APIKeyInfo{Name: "n", Subject: "s"})
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for keys.Ready() != nil {
		feeds.confirm(time.Now())
		<-tick.C
	}
	a := keys.For("api")
	r := request("X-API-Key", key)
	got := testing.AllocsPerRun(100, func() {
		c, err := a.Extract(r)
		if err == nil {
			_, err = a.Authenticate(t.Context(), c)
		}
		if err != nil {
			t.Fatal(err)
		}
	})
	if got > 2 {
		t.Errorf("%.0f allocations", got)
	}
}

func BenchmarkAPIKey(b *testing.B) {
	feeds := &fakeFeeds{}
	keys := authn.NewAPIKeys(feeds, time.Hour, zap.NewNop())
	go keys.Run(b.Context())
	key, _, err := keys.Create(b.Context(), authn.APIKeyInfo{Name: "n", Subject: "s"})
	if err != nil {
		b.Fatal(err)
	}
	for keys.Ready() != nil {
		feeds.confirm(time.Now())
	}
	a, r := keys.For("api"), request("X-API-Key", key)
	b.ReportAllocs()
	for b.Loop() {
		c, _ := a.Extract(r)
		if _, err := a.Authenticate(b.Context(), c); err != nil {
			b.Fatal(err)
		}
	}
}
