package authn_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/authn"
	"github.com/sallyport/sallyport/gateway/jose"
)

// holder is a client with a key of its own for DPoP.
type holder struct {
	key    *ecdsa.PrivateKey
	jwk    map[string]any
	print  string // of the key
	header map[string]any
}

func newHolder(tb testing.TB) *holder {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	signer, err := jose.NewKeySigner("ES256", "", key)
	if err != nil {
		tb.Fatal(err)
	}
	published, err := signer.PublicJWKS()
	if err != nil {
		tb.Fatal(err)
	}
	var set struct{ Keys []map[string]any }
	if err := json.Unmarshal(published, &set); err != nil {
		tb.Fatal(err)
	}
	jwk := map[string]any{"kty": "EC", "crv": "P-256", "x": set.Keys[0]["x"], "y": set.Keys[0]["y"]}
	// RFC 7638, section 3: the required members in the order of their names.
	canonical := `{"crv":"P-256","kty":"EC","x":"` + jwk["x"].(string) + `","y":"` + jwk["y"].(string) + `"}`
	return &holder{key: key, jwk: jwk, print: hash(canonical), header: map[string]any{"typ": "dpop+jwt", "alg": "ES256", "jwk": jwk}}
}

func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// proof signs a DPoP proof for the request of bearing, with changes over its
// claims and header; nil takes one away.
func (h *holder) proof(tb testing.TB, token string, claims, header map[string]any) string {
	tb.Helper()
	c := map[string]any{
		"jti": rand.Text(), "htm": "GET", "htu": "https://app.example.test/api/items",
		"iat": time.Now().Unix(), "ath": hash(token),
	}
	maps.Copy(c, claims)
	hd := maps.Clone(h.header)
	maps.Copy(hd, header)
	encode := func(m map[string]any) string {
		maps.DeleteFunc(m, func(_ string, v any) bool { return v == nil })
		text, err := json.Marshal(m)
		if err != nil {
			tb.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(text)
	}
	input := encode(hd) + "." + encode(c)
	sum := sha256.Sum256([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, h.key, sum[:])
	if err != nil {
		tb.Fatal(err)
	}
	var sig [64]byte
	r.FillBytes(sig[:32])
	s.FillBytes(sig[32:])
	return input + "." + base64.RawURLEncoding.EncodeToString(sig[:])
}

func withProof(tb testing.TB, token string, proofs ...string) *http.Request {
	tb.Helper()
	r := bearing(tb, token)
	r.Header.Set("Authorization", "DPoP "+token)
	for _, p := range proofs {
		r.Header.Add("DPoP", p)
	}
	return r
}

func bound(o *op, replays *records) *authn.Bearer {
	return authn.NewBearer(authn.BearerOptions{
		Issuers: []authn.Issuer{o.issuer()}, CacheBytes: 1 << 20,
		Possession: authn.Possession{Scheme: "https", MaxAge: time.Minute, Replays: replays},
	})
}

func TestABoundTokenNeedsTheProofOfItsKey(t *testing.T) {
	o, h, thief := newOP(t), newHolder(t), newHolder(t)
	token := o.token(t, map[string]any{"cnf": map[string]any{"jkt": h.print}})
	free := o.token(t, nil)
	other := o.token(t, map[string]any{"jti": "t2", "cnf": map[string]any{"jkt": h.print}})
	claim := func(name string, v any) string { return h.proof(t, token, map[string]any{name: v}, nil) }
	head := func(name string, v any) string { return h.proof(t, token, nil, map[string]any{name: v}) }
	private := maps.Clone(h.jwk)
	private["d"] = "AAAA"

	const invalid = "invalid_dpop_proof"
	for name, c := range map[string]struct {
		r    *http.Request
		want string
	}{
		"with its proof":                    {withProof(t, token, h.proof(t, token, nil, nil)), ""},
		"htu with the default port":         {withProof(t, token, claim("htu", "https://APP.example.test:443/api/items")), ""},
		"htu with a query":                  {withProof(t, token, claim("htu", "https://app.example.test/api/items?y=2#z")), ""},
		"htu with a letter percent-encoded": {withProof(t, token, claim("htu", "https://app.example.test/%61pi/items")), ""},
		"as a bearer token":                 {bearing(t, token), "bound_token"},
		"as a bearer token, with a proof": {func() *http.Request {
			r := bearing(t, token)
			r.Header.Set("DPoP", h.proof(t, token, nil, nil))
			return r
		}(), "bound_token"},
		"without a proof":                     {withProof(t, token), invalid},
		"with two proofs":                     {withProof(t, token, h.proof(t, token, nil, nil), h.proof(t, token, nil, nil)), invalid},
		"with a proof by another key":         {withProof(t, token, thief.proof(t, token, nil, nil)), invalid},
		"with the key of the thief's header":  {withProof(t, token, head("jwk", thief.jwk)), invalid},
		"with a private key in the header":    {withProof(t, token, head("jwk", private)), invalid},
		"with a secret in the header":         {withProof(t, token, head("jwk", map[string]any{"kty": "oct", "k": "AAAA"})), invalid},
		"without a key in the header":         {withProof(t, token, head("jwk", nil)), invalid},
		"with a key id instead":               {withProof(t, token, h.proof(t, token, nil, map[string]any{"jwk": nil, "kid": "k1"})), invalid},
		"typ JWT":                             {withProof(t, token, head("typ", "JWT")), invalid},
		"no typ":                              {withProof(t, token, head("typ", nil)), invalid},
		"alg none":                            {withProof(t, token, head("alg", "none")), invalid},
		"alg HS256":                           {withProof(t, token, head("alg", "HS256")), invalid},
		"a critical header":                   {withProof(t, token, head("crit", []string{"x"})), invalid},
		"for another method":                  {withProof(t, token, claim("htm", "POST")), invalid},
		"for the method in lower case":        {withProof(t, token, claim("htm", "get")), invalid},
		"for no method":                       {withProof(t, token, claim("htm", nil)), invalid},
		"for another path":                    {withProof(t, token, claim("htu", "https://app.example.test/api/items/1")), invalid},
		"for an encoded slash":                {withProof(t, token, claim("htu", "https://app.example.test/api%2Fitems")), invalid},
		"for another host":                    {withProof(t, token, claim("htu", "https://other.example.test/api/items")), invalid},
		"for http":                            {withProof(t, token, claim("htu", "http://app.example.test/api/items")), invalid},
		"for another port":                    {withProof(t, token, claim("htu", "https://app.example.test:8443/api/items")), invalid},
		"for a path alone":                    {withProof(t, token, claim("htu", "/api/items")), invalid},
		"for no URL":                          {withProof(t, token, claim("htu", nil)), invalid},
		"for another token":                   {withProof(t, token, h.proof(t, other, nil, nil)), invalid},
		"for no token":                        {withProof(t, token, claim("ath", nil)), invalid},
		"from two minutes ago":                {withProof(t, token, claim("iat", time.Now().Add(-2*time.Minute).Unix())), invalid},
		"from the future":                     {withProof(t, token, claim("iat", time.Now().Add(2*time.Minute).Unix())), invalid},
		"without a time":                      {withProof(t, token, claim("iat", nil)), invalid},
		"without an id":                       {withProof(t, token, claim("jti", nil)), invalid},
		"with an id that is a number":         {withProof(t, token, claim("jti", 7)), invalid},
		"with a huge id":                      {withProof(t, token, claim("jti", string(make([]byte, 300)))), invalid},
		"the access token as its own proof":   {withProof(t, token, token), invalid},
		"rubbish":                             {withProof(t, token, "a.b.c"), invalid},
		"a token that is not bound":           {withProof(t, free, h.proof(t, free, nil, nil)), invalid},
		"a token that is not bound, no proof": {withProof(t, free), invalid},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := present(t, bound(o, &records{}), c.r)
			wantReason(t, err, c.want)
		})
	}
}

func TestAProofIsAcceptedOnce(t *testing.T) {
	o, h := newOP(t), newHolder(t)
	replays := &records{}
	b, neighbour := bound(o, replays), bound(o, replays) // two gateways over one store
	token := o.token(t, map[string]any{"cnf": map[string]any{"jkt": h.print}})
	proof := h.proof(t, token, nil, nil)
	_, err := present(t, b, withProof(t, token, proof))
	wantReason(t, err, "")
	for _, gateway := range []*authn.Bearer{b, neighbour} {
		_, err = present(t, gateway, withProof(t, token, proof))
		wantReason(t, err, "replayed_dpop_proof")
	}
	_, err = present(t, b, withProof(t, token, h.proof(t, token, nil, nil)))
	wantReason(t, err, "")

	// Whether it was used before can't be known: neither yes nor no.
	replays.mu.Lock()
	replays.down = true
	replays.mu.Unlock()
	_, err = present(t, b, withProof(t, token, h.proof(t, token, nil, nil)))
	wantReason(t, err, "outage")
	// A bad proof needs no store to be refused.
	_, err = present(t, b, withProof(t, token, newHolder(t).proof(t, token, nil, nil)))
	wantReason(t, err, "invalid_dpop_proof")
}

func TestForgedProofsWriteNothing(t *testing.T) {
	o, h, thief := newOP(t), newHolder(t), newHolder(t)
	replays := &records{}
	b := bound(o, replays)
	token := o.token(t, map[string]any{"cnf": map[string]any{"jkt": h.print}})
	for range 50 {
		_, err := present(t, b, withProof(t, token, thief.proof(t, token, nil, nil)))
		wantReason(t, err, "invalid_dpop_proof")
	}
	if len(replays.kept) > 0 {
		t.Errorf("%d records were written", len(replays.kept))
	}
}

func TestACertificateBoundTokenNeedsItsCertificate(t *testing.T) {
	o := newOP(t)
	own, foreign := []byte("certificate of the client"), []byte("certificate of the thief")
	sum := sha256.Sum256(own)
	token := o.token(t, map[string]any{"cnf": map[string]any{"x5t#S256": base64.RawURLEncoding.EncodeToString(sum[:])}})
	over := func(raw []byte) *http.Request {
		r := bearing(t, token)
		r.TLS = &tls.ConnectionState{}
		if raw != nil {
			r.TLS.PeerCertificates = []*x509.Certificate{{Raw: raw}}
		}
		return r
	}
	plain := bearing(t, token)
	plain.TLS = nil
	for name, c := range map[string]struct {
		r    *http.Request
		want string
	}{
		"with its certificate":    {over(own), ""},
		"with another":            {over(foreign), "bound_token"},
		"without one":             {over(nil), "bound_token"},
		"over a plain connection": {plain, "bound_token"},
		"with a header that says so": {func() *http.Request {
			r := bearing(t, token)
			r.Header.Set("Client-Cert", ":"+base64.StdEncoding.EncodeToString(own)+":")
			return r
		}(), "bound_token"},
	} {
		t.Run(name, func(t *testing.T) {
			b := bound(o, &records{})
			for range 2 { // proven, and from the cache
				_, err := present(t, b, c.r)
				wantReason(t, err, c.want)
			}
		})
	}
}

// What a token demands and nobody here can check must not be ignored.
func TestDemandsThatCanNotBeCheckedAreRefused(t *testing.T) {
	o, h := newOP(t), newHolder(t)
	for name, cnf := range map[string]any{
		"a key in full":         map[string]any{"jwk": h.jwk},
		"a key id":              map[string]any{"kid": "k1"},
		"a URL":                 map[string]any{"jku": "https://evil.example.test"},
		"something besides":     map[string]any{"jkt": h.print, "tbh": "x"},
		"nothing":               map[string]any{},
		"a short thumbprint":    map[string]any{"jkt": "x"},
		"a list of thumbprints": map[string]any{"jkt": []string{h.print}},
		"text":                  h.print,
		"a list":                []string{h.print},
		"false":                 false,
	} {
		t.Run(name, func(t *testing.T) {
			token := o.token(t, map[string]any{"cnf": cnf})
			_, err := present(t, bound(o, &records{}), withProof(t, token, h.proof(t, token, nil, nil)))
			wantReason(t, err, "bound_token")
		})
	}
	// Both demands: each must be met.
	sum := sha256.Sum256([]byte("own"))
	token := o.token(t, map[string]any{"cnf": map[string]any{"jkt": h.print, "x5t#S256": base64.RawURLEncoding.EncodeToString(sum[:])}})
	_, err := present(t, bound(o, &records{}), withProof(t, token, h.proof(t, token, nil, nil)))
	wantReason(t, err, "bound_token")
}

func TestTheProofDoesNotReachTheApplication(t *testing.T) {
	h := http.Header{"Authorization": {"DPoP a.b.c"}, "Dpop": {"x"}}
	authn.NewBearer(authn.BearerOptions{}).Strip(h)
	if len(h) > 0 {
		t.Errorf("the application would read %v", h)
	}
}
