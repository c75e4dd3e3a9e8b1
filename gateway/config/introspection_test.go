package config_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/gateway/config"
)

func TestIntrospectionHasDefaults(t *testing.T) {
	c := load(t, "testdata/good/credentials.yaml")
	mapping := config.ClaimMapping{SubjectClaim: "sub", EmailClaim: "email", NameClaim: "name", UsernameClaim: "preferred_username", GroupsClaim: "groups"}
	short := config.Introspection{
		Name: "corp", Endpoint: "https://id.example.com/introspect", ClientID: "app", ClientSecretFile: "testdata/files/secret",
		ClientAuth: config.ClientAuthBasic, ClaimMapping: mapping, CacheTTL: 30 * time.Second, Timeout: 2 * time.Second,
	}
	if diff := cmp.Diff(short, c.Tokens.Introspection[0]); diff != "" {
		t.Errorf("the short entry: -want +got\n%s", diff)
	}
	mapping.SubjectClaim, mapping.GroupsClaim = "uid", "realm_access.roles"
	long := config.Introspection{
		Name: "key", Endpoint: "http://127.0.0.1:9000/introspect?realm=a", ClientID: "app", ClientKeyFile: "testdata/files/key.pem",
		ClientAuth: config.ClientAuthPrivateKey, ClaimMapping: mapping, CacheTTL: 0, Timeout: 10 * time.Second,
		Issuer: "https://id.example.com", Audiences: []string{"api"}, TrustEmail: true,
	}
	if diff := cmp.Diff(long, c.Tokens.Introspection[1]); diff != "" {
		t.Errorf("the long entry: -want +got\n%s", diff)
	}
	for i, want := range []string{"introspection corp", "https://id.example.com"} {
		if got := c.Tokens.Introspection[i].UserIssuer(); got != want {
			t.Errorf("issuer of the users of %d: %q, want %q", i, got, want)
		}
	}
}
