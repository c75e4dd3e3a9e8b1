package gateway_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/config"
)

// TestValidityWindow is about the very second at which a token begins and ends
// to be valid, in a time that stands still.
func TestValidityWindow(t *testing.T) {
	key := newSigner(t, "k1")
	file := fileWith(t, keySet(t, key))
	for _, tt := range []struct {
		setting string
		leeway  time.Duration
	}{{"", time.Minute}, {", leeway: 0s", 0}, {", leeway: 5s", 5 * time.Second}} {
		t.Run("leeway"+tt.setting, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ask := clockedGateway(t, fmt.Sprintf(`{issuer: %q, audiences: [%q], algorithms: [ES256], jwks_file: %q%s}`,
					tokenIssuer, tokenAudience, file, tt.setting))
				now := time.Now().Unix()
				leeway := int64(tt.leeway / time.Second)
				for name, c := range map[string]struct {
					claims map[string]any
					reason string // empty = accepted
				}{
					"the usual":                            {map[string]any{"iat": now, "nbf": now, "exp": now + 300}, ""},
					"no exp":                               {map[string]any{"iat": now}, "missing_claim"},
					"ends in a second":                     {map[string]any{"exp": now + 1}, ""},
					"ended, and the leeway just covers it": {map[string]any{"exp": now - leeway + 1}, ""},
					"ended, at the end of the leeway":      {map[string]any{"exp": now - leeway}, "token_expired"},
					"ended a second before the leeway":     {map[string]any{"exp": now - leeway - 1}, "token_expired"},
					"ended years ago":                      {map[string]any{"exp": now - 100_000_000}, "token_expired"},
					"ended in 1970":                        {map[string]any{"exp": 0}, "token_expired"},
					"begins at the end of the leeway":      {map[string]any{"nbf": now + leeway, "exp": now + 300}, ""},
					"begins a second after the leeway":     {map[string]any{"nbf": now + leeway + 1, "exp": now + 300}, "token_not_yet_valid"},
					"was made at the end of the leeway":    {map[string]any{"iat": now + leeway, "exp": now + 300}, ""},
					"was made a second after the leeway":   {map[string]any{"iat": now + leeway + 1, "exp": now + 300}, "token_not_yet_valid"},
					"was made in the far future":           {map[string]any{"iat": now + 100_000_000, "exp": now + 100_000_300}, "token_not_yet_valid"},
					"ends before it was made":              {map[string]any{"iat": now - 10, "exp": now - 20}, "token_lifetime|token_expired"},
					"ends when it was made":                {map[string]any{"iat": now + 1, "exp": now + 1}, "token_lifetime|token_not_yet_valid"},
					"ends as a text":                       {map[string]any{"exp": fmt.Sprint(now + 300)}, "malformed_claims"},
					"ends in milliseconds":                 {map[string]any{"exp": (now + 300) * 1000}, "malformed_claims"},
					"ends in microseconds":                 {map[string]any{"exp": (now + 300) * 1_000_000}, "malformed_claims"},
					"ends before time began":               {map[string]any{"exp": -1}, "malformed_claims"},
				} {
					claims := map[string]any{"iss": tokenIssuer, "aud": tokenAudience, "sub": "alice"}
					maps.Copy(claims, c.claims)
					token, err := key.Sign("at+jwt", claims)
					if err != nil {
						t.Fatal(err)
					}
					a := ask(token)
					if c.reason == "" {
						if a.StatusCode != http.StatusOK {
							t.Errorf("%s: %d\n%s", name, a.StatusCode, a.text)
						}
						continue
					}
					if a.StatusCode != http.StatusUnauthorized {
						t.Errorf("%s: the answer is %d", name, a.StatusCode)
						continue
					}
					checkRefusal(t, a.Header, a.text, token, strings.Split(c.reason, "|")...)
				}
			})
		})
	}
}

// TestATokenEndsWhileItIsInUse: what was proven once is over at its exp.
func TestATokenEndsWhileItIsInUse(t *testing.T) {
	key := newSigner(t, "k1")
	file := fileWith(t, keySet(t, key))
	synctest.Test(t, func(t *testing.T) {
		ask := clockedGateway(t, fmt.Sprintf(`{issuer: %q, audiences: [%q], algorithms: [ES256], jwks_file: %q, leeway: 2s}`, tokenIssuer, tokenAudience, file))
		token, err := key.Sign("", map[string]any{"iss": tokenIssuer, "aud": tokenAudience, "sub": "alice", "exp": time.Now().Add(10 * time.Second).Unix()})
		if err != nil {
			t.Fatal(err)
		}
		for second := range 15 {
			want := http.StatusOK
			if second >= 12 {
				want = http.StatusUnauthorized
			}
			if a := ask(token); a.StatusCode != want {
				t.Errorf("after %d seconds: %d, want %d", second, a.StatusCode, want)
			}
			<-time.After(time.Second)
		}
	})
}

// clockedGateway is a gateway that opens no socket, so that it can live in the
// time of a bubble. It returns how to send it a token.
func clockedGateway(t *testing.T, issuer string) func(token string) answer {
	t.Helper()
	cfg, err := config.Parse("clocked.yaml", []byte(`
admin: {listen: ""}
session: {embedded: {path: ""}}
tokens: {issuers: [`+issuer+`]}
routes: [{name: api, upstream: "builtin:echo", auth: [bearer], policy: authenticated}]
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	gw, err := gateway.New(t.Context(), cfg, zap.NewNop(), "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := gw.Close(); err != nil {
			t.Error(err)
		}
	})
	gateway.RunBackground(t, gw)
	return func(token string) answer {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.Host = "localhost:8080"
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		gw.Handler().ServeHTTP(w, r)
		return answer{w.Result(), w.Body.String()}
	}
}
