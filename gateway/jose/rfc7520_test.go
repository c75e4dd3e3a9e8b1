package jose_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/jose"
)

// The signatures of RFC 7520 section 4, made with the keys of section 3. The
// payload is a sentence of a novel, which no token for a gateway has: the
// signature is good, and the token is refused all the same.
func TestRFC7520Vectors(t *testing.T) {
	figures := rfc7520(t)
	for section, figure := range map[string]string{
		"4.1 RS256": "Figure13", "4.2 PS384": "Figure20", "4.3 ES512": "Figure27", "4.4 HS256": "Figure35",
	} {
		t.Run(section, func(t *testing.T) {
			v, ok := figures[figure]
			if !ok {
				t.Fatal("there is no such vector")
			}
			if err := jose.ProveSignature(v.raw, v.keys); err != nil {
				t.Error("the signature:", err)
			}
			_, err := jose.Parse(v.raw)
			wantRefused(t, err, jose.MalformedClaims)

			// Nothing but that key and those bytes.
			head, rest, _ := strings.Cut(v.raw, ".")
			payload, signature, _ := strings.Cut(rest, ".")
			wantRefused(t, jose.ProveSignature(head+"."+b64("another sentence")+"."+signature, v.keys), jose.BadSignature)
			for other, o := range figures {
				// Sections 4.1 and 4.2 have one RSA key between them.
				if own := figure == other || figure+other == "Figure13Figure20" || figure+other == "Figure20Figure13"; own {
					continue
				}
				if jose.ProveSignature(v.raw, o.keys) == nil {
					t.Errorf("the key of %s proves it", other)
				}
			}

			// The serialisations of sections 4.5 (detached), 4.6 (flattened) and 4.8
			// (general).
			for name, raw := range map[string]string{
				"detached":  head + ".." + signature,
				"flattened": fmt.Sprintf(`{"payload":%q,"protected":%q,"signature":%q}`, payload, head, signature),
				"general":   fmt.Sprintf(`{"payload":%q,"signatures":[{"protected":%q,"signature":%q}]}`, payload, head, signature),
			} {
				_, err := jose.Parse(raw)
				wantRefused(t, err, jose.MalformedToken)
				if jose.ProveSignature(raw, v.keys) == nil {
					t.Errorf("the %s serialisation is accepted", name)
				}
			}
		})
	}
}

type rfcFigure struct {
	raw  string
	keys *jose.KeySet
}

// rfc7520 takes the tokens and keys from Wycheproof, which has them with labels
// that the RFC does not give them: section 3 names no algorithm for any key but
// the secret.
func rfc7520(t *testing.T) map[string]rfcFigure {
	t.Helper()
	figures := map[string]rfcFigure{}
	for _, g := range vectorsOf(t, "json_web_signature") {
		name := g.Tests[0].Comment
		if !strings.HasPrefix(name, "Figure") {
			continue
		}
		var raw string
		if err := json.Unmarshal(g.Tests[0].JWS, &raw); err != nil {
			t.Fatal(err)
		}
		if g.Public == nil {
			figures[name] = rfcFigure{raw, g.keys(t)}
			continue
		}
		var key map[string]any
		if err := json.Unmarshal(g.Public, &key); err != nil {
			t.Fatal(err)
		}
		delete(key, "alg")
		keys, dropped, err := jose.ParseKeySet(jwks(key))
		if err != nil || dropped != 0 {
			t.Fatal(name, dropped, err)
		}
		figures[name] = rfcFigure{raw, keys}
	}
	return figures
}
