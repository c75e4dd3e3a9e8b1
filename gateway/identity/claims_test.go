package identity_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/gateway/identity"
)

func TestAnIdentityAnswersForItsClaims(t *testing.T) {
	tests := map[string]struct {
		claims identity.Claims
		tenant any
		all    map[string]any
	}{
		"no claims":        {nil, nil, nil},
		"a nil map":        {identity.MapClaims(nil), nil, nil},
		"an empty map":     {identity.MapClaims{}, nil, nil},
		"another claim":    {identity.MapClaims{"a": 1.0}, nil, map[string]any{"a": 1.0}},
		"the claim":        {identity.MapClaims{"tenant": "t1"}, "t1", map[string]any{"tenant": "t1"}},
		"the claim, null":  {identity.MapClaims{"tenant": nil}, nil, map[string]any{"tenant": nil}},
		"the claim, false": {identity.MapClaims{"tenant": false}, false, map[string]any{"tenant": false}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			id := &identity.Identity{Claims: tt.claims}
			if got := id.Claim("tenant"); got != tt.tenant {
				t.Errorf("tenant: got %v, want %v", got, tt.tenant)
			}
			if diff := cmp.Diff(tt.all, id.AllClaims()); diff != "" {
				t.Errorf("all: -want +got\n%s", diff)
			}
		})
	}
}

func TestAllClaimsAreTheCallersOwn(t *testing.T) {
	id := &identity.Identity{Claims: identity.MapClaims{"role": "reader"}}
	all := id.AllClaims()
	all["role"], all["more"] = "owner", true
	if diff := cmp.Diff(map[string]any{"role": "reader"}, id.AllClaims()); diff != "" {
		t.Errorf("a caller changed the claims of the identity: -want +got\n%s", diff)
	}
}
