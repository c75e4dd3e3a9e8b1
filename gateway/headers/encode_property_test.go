package headers_test

import (
	"encoding/base64"
	"encoding/json"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/headers"
	"github.com/sallyport/sallyport/gateway/identity"
)

func encodings() []string { return []string{"percent", "utf8", "base64", "rfc2047", "json"} }

// nasty are texts that somebody would choose who wants to say something else in
// the gateway's name.
func nasty() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.String(),
		rapid.StringMatching(`[ -~]{0,12}`),
		rapid.StringMatching(`[,; |#%a2C"\\=?_-]{0,10}`),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 60), func(b []byte) string { return string(b) }),
		rapid.SampledFrom([]string{
			"alice\r\nX-Forwarded-Groups: admin", "alice\rX: y", "a\nb", "a\x00b", "a\u0085b", "a\u2028b", "a\u2029b", "\ufeffa", "\u202eadmin", "a\tb", " a ", "\u00a0a",
			"a,admin", `users","admin`, "a%2Cadmin", "=?utf-8?q?a=2Cadmin?=", "Özdemir", "Fábian", "👩‍💻", "한국어", strings.Repeat("ö", 100), "\x7f", "a\xffb", "\u0000",
		}),
	)
}

// line is the value of the one header of a rule, "" where it is absent, the way an
// application gets it. It fails for what can't stand in a header line.
func line(t *rapid.T, s *headers.Set, id *identity.Identity, encoding string) (string, bool) {
	p, err := s.Prepare(id)
	if err != nil {
		t.Fatal(err)
	}
	h := http.Header{}
	p.Apply(h)
	got := h["X-Test"]
	if len(got) == 0 {
		return "", false
	}
	if len(got) > 1 {
		t.Fatalf("several lines: %q", got)
	}
	v := got[0]
	bad := func(c rune) bool { return c < ' ' || c > '~' }
	if encoding == "utf8" {
		bad = func(c rune) bool { return !unicode.IsPrint(c) && c != '\u200c' && c != '\u200d' }
	}
	if strings.ContainsFunc(v, bad) || !utf8.ValidString(v) {
		t.Fatalf("%q as %s cannot stand in a header", v, encoding)
	}
	if strings.TrimSpace(v) != v || v == "" {
		t.Fatalf("%q as %s loses its ends, or is nothing", v, encoding)
	}
	return v, true
}

// decoded is what an application makes of a single value.
func decoded(t *rapid.T, v, encoding string) string {
	var out string
	var err error
	switch encoding {
	case "percent", "utf8":
		out, err = url.PathUnescape(v)
	case "base64":
		var b []byte
		b, err = base64.StdEncoding.DecodeString(v)
		out = string(b)
	case "rfc2047":
		out, err = new(mime.WordDecoder).DecodeHeader(v)
	case "json":
		err = json.Unmarshal([]byte(v), &out)
	}
	if err != nil {
		t.Fatalf("%q as %s: %v", v, encoding, err)
	}
	return out
}

// TestNoTextEndsItsHeaderLine (CVE-2023-27493), whatever a provider lets people call
// themselves, and every text comes back as it was.
func TestNoTextEndsItsHeaderLine(t *testing.T) {
	for _, encoding := range encodings() {
		s := compile(t, config.Header{Name: "X-Test", Claim: "name", Encoding: encoding})
		rapid.Check(t, func(t *rapid.T) {
			name := nasty().Draw(t, "name")
			v, sent := line(t, s, &identity.Identity{Subject: "x", Name: name}, encoding)
			if !sent {
				if name != "" && (encoding != "json" || utf8.ValidString(name)) {
					t.Fatalf("%q was not sent", name)
				}
				return
			}
			if encoding == "rfc2047" && !utf8.ValidString(name) {
				return // it is one line, and what words of broken UTF-8 mean is for the decoder to say
			}
			if got := decoded(t, v, encoding); got != name {
				t.Fatalf("%q came back as %q by way of %q", name, got, v)
			}
		})
	}
}

// TestNoItemIsTakenForTwo: however groups are called, an application that decodes
// and one that only splits find as many as there are.
func TestNoItemIsTakenForTwo(t *testing.T) {
	for _, encoding := range encodings() {
		for _, join := range []string{",", ";", " | "} {
			s := compile(t, config.Header{Name: "X-Test", Claim: "groups", Encoding: encoding, Join: join})
			rapid.Check(t, func(t *rapid.T) {
				groups := rapid.SliceOfN(nasty().Filter(func(s string) bool { return s != "" && utf8.ValidString(s) }), 1, 5).Draw(t, "groups")
				v, sent := line(t, s, &identity.Identity{Subject: "x", Groups: groups}, encoding)
				if !sent {
					t.Fatal("nothing was sent")
				}
				if encoding == "json" {
					var got []string
					if err := json.Unmarshal([]byte(v), &got); err != nil || !slices.Equal(got, groups) {
						t.Fatalf("%q came back as %q, %v", groups, got, err)
					}
					return
				}
				if encoding == "base64" || encoding == "rfc2047" {
					v = decoded(t, v, encoding)
				}
				parts := strings.Split(v, join)
				if join != "," && strings.Contains(v, ",") {
					t.Fatalf("%q has a comma that is no separator", v)
				}
				var got []string
				for _, part := range parts {
					one, err := url.PathUnescape(part)
					if err != nil {
						t.Fatal(err)
					}
					got = append(got, one)
				}
				if diff := cmp.Diff(groups, got); diff != "" {
					t.Fatalf("by way of %q: %s", v, diff)
				}
			})
		}
	}
}

// TestAnyClaimAsJSONIsOneLineOfASCII, and the same claim again for whoever parses it.
func TestAnyClaimAsJSONIsOneLineOfASCII(t *testing.T) {
	s := compile(t, config.Header{Name: "X-Test", Claim: "claim", Encoding: "json"})
	var value func(depth int) *rapid.Generator[any]
	value = func(depth int) *rapid.Generator[any] {
		scalars := []*rapid.Generator[any]{
			rapid.Map(nasty(), func(s string) any { return strings.ToValidUTF8(s, "?") }), rapid.Just[any](nil), rapid.Map(rapid.Bool(), func(b bool) any { return b }),
			rapid.Map(rapid.Float64Range(-1e15, 1e15), func(f float64) any { return f }),
		}
		if depth == 0 {
			return rapid.OneOf(scalars...)
		}
		inner := value(depth - 1)
		names := rapid.Map(nasty(), func(s string) string { return strings.ToValidUTF8(s, "?") })
		return rapid.OneOf(append(
			scalars,
			rapid.Map(rapid.SliceOfN(inner, 0, 4), func(l []any) any { return l }),
			rapid.Map(rapid.MapOfN(names, inner, 0, 4), func(m map[string]any) any { return m }),
		)...)
	}
	rapid.Check(t, func(t *rapid.T) {
		want := value(3).Draw(t, "claim")
		v, sent := line(t, s, &identity.Identity{Subject: "x", Claims: identity.MapClaims{"claim": want}}, "json")
		if !sent {
			if b, _ := json.Marshal(want); !slices.Contains([]string{"null", `""`, "[]", "{}"}, string(b)) {
				t.Fatalf("%s was not sent", b)
			}
			return
		}
		var got any
		if err := json.Unmarshal([]byte(v), &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("by way of %s: %s", v, diff)
		}
	})
}
