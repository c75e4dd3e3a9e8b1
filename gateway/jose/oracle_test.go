package jose_test

import (
	"crypto"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"

	gojose "github.com/go-jose/go-jose/v4"

	"github.com/sallyport/sallyport/gateway/jose"
)

// Another implementation must agree with everything that is accepted here. It
// may accept more.
func TestGoJoseAcceptsWhatWeAccept(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	accepted := 0
	for _, alg := range allAlgorithms() {
		token, set := genuine(alg), published(alg)
		for range 200 {
			raw := mutate(random, token)
			c, err := prove(raw, set)
			if err != nil {
				continue
			}
			accepted++
			agree(t, alg, raw, c)
		}
	}
	if accepted < 100 {
		t.Errorf("only %d tokens were accepted: nothing was compared", accepted)
	}
}

func agree(t *testing.T, alg, raw string, c *jose.Claims) {
	t.Helper()
	theirs, err := gojose.ParseSignedCompact(raw, []gojose.SignatureAlgorithm{gojose.SignatureAlgorithm(alg)})
	if err != nil {
		t.Fatalf("%s: accepted %q, go-jose does not read it: %v", alg, raw, err)
	}
	payload, err := theirs.Verify(publicHalf(keyFor(alg)))
	if err != nil {
		t.Fatalf("%s: accepted %q, go-jose does not: %v", alg, raw, err)
	}
	if !strings.Contains(string(payload), `"sub":"`+c.Subject+`"`) {
		t.Fatalf("%s: subject %q, go-jose reads %s", alg, c.Subject, payload)
	}
}

func publicHalf(key any) any {
	if signer, ok := key.(crypto.Signer); ok {
		return signer.Public()
	}
	return key
}

// mutate leaves some tokens alone and spoils the others in one place.
func mutate(random *rand.Rand, raw string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.= \n"
	at := random.IntN(len(raw))
	one := string(alphabet[random.IntN(len(alphabet))])
	switch random.IntN(5) {
	case 0:
		return raw[:at] + one + raw[at+1:]
	case 1:
		return raw[:at] + one + raw[at:]
	case 2:
		return raw[:at] + raw[at+1:]
	case 3:
		return raw + one
	}
	return raw
}

// A key set that is good enough for us is good enough for go-jose.
func TestGoJoseReadsTheKeysThatWePublish(t *testing.T) {
	for _, alg := range jose.AsymmetricAlgorithms() {
		signer := must(jose.NewSigner(alg, "k"))
		var theirs gojose.JSONWebKeySet
		if err := json.Unmarshal(must(signer.PublicJWKS()), &theirs); err != nil {
			t.Fatal(alg, err)
		}
		raw := must(signer.Sign("", map[string]any{"sub": "x"}))
		parsed := must(gojose.ParseSignedCompact(raw, []gojose.SignatureAlgorithm{gojose.SignatureAlgorithm(alg)}))
		if _, err := parsed.Verify(theirs.Keys[0].Key); err != nil {
			t.Error(alg, err)
		}
	}
}
