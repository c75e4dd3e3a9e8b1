package headers_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/headers"
	"github.com/sallyport/sallyport/gateway/identity"
)

// How an application behind CGI would see a header name.
func environment(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z':
			return r - ('a' - 'A')
		case 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
			return r
		}
		return -1
	}, name)
}

func drawSpelling(t *rapid.T, names []string) string {
	name := rapid.SampledFrom(names).Draw(t, "name")
	var b strings.Builder
	for _, c := range []byte(name) {
		switch {
		case c == '-':
			b.WriteString(rapid.SampledFrom([]string{"-", "_", ".", "", "--", "~"}).Draw(t, "separator"))
		case rapid.Bool().Draw(t, "upper"):
			b.WriteString(strings.ToUpper(string(c)))
		default:
			b.WriteString(strings.ToLower(string(c)))
		}
	}
	return b.String()
}

func drawIdentity(t *rapid.T) *identity.Identity {
	text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[ -~]{0,8}`))
	return &identity.Identity{
		Subject: text.Filter(func(s string) bool { return s != "" }).Draw(t, "sub"), Email: text.Draw(t, "email"), EmailVerified: rapid.Bool().Draw(t, "verified"),
		PreferredUsername: text.Draw(t, "username"), Groups: rapid.SliceOfN(text, 0, 5).Draw(t, "groups"),
		Claims: identity.MapClaims{"team": rapid.SampledFrom([]any{nil, "x", "a\r\nb", 1.0, []any{"a", "b,c"}, map[string]any{}}).Draw(t, "team")},
	}
}

func TestEachIdentityHeaderArrivesOnceOrNotAtAll(t *testing.T) {
	s := compile(t, config.Header{Name: "Team-Name", Claim: "team"}, config.Header{Name: "X-Forwarded-Email", Claim: "email", Encoding: "base64"})
	ours := s.Names()
	rapid.Check(t, func(t *rapid.T) {
		id, h := drawIdentity(t), http.Header{"Accept": {"*/*"}}
		for range rapid.IntRange(0, 8).Draw(t, "forged") {
			h[drawSpelling(t, ours)] = rapid.SliceOfN(rapid.Just("forged"), 1, 3).Draw(t, "values")
		}
		p, err := s.Prepare(id)
		if err != nil {
			t.Fatal(err)
		}
		s.Strip(h)
		p.Apply(h)

		want := map[string]string{}
		p.Each(func(name, value string) { want[environment(name)] = value })
		seen := map[string]int{}
		for name, values := range h {
			seen[environment(name)] += len(values)
			for _, v := range values {
				if v == "forged" {
					t.Fatalf("%s: forged value arrived", name)
				}
				if strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r > '~' }) || strings.TrimSpace(v) != v {
					t.Fatalf("%s: %q cannot stand in a header", name, v)
				}
			}
		}
		for _, name := range ours {
			times := 0
			if _, set := want[environment(name)]; set {
				times = 1
			}
			if seen[environment(name)] != times {
				t.Fatalf("%s arrived %d times, want %d: %v", name, seen[environment(name)], times, h)
			}
		}
		if h.Get("Accept") != "*/*" {
			t.Fatal("an ordinary header was lost")
		}
	})
}

func TestEncodedListsDecodeToTheList(t *testing.T) {
	for _, join := range []string{",", ";", " ", ", ", "|", "--", "#"} {
		s := compile(t, config.Header{Name: "X-List", Claim: "groups", Join: join})
		rapid.Check(t, func(t *rapid.T) {
			items := rapid.SliceOfN(rapid.OneOf(
				rapid.StringN(1, 10, -1), rapid.StringMatching(`[,; |#%a2C-]{1,6}`), rapid.Map(rapid.SliceOfN(rapid.Byte(), 1, 6), func(b []byte) string { return string(b) }),
			), 1, 6).Draw(t, "items")
			p, err := s.Prepare(&identity.Identity{Subject: "x", Groups: items})
			if err != nil {
				t.Fatal(err)
			}
			h := http.Header{}
			p.Apply(h)
			parts := strings.Split(h.Get("X-List"), join)
			got := make([]string, len(parts))
			for i, part := range parts {
				if got[i], err = url.PathUnescape(part); err != nil {
					t.Fatal(err)
				}
			}
			if !slices.Equal(got, items) {
				t.Fatalf("%q came back as %q by way of %q", items, got, h.Get("X-List"))
			}
		})
	}
}

func TestCookiesOfTheApplicationSurviveAnyMixture(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var sent, theirs []string
		for range rapid.IntRange(1, 8).Draw(t, "cookies") {
			c := rapid.SampledFrom([]string{"a=1", `b="x y"`, "c=d=e", "__Host-sp=s", "__Host-sp_login=n", "sp="}).Draw(t, "cookie")
			sent = append(sent, c)
			if name, _, _ := strings.Cut(c, "="); !isGateway(name) {
				theirs = append(theirs, c)
			}
		}
		cut := rapid.IntRange(0, len(sent)).Draw(t, "cut")
		h := http.Header{"Cookie": {strings.Join(sent[:cut], "; "), strings.Join(sent[cut:], ";")}}
		headers.StripCookies(h, isGateway)
		if got := h.Get("Cookie"); got != strings.Join(theirs, "; ") {
			t.Fatalf("%q became %q", sent, got)
		}
	})
}
