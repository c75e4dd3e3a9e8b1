package config

import (
	"fmt"
	"slices"
	"time"
)

const (
	maxAssertionLifetime = time.Minute
	maxExchangeLifetime  = time.Hour
)

// assertions checks what the gateway signs: assertions for applications and
// tokens that sessions are exchanged for. What the key files hold is read when
// the gateway is built.
func (k *checker) assertions() {
	const at = "assertions"
	a := k.Assertions
	k.oneOf(at+".algorithm", a.Algorithm, "ES256", "EdDSA")
	if len(a.KeysFiles) > 0 && k.given(at+".algorithm") {
		k.fault(at+".algorithm", "does not apply beside keys_files, where the first key decides", "remove one of the two")
	}
	k.between(at+".lifetime", a.Lifetime, maxAssertionLifetime, "write how long an application may take to judge it, such as 60s")
	for i, name := range a.KeysFiles {
		path := item(at+".keys_files", i)
		if name == "" {
			k.fault(path, "is empty", "name a file with a private key in PEM, as `sallyport keys generate` prints it")
		}
		if slices.Index(a.KeysFiles, name) < i {
			k.fault(path, "is listed twice", "keep one of them")
		}
		k.file(path, name)
	}
	k.exchange()
	for i, r := range k.Routes {
		k.routeAssertion(item("routes", i), r)
	}
}

func (k *checker) exchange() {
	const at = "tokens.exchange"
	x := k.Tokens.Exchange
	k.between(at+".lifetime", x.Lifetime, maxExchangeLifetime, "write how long a token is worth something after its session was ended, such as 5m")
	if x.Enabled && len(x.Audiences) == 0 {
		k.missing(at+".audiences", "is missing or empty, while the exchange is enabled", "write audiences: [NAME], the APIs that the tokens are for; the first is the default")
	}
	for i, audience := range x.Audiences {
		path := item(at+".audiences", i)
		if !isAudience(audience) {
			k.fault(path, fmt.Sprintf("%q is not an audience", shorten(audience)), "write a name or a URL without spaces, such as api")
		}
		if slices.Index(x.Audiences, audience) < i {
			k.fault(path, "is listed twice", "keep one of them")
		}
	}
}

func (k *checker) routeAssertion(at string, r Route) {
	switch {
	case r.Assertion && r.Public:
		k.fault(at+".assertion", "a public route proves nobody, so there is nothing to assert", "remove it, or remove public: true")
	case r.Audience != "" && !r.Assertion:
		k.fault(at+".audience", "does not apply without assertion: true", "add assertion: true, or remove it; token_audiences narrows the tokens that are accepted")
	case r.Audience != "" && !isAudience(r.Audience):
		k.fault(at+".audience", fmt.Sprintf("%q is not an audience", shorten(r.Audience)), "write a name or a URL without spaces, such as app")
	}
}

// between wants 1 s to longest.
func (k *checker) between(path string, d, longest time.Duration, fix string) {
	if d < time.Second || d > longest {
		k.fault(path, fmt.Sprintf("%s is not between 1s and %s", d, longest), fix)
	}
}

// isAudience accepts what fits the StringOrURI of RFC 7519, section 2, without
// what nobody would mean.
func isAudience(s string) bool { return isOneWord(s) && s != "" && len(s) <= 255 }
