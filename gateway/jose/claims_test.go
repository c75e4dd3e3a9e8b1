package jose_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/gateway/jose"
)

// claimsOf signs a payload and returns what Verify makes of it.
func claimsOf(payload string) (*jose.Claims, error) {
	return prove(forge("ES256", p256(), `{"alg":"ES256","kid":"k"}`, payload), published("ES256"))
}

func TestRegisteredClaimsAreTyped(t *testing.T) {
	c, err := claimsOf(`{"iss":"https://op1.test","sub":"alice","jti":"7","aud":["a","b"],"exp":1700000000,"nbf":1.5,
		"iat":1699999999.25,"auth_time":0,"n":12,"big":9007199254740993,"huge":1e999,"list":[1,"x",null,true,{"y":[]}]}`)
	if err != nil {
		t.Fatal(err)
	}
	want := &jose.Claims{
		Issuer: "https://op1.test", Subject: "alice", ID: "7", Audience: []string{"a", "b"},
		Expires: time.Unix(1700000000, 0), NotBefore: time.Unix(1, 5e8), IssuedAt: time.Unix(1699999999, 25e7), AuthTime: time.Unix(0, 0),
		Raw: map[string]any{
			"iss": "https://op1.test", "sub": "alice", "jti": "7", "aud": []any{"a", "b"},
			"exp": 1700000000.0, "nbf": 1.5, "iat": 1699999999.25, "auth_time": 0.0, "n": 12.0,
			"big": json.Number("9007199254740993"), "huge": json.Number("1e999"),
			"list": []any{1.0, "x", nil, true, map[string]any{"y": []any{}}},
		},
	}
	if diff := cmp.Diff(want, c); diff != "" {
		t.Error(diff)
	}
}

func TestClaimsOfTheWrongType(t *testing.T) {
	for _, payload := range []string{
		`{"iss":["https://op1.test","https://evil"]}`, `{"iss":1}`, `{"iss":null}`, `{"sub":1}`, `{"sub":["alice"]}`, `{"sub":{}}`, `{"jti":7}`,
		`{"aud":1}`, `{"aud":null}`, `{"aud":["api://app",1]}`, `{"aud":[null]}`, `{"aud":{"0":"api://app"}}`, `{"aud":[["api://app"]]}`, `{"aud":true}`,
		`{"exp":"4000000000"}`, `{"exp":null}`, `{"exp":true}`, `{"exp":[]}`, `{"exp":-1}`, `{"exp":-0.5}`, `{"exp":1e300}`, `{"exp":1e999}`,
		`{"exp":4000000000000}`, `{"exp":99999999999999999999}`, `{"nbf":"x"}`, `{"nbf":-1}`, `{"iat":"x"}`, `{"iat":{}}`, `{"auth_time":"x"}`,
	} {
		t.Run(payload, func(t *testing.T) {
			c, err := claimsOf(payload)
			wantRefused(t, err, jose.MalformedClaims)
			if c != nil {
				t.Error("claims beside the error")
			}
		})
	}
	for _, payload := range []string{`{"exp":NaN}`, `{"exp":Infinity}`, `{"exp":01}`, `{"exp":1.}`, `{"exp":.5}`, `{"exp":+1}`, `{"exp":0x10}`, `{"exp":1e}`, `{"exp":--1}`} {
		t.Run(payload, func(t *testing.T) {
			_, err := claimsOf(payload)
			wantRefused(t, err, jose.MalformedClaims)
		})
	}
}

func TestLookup(t *testing.T) {
	c, err := claimsOf(`{"realm_access":{"roles":["a"],"x.y":1},"https://op1.test/groups":["b"],"a.b":{"c":"long"},"a":{"b":{"c":"short","d":"deep"}},
		"realm_access.flat":"literal","empty":{"":"e"}}`)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]any{
		"realm_access.roles":      []any{"a"},
		"realm_access.x.y":        1.0,
		"https://op1.test/groups": []any{"b"},
		"realm_access.flat":       "literal",
		"a.b.c":                   "long",
		"a.b.d":                   "deep",
		"empty.":                  "e",
	} {
		if got, ok := c.Lookup(path); !ok || !cmp.Equal(got, want) {
			t.Errorf("%s: got %v, %v", path, got, ok)
		}
	}
	for _, path := range []string{"", ".", "roles", "realm_access.", "realm_access.roles.0", "Realm_Access.roles", "a.b.c.d", ".realm_access"} {
		if got, ok := c.Lookup(path); ok || got != nil {
			t.Errorf("%q: got %v", path, got)
		}
	}
}

// A group must be what the token says it is, whatever the shape of the claim.
func TestGroupClaimTypes(t *testing.T) {
	for value, want := range map[string][]string{
		`"admin"`:             {"admin"},
		`"users admin"`:       {"users admin"},
		`["users","admin"]`:   {"users", "admin"},
		`["ADMIN","admin "]`:  {"ADMIN", "admin "},
		`["","users"]`:        {"users"},
		`[["admin"]]`:         nil,
		`["users",["admin"]]`: nil,
		`["users",1]`:         nil,
		`["users",null]`:      nil,
		`{"admin":true}`:      nil,
		`[""]`:                nil,
		`""`:                  nil,
		`[]`:                  nil,
		`null`:                nil,
		`true`:                nil,
		`1`:                   nil,
	} {
		t.Run(value, func(t *testing.T) {
			c, err := claimsOf(`{"groups":` + value + `,"in":{"groups":` + value + `}}`)
			if err != nil {
				t.Fatal(err)
			}
			for _, path := range []string{"groups", "in.groups"} {
				if diff := cmp.Diff(want, c.Strings(path)); diff != "" {
					t.Error(path, diff)
				}
			}
			before, _ := json.Marshal(c.Raw)
			_ = c.Strings("groups")
			if after, _ := json.Marshal(c.Raw); string(before) != string(after) {
				t.Error("reading changed the claims")
			}
		})
	}
}

func TestStringIsAStringOrNothing(t *testing.T) {
	c, err := claimsOf(`{"s":"x","n":1,"l":["x"],"o":{"s":"y"},"z":null}`)
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, name := range []string{"s", "n", "l", "o", "z", "none", "o.s"} {
		got.WriteString(c.String(name) + "|")
	}
	if got.String() != "x||||||y|" {
		t.Errorf("got %q", got.String())
	}
}
