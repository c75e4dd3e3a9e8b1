package jose_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"testing"

	"github.com/c2sp/wycheproof"

	"github.com/sallyport/sallyport/gateway/jose"
)

// vectorGroup is a key, or a key set, and tokens that claim to be signed by it.
type vectorGroup struct {
	Public  json.RawMessage
	Private json.RawMessage // where Public is missing: a secret, or what a server should not publish
	Tests   []struct {
		ID      int `json:"tcId"`
		Comment string
		JWS     json.RawMessage // a text, or the object of the JSON serialisation
		JWE     json.RawMessage
		Result  string
	}
}

func vectorsOf(t testing.TB, file string) []vectorGroup {
	t.Helper()
	data, err := fs.ReadFile(wycheproof.TestVectors, file+"_test.json")
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		NumberOfTests int
		TestGroups    []vectorGroup
	}
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, g := range all.TestGroups {
		n += len(g.Tests)
	}
	if n == 0 || n != all.NumberOfTests {
		t.Fatalf("%s: %d vectors were read, %d are said to be there", file, n, all.NumberOfTests)
	}
	return all.TestGroups
}

// keys is the group's key as a gateway knows it: one secret is a configured
// secret, anything else a published key set.
func (g vectorGroup) keys(t *testing.T) *jose.KeySet {
	t.Helper()
	from := g.Public
	if from == nil {
		from = g.Private
	}
	var set struct{ Keys []json.RawMessage }
	if err := json.Unmarshal(from, &set); err != nil {
		t.Fatal(err)
	}
	if set.Keys == nil {
		set.Keys = []json.RawMessage{from}
	}
	var only struct{ Kty, K, Alg string }
	if err := json.Unmarshal(set.Keys[0], &only); err != nil {
		t.Fatal(err)
	}
	if len(set.Keys) == 1 && only.Kty == "oct" {
		return secretOf(only.K, only.Alg)
	}
	published, _, err := jose.ParseKeySet(must(json.Marshal(map[string]any{"keys": set.Keys})))
	if err != nil {
		t.Fatal(err)
	}
	return published
}

// secretOf is a secret as the configuration takes it, for one algorithm; nil
// where it does not take it.
func secretOf(k, alg string) *jose.KeySet {
	set, err := jose.SecretKeySet(must(base64.RawURLEncoding.DecodeString(k)))
	if err != nil || !set.Supports(alg) {
		return nil
	}
	return set
}

// disputes are the vectors on which this package and Wycheproof differ, with
// the reason. Everything else must be as it is written there.
func disputes() map[string]string {
	const (
		empty  = "valid there; a token without a payload says nothing about anybody"
		label  = "valid there; the key's alg is not the algorithm of the token (or none at all: ES521), and a key proves only what it says it is for"
		twin   = "invalid there; letter by letter the same token as vector 357, which is valid"
		dirty  = "valid there; characters that are not base64url are refused and not skipped (RFC 7515 section 2)"
		cipher = "valid there; an encrypted token proves nothing, and is refused unread"
		shared = "valid there; an issuer has one secret, and secrets in a key set are left out"
	)
	return map[string]string{
		"json_web_signature 259": empty, "json_web_signature 264": empty, "json_web_signature 268": empty,
		"json_web_signature 272": empty, "json_web_signature 320": empty, "json_web_signature 325": empty,
		"json_web_signature 346": label, "json_web_signature 347": label, "json_web_signature 350": label, "json_web_signature 351": label,
		"json_web_signature 367": twin, "json_web_signature 370": twin,
		"json_web_signature 372": dirty, "json_web_signature 373": dirty,
		"json_web_crypto 48": shared, "json_web_crypto 50": cipher, "json_web_crypto 67": cipher,
		"json_web_key 2": shared,
	}
}

// The vectors of project Wycheproof, with the group's key as the only trusted
// one. They sign text, so the signature is judged without the claims; with them,
// every one of these tokens is refused.
func TestWycheproofVectors(t *testing.T) {
	open := disputes()
	for _, file := range []string{"json_web_signature", "json_web_crypto", "json_web_key"} {
		accepted := 0
		for _, g := range vectorsOf(t, file) {
			keys := g.keys(t)
			for _, v := range g.Tests {
				name := fmt.Sprintf("%s %d", file, v.ID)
				raw := string(slices.Concat(v.JWS, v.JWE))
				var text string
				if json.Unmarshal([]byte(raw), &text) == nil {
					raw = text
				}
				err := jose.ProveSignature(raw, keys)
				if err != nil {
					wantRefused(t, err, "")
				} else {
					accepted++
				}
				if agree := (err == nil) == (v.Result == "valid"); !agree {
					if _, known := open[name]; !known {
						t.Errorf("%s (%s) is %s, and here: %v", name, v.Comment, v.Result, err)
					}
					delete(open, name)
				}
				if _, err := prove(raw, keys); err == nil {
					t.Errorf("%s (%s): a payload that is no claims is accepted", name, v.Comment)
				}
			}
		}
		if accepted == 0 {
			t.Errorf("%s: nothing was accepted, so nothing was compared", file)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(open)) {
		t.Errorf("%s is as it is written there: it is not in dispute", name)
	}
}

// CVE-2017-15361: the private half of such a key can be computed, so it proves
// nothing.
func TestKeysOfABrokenGeneratorAreLeftOut(t *testing.T) {
	for _, file := range []string{"json_web_crypto", "json_web_key"} {
		found := false
		for _, g := range vectorsOf(t, file) {
			if g.Tests[0].Comment != "rejectsKeyWithRocaVulnerability" {
				continue
			}
			found = true
			if n := g.keys(t).Len(); n != 0 {
				t.Errorf("%s: %d keys can be used", file, n)
			}
		}
		if !found {
			t.Errorf("%s has no such key any more", file)
		}
	}
}
