package headers_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/gateway/headers"
)

func isGateway(name string) bool {
	return name == "__Host-sp" || name == "sp" || name == "__Host-sp_login" || strings.HasPrefix(name, "__Host-sp_state_")
}

func TestStripCookies(t *testing.T) {
	tests := map[string]struct {
		lines []string
		want  []string
	}{
		"no cookies":                             {nil, nil},
		"only the application's":                 {[]string{"a=1; b=2"}, []string{"a=1; b=2"}},
		"odd but not ours: left as sent":         {[]string{";a=1;;  b = 2 ; "}, []string{";a=1;;  b = 2 ; "}},
		"only the gateway's":                     {[]string{"__Host-sp=x"}, nil},
		"only the gateway's, twice":              {[]string{"__Host-sp=x; __Host-sp=y"}, nil},
		"the gateway's among others":             {[]string{`a=1; __Host-sp=x; b="x y"; c=d=e; __Host-sp_state_1=y`}, []string{`a=1; b="x y"; c=d=e`}},
		"first":                                  {[]string{"__Host-sp=x; a=1"}, []string{"a=1"}},
		"last":                                   {[]string{"a=1; __Host-sp=x"}, []string{"a=1"}},
		"without spaces":                         {[]string{"a=1;__Host-sp=x;b=2"}, []string{"a=1; b=2"}},
		"with an empty element":                  {[]string{"a=1; ; __Host-sp=x;; b=2;"}, []string{"a=1; b=2"}},
		"with spaces around the name":            {[]string{"a=1;\t __Host-sp =x"}, []string{"a=1"}},
		"without a value":                        {[]string{"__Host-sp; a=1"}, []string{"a=1"}},
		"behind an equals sign":                  {[]string{"==__Host-sp=x; a=1"}, []string{"a=1"}},
		"in a quoted value":                      {[]string{`a="1; __Host-sp=x; b"`}, []string{`a="1; b"`}},
		"several lines":                          {[]string{"a=1; __Host-sp=x", "__Host-sp=y", "b=2"}, []string{"a=1; b=2"}},
		"several lines, nothing of ours":         {[]string{"a=1", "b=2;c=3"}, []string{"a=1; b=2; c=3"}},
		"several empty lines":                    {[]string{"", ";"}, nil},
		"a name that only begins like ours":      {[]string{"__Host-spx=1; sp2=1"}, []string{"__Host-spx=1; sp2=1"}},
		"bytes that are no cookie stay bytes":    {[]string{"\xff=\x80; __Host-sp=x; b\x01"}, []string{"\xff=\x80; b\x01"}},
		"a name in other letter case is another": {[]string{"__HOST-SP=1"}, []string{"__HOST-SP=1"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h := http.Header{"Accept": {"x"}}
			if tt.lines != nil {
				h["Cookie"] = slices.Clone(tt.lines)
			}
			headers.StripCookies(h, isGateway)
			if diff := cmp.Diff(tt.want, h["Cookie"]); diff != "" {
				t.Error(diff)
			}
			if _, ok := h["Cookie"]; ok != (tt.want != nil) {
				t.Error("an empty Cookie header is left")
			}
		})
	}
}

// net/http reads no cookie at all from a request with more than 3000, while the
// header would still be forwarded.
func TestFloodOfCookiesDoesNotHideTheGateways(t *testing.T) {
	var b strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&b, "c%d=x; ", i)
	}
	h := http.Header{"Cookie": {b.String() + "__Host-sp=secret"}}
	headers.StripCookies(h, isGateway)
	if got := h.Get("Cookie"); strings.Contains(got, "secret") || strings.Count(got, ";") != 4999 {
		t.Error("the session cookie went upstream, or others were lost")
	}
}

func TestStripCookiesDoesNotChangeSharedSlices(t *testing.T) {
	in := http.Header{"Cookie": {"a=1; __Host-sp=x; b=2"}}
	out := http.Header{"Cookie": in["Cookie"]}
	headers.StripCookies(out, isGateway)
	if got := in.Get("Cookie"); got != "a=1; __Host-sp=x; b=2" {
		t.Errorf("the inbound request now says %q", got)
	}
}

func TestStripCookiesAllocations(t *testing.T) {
	for line, limit := range map[string]float64{
		"a=1; b=2; c=3":                     0,
		"__Host-sp=x":                       0,
		"__Host-sp=x; __Host-sp_login=y":    0,
		"a=1; __Host-sp=x":                  1,
		"a=1; __Host-sp=x; b=2; c=3; d=4;;": 2,
	} {
		lines, h := []string{line}, http.Header{}
		if got := testing.AllocsPerRun(100, func() {
			h["Cookie"] = lines
			headers.StripCookies(h, isGateway)
		}); got > limit {
			t.Errorf("%s: %v allocations, want at most %v", line, got, limit)
		}
	}
}

// An application could fixate or end sessions if it could write the gateway's
// cookies. A nameless cookie whose value looks like one comes back as one.
func TestUpstreamCannotWriteGatewayCookies(t *testing.T) {
	own := []string{
		"__Host-sp=evil; Path=/; Secure", "__Host-sp=; Max-Age=0", "__HOST-sp=evil", "__host-SP=evil", "sp=evil; Domain=example.test", "SP=evil",
		" __Host-sp = evil", "\t__Host-sp=evil", "=__Host-sp=evil", "= =sp=evil", "__Host-sp", "sp; Path=/", "__Host-sp_state_1=x",
		"__HOST-SP_LOGIN=x",
	}
	for _, line := range own {
		h := http.Header{"Set-Cookie": {line}}
		headers.DropSetCookies(h, isGateway)
		if _, left := h["Set-Cookie"]; left {
			t.Errorf("%q stays", line)
		}
	}
	theirs := []string{"app=1", "JSESSIONID=x; Path=/; HttpOnly", "a=__Host-sp=x", "a=1; Path=/; sp=x", "spa=1", ""}
	h := http.Header{"Set-Cookie": {theirs[0], own[0], theirs[1], theirs[2], own[2], own[4], theirs[3], theirs[4], theirs[5]}}
	before := slices.Clone(h["Set-Cookie"])
	shared := h["Set-Cookie"]
	headers.DropSetCookies(h, isGateway)
	if diff := cmp.Diff(theirs, h["Set-Cookie"]); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(before, shared); diff != "" {
		t.Errorf("a shared slice changed: %s", diff)
	}
}

func FuzzStripCookies(f *testing.F) {
	f.Add("a=1; __Host-sp=x; b=2", "")
	f.Add("; ;sp;=sp=1", "__Host-sp=1;")
	f.Add(`a="x;sp=1"`, "sp=1")
	f.Fuzz(func(t *testing.T, one, two string) {
		lines := []string{one}
		if two != "" {
			lines = append(lines, two)
		}
		h := http.Header{"Cookie": slices.Clone(lines)}
		headers.StripCookies(h, isGateway)
		left := h["Cookie"]
		if len(left) > 1 {
			t.Fatalf("several lines left: %q", left)
		}
		for _, line := range left {
			cookies, err := http.ParseCookie(line)
			for _, c := range cookies {
				if err == nil && isGateway(c.Name) {
					t.Fatalf("%q: %s is left", lines, c.Name)
				}
			}
		}
		// Every other element arrives as it was, in the order it was in.
		elements := func(lines []string) (kept []string) {
			for _, line := range lines {
				for part := range strings.SplitSeq(line, ";") {
					name, _, _ := strings.Cut(strings.TrimLeft(strings.Trim(part, " \t"), "= \t"), "=")
					if part = strings.Trim(part, " \t"); part != "" && !isGateway(strings.Trim(name, " \t")) {
						kept = append(kept, part)
					}
				}
			}
			return kept
		}
		if diff := cmp.Diff(elements(lines), elements(left)); diff != "" {
			t.Fatalf("%q: %s", lines, diff)
		}
		again := http.Header{"Cookie": slices.Clone(left)}
		if headers.StripCookies(again, isGateway); left != nil && !slices.Equal(again["Cookie"], left) {
			t.Fatalf("%q: a second pass changes %q to %q", lines, left, again["Cookie"])
		}
	})
}

func FuzzDropSetCookies(f *testing.F) {
	f.Add("__Host-sp=x; Path=/", "app=1")
	f.Add("=sp=1", "SP")
	f.Fuzz(func(t *testing.T, one, two string) {
		h := http.Header{"Set-Cookie": {one, two}}
		headers.DropSetCookies(h, isGateway)
		left := h["Set-Cookie"]
		for _, line := range left {
			if line != one && line != two {
				t.Fatalf("%q was changed", line)
			}
			if c, err := http.ParseSetCookie(line); err == nil && isGateway(strings.ToLower(c.Name)) {
				t.Fatalf("%q sets %s", line, c.Name)
			}
		}
		plain := http.Header{"Set-Cookie": {"a=" + strings.ReplaceAll(one, "\n", ""), two}}
		headers.DropSetCookies(plain, isGateway)
		if len(plain["Set-Cookie"]) == 0 {
			t.Fatalf("a cookie called a with the value %q was dropped", one)
		}
	})
}
