package shield_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCookiesAreRenamedWhereTheyCanBe(t *testing.T) {
	s := raise(t, site, `mode: enforce, host_prefix: true, cookies: [{name: csrf, script: true}, {name: sso, keep_domain: true}, {name: old, insecure: true}, {name: as-is, untouched: true}]`)
	const hard = "; Secure; HttpOnly; SameSite=Lax"
	for in, want := range map[string][]string{
		"sid=1; Path=/":                     {"__Host-sid=1; Path=/" + hard},
		" sid=1; path=/":                    {"__Host-sid=1; path=/" + hard},
		"sid=1; Path=/; Domain=example.com": {"__Host-sid=1; Path=/" + hard, "sid=; Path=/; Domain=example.com; Max-Age=0"},
		"__Host-own=1; Path=/":              {"__Host-__Host-own=1; Path=/" + hard},
		"sid=1; Path=/app":                  {"sid=1; Path=/app" + hard},
		"sid=1; Path=/; Path=/app":          {"sid=1; Path=/; Path=/app" + hard},
		"sid=1":                             {"sid=1" + hard},
		"=nameless; Path=/":                 {"=nameless; Path=/" + hard},
		"nameless; Path=/":                  {"nameless; Path=/" + hard},
		"csrf=1; Path=/":                    {"csrf=1; Path=/; Secure; SameSite=Lax"},
		"sso=1; Path=/; Domain=example.com": {"sso=1; Path=/; Domain=example.com" + hard},
		"old=1; Path=/":                     {"old=1; Path=/; HttpOnly; SameSite=Lax"},
		"as-is=1; Path=/":                   {"as-is=1; Path=/"},
		// The gateway would take it for its own.
		"sp_theme=dark; Path=/": {"sp_theme=dark; Path=/" + hard},
		// Browsers refuse it when it grows.
		"big=" + strings.Repeat("x", 4090) + "; Path=/": {"big=" + strings.Repeat("x", 4090) + "; Path=/" + hard},
	} {
		if diff := cmp.Diff(want, s.set(in)); diff != "" {
			t.Errorf("%.60s: %s", in, diff)
		}
	}
	var not []string
	for _, f := range s.found() {
		if rest, ok := strings.CutPrefix(f, "cookie_not_renamed of "); ok {
			not = append(not, rest)
		}
	}
	if want := []string{": 2", "big: 1", "sid: 3", "sp_theme: 1"}; !slices.Equal(not, want) {
		t.Errorf("not renamed: %q, want %q", not, want)
	}
}

func TestRenamedCookiesComeBackUnderTheirNames(t *testing.T) {
	s := raise(t, site, `mode: enforce, host_prefix: true, cookies: [{name: csrf, script: true}, {name: __Host-js, script: true}]`)
	for in, want := range map[string]string{
		"__Host-sid=1":                      "sid=1",
		"a=1;__Host-sid=x=y; b=\"q r\"":     "a=1; sid=x=y; b=\"q r\"",
		"__Host-__Host-own=1":               "__Host-own=1",
		"a=1; b=2":                          "a=1; b=2",
		"a=1;b=2;;":                         "a=1;b=2;;", // nothing to do
		"__Host-=1":                         "__Host-=1",
		"__Host-csrf=1; csrf=2":             "__Host-csrf=1; csrf=2", // was never renamed
		"__Host-js=1":                       "__Host-js=1",
		"__host-sid=1":                      "__host-sid=1", // no prefix that browsers guard
		"__Host-sid=1; __Host-cart=2; c=3":  "sid=1; cart=2; c=3",
		"__Host-sid=1; __Host-sid=2":        "sid=1; sid=2",
		"x__Host-sid=1":                     "x__Host-sid=1",
		"__Host-__Host-sp=1; __Host-sid=2 ": "__Host-__Host-sp=1; sid=2", // would become the gateway's
	} {
		if got := s.sent(in); !slices.Equal(got, []string{want}) {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
	if got := s.sent("a=1", "__Host-sid=1", "sid=2; b=3"); !slices.Equal(got, []string{"a=1; sid=1; b=3"}) {
		t.Errorf("three lines became %q", got)
	}
}

// TestTossedCookieDoesNotReplaceARenamedOne (cookie tossing): another host of the
// site can set a plain cookie for this one, with a longer path so that it comes
// first, and applications take the first.
func TestTossedCookieDoesNotReplaceARenamedOne(t *testing.T) {
	s := raise(t, site, "mode: enforce, host_prefix: true")
	for _, in := range []string{
		"sid=evil; __Host-sid=1", "__Host-sid=1; sid=evil", "sid=evil; sid=evil2;__Host-sid=1;sid", "=sid=evil; __Host-sid=1", "sid =evil; __Host-sid=1", "sid; __Host-sid=1",
	} {
		if got := s.sent(in); !slices.Equal(got, []string{"sid=1"}) {
			t.Errorf("%q became %q", in, got)
		}
	}
	// Over HTTP/2 each comes in a line of its own.
	if got := s.sent("sid=evil", "__Host-sid=1", "sid=evil"); !slices.Equal(got, []string{"sid=1"}) {
		t.Errorf("became %q", got)
	}
}

// TestWhatWasSetComesBack: for every cookie of an application, the browser sends
// back what the application has set.
func TestWhatWasSetComesBack(t *testing.T) {
	s := raise(t, site, `mode: enforce, host_prefix: true, cookies: [{name: "js-*", script: true}]`)
	for _, pair := range []string{"sid=1", "__Host-own=1", "__Secure-x=2", "js-a=1", "__Host-__Host-twice=3", "a=\"x y\"", "sp_theme=dark", "n=", "__Host-js-a=4"} {
		stored, _, _ := strings.Cut(s.set(pair + "; Path=/; Secure")[0], ";")
		if got := s.sent(stored); !slices.Equal(got, []string{pair}) {
			t.Errorf("%s was stored as %s, and came back as %q", pair, stored, got)
		}
	}
}
