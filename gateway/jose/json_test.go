package jose_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/jose"
)

// RFC 7515 section 4, RFC 8259 section 4: encoding/json lets the last of two
// equal names win and takes GROUPS for groups.
func TestRepeatedMemberNames(t *testing.T) {
	const header = `{"alg":"RS256","kid":"k"}`
	for name, tt := range map[string]struct {
		header, payload string
		reason          jose.Reason
	}{
		"sub twice":                {header, `{"sub":"alice","sub":"root"}`, jose.MalformedClaims},
		"sub twice, once escaped":  {header, `{"sub":"alice","\u0073ub":"root"}`, jose.MalformedClaims},
		"twice inside an object":   {header, `{"sub":"alice","realm_access":{"roles":[],"roles":["admin"]}}`, jose.MalformedClaims},
		"twice inside a list":      {header, `{"sub":"alice","x":[{"a":1,"a":2}]}`, jose.MalformedClaims},
		"payload is a list":        {header, `[{"sub":"alice"}]`, jose.MalformedClaims},
		"payload is text":          {header, `Payload`, jose.MalformedClaims},
		"payload is a JWT":         {header, genuine("RS256"), jose.MalformedClaims},
		"two objects":              {header, `{"sub":"alice"}{"sub":"root"}`, jose.MalformedClaims},
		"broken UTF-8":             {header, "{\"sub\":\"ali\xffce\"}", jose.MalformedClaims},
		"half a surrogate pair":    {header, `{"sub":"alice\udc00"}`, jose.MalformedClaims},
		"nested very deep":         {header, `{"x":` + strings.Repeat(`{"x":`, 100) + `1` + strings.Repeat(`}`, 101), jose.MalformedClaims},
		"alg twice":                {`{"alg":"none","alg":"RS256","kid":"k"}`, aliceClaims, jose.MalformedToken},
		"alg twice, once escaped":  {`{"alg":"RS256","kid":"k","\u0061lg":"none"}`, aliceClaims, jose.MalformedToken},
		"ALG beside alg":           {`{"alg":"RS256","kid":"k","ALG":"none"}`, aliceClaims, jose.MalformedToken},
		"kid with a Kelvin sign":   {`{"alg":"RS256","kid":"k","\u212aid":"other"}`, aliceClaims, jose.MalformedToken},
		"Crit, capitalised":        {`{"alg":"RS256","kid":"k","Crit":["x"]}`, aliceClaims, jose.MalformedToken},
		"twice inside header jwk":  {`{"alg":"RS256","kid":"k","jwk":{"kty":"RSA","kty":"EC"}}`, aliceClaims, jose.MalformedToken},
		"x5t#s256 for x5t#S256":    {`{"alg":"RS256","kid":"k","x5t#s256":"x"}`, aliceClaims, jose.MalformedToken},
		"jwK for jwk":              {`{"alg":"RS256","kid":"k","jwK":{}}`, aliceClaims, jose.MalformedToken},
		"long s in a header name":  {`{"alg":"RS256","kid":"k","x5t#ſ256":{}}`, aliceClaims, jose.MalformedToken},
		"trailing comma in claims": {header, `{"sub":"alice",}`, jose.MalformedClaims},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := jose.Parse(forge("RS256", rsaKey(), tt.header, tt.payload))
			wantRefused(t, err, tt.reason)
		})
	}
}

func TestCaseVariantsAreUnrelatedClaims(t *testing.T) {
	c, err := prove(forge("RS256", rsaKey(), `{"alg":"RS256","kid":"k"}`,
		`{"iss":"https://op1.test","sub":"alice","SUB":"root","groups":["users"],"GROUPS":["admin"],"aud":"other","Aud":"api://app","Exp":4000000000}`),
		published("RS256"))
	if err != nil {
		t.Fatal(err)
	}
	if c.Subject != "alice" || !slices.Equal(c.Strings("groups"), []string{"users"}) ||
		!slices.Equal(c.Audience, []string{"other"}) || !c.Expires.IsZero() {
		t.Errorf("a variant of a name had an effect: %+v", c)
	}
}
