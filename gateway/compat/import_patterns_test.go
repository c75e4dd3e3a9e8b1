package compat

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestPathsAreConvertedToWhatTheyMeant(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		paths    []string
		narrowed bool
	}{
		`^/probe$`:               {paths: []string{"=/probe"}},
		`^/probe`:                {paths: []string{"~^/probe.*"}},
		`/probe$`:                {[]string{"=/probe"}, true},
		`/public/`:               {[]string{"~^/public/.*"}, true},
		`^/`:                     {paths: []string{"~^/.*"}},
		`^/$`:                    {paths: []string{"=/"}},
		`.*`:                     {paths: []string{"~^/.*(?:.*).*"}},
		`\.(css|js)$`:            {paths: []string{`~^/.*\.(css|js)`}},
		`^/(api|web)/v[0-9]+/`:   {paths: []string{`~^/(api|web)/v[0-9]+/.*`}},
		`^/a|^/b`:                {paths: []string{`~^/a.*`, `~^/b.*`}},
		`^/a$|/b`:                {[]string{"=/a", "~^/b.*"}, true},
		`^.*/health$`:            {paths: []string{"~^/.*/health", "=/health"}},
		`^/x\.txt$`:              {paths: []string{"=/x.txt"}},
		`^/(?i:API)/`:            {paths: []string{`~^/(?i:API)/.*`}},
		`^/a/(^b)`:               {},
		`^[/]x`:                  {paths: []string{"~^/x.*"}},
		`(`:                      {},
		`^admin`:                 {},
		`^$`:                     {},
		`\bx`:                    {},
		`^/.well-known/[^/]*\z`:  {paths: []string{`~^/.well-known/[^/]*`}},
		`^/files/[a-f]{2,}/x\.y`: {paths: []string{`~^/files/[a-f]{2,}/x\.y.*`}},
	}
	for expr, want := range tests {
		got, ok := pathPattern(expr)
		if ok != (len(want.paths) > 0) {
			t.Errorf("%s: %v %v", expr, got, ok)
			continue
		}
		for i, p := range got.paths {
			if rest, re := strings.CutPrefix(p, "~"); re { // syntax.String may spell them otherwise
				if _, err := regexp.Compile(rest); err != nil {
					t.Errorf("%s: %v", expr, err)
				}
				got.paths[i] = strings.ReplaceAll(strings.ReplaceAll(p, "(?-s:.)", "."), "(?-s:.", "(?:.")
			}
		}
		if diff := cmp.Diff(want.paths, got.paths); diff != "" || got.narrowed != want.narrowed {
			t.Errorf("%s: narrowed is %v\n%s", expr, got.narrowed, diff)
		}
	}
}

// TestNoConvertedPathOpensMoreThanTheExpression: what a route would make public, the
// expression has matched, whatever it is.
func TestNoConvertedPathOpensMoreThanTheExpression(t *testing.T) {
	t.Parallel()
	piece := rapid.SampledFrom([]string{
		"^", "$", "/", "a", "b", "/a", "/b/", ".", ".*", "a+", "(a|b)", "(/a|/b)", "|", "[ab]", "[^/]*", `\.`, "(?i)", "x?", "(", ")", `\b`, `\A`, `\z`, "(?m)", "a{2}",
	})
	path := rapid.StringMatching(`/[ab/.xAX]{0,8}`)
	converted := 0
	rapid.Check(t, func(t *rapid.T) {
		expr := strings.Join(rapid.SliceOfN(piece, 1, 7).Draw(t, "expr"), "")
		c, ok := pathPattern(expr)
		if !ok {
			return
		}
		converted++
		whole := regexp.MustCompile(expr)
		for range 20 {
			p := path.Draw(t, "path")
			for _, to := range c.paths {
				if matches(to, p) && !whole.MatchString(p) {
					t.Fatalf("%s became %s, which opens %s", expr, to, p)
				}
			}
		}
	})
	if converted == 0 {
		t.Error("nothing was converted")
	}
}

// TestAnchoredExpressionsLoseNothing: where nothing is said to be narrower, the paths
// match all that the expression did.
func TestAnchoredExpressionsLoseNothing(t *testing.T) {
	t.Parallel()
	piece := rapid.SampledFrom([]string{"/", "a", "b", "/a", ".*", "(a|b)", "[ab]", "[^/]*", "x?", `\.`})
	path := rapid.StringMatching(`/[ab/.x]{0,6}`)
	rapid.Check(t, func(t *rapid.T) {
		expr := "^/" + strings.Join(rapid.SliceOfN(piece, 0, 5).Draw(t, "expr"), "") + rapid.SampledFrom([]string{"", "$"}).Draw(t, "end")
		c, ok := pathPattern(expr)
		if !ok || c.narrowed {
			t.Fatalf("%s is not converted as it is: %v", expr, c)
		}
		whole := regexp.MustCompile(expr)
		for range 20 {
			p := path.Draw(t, "path")
			opens := false
			for _, to := range c.paths {
				opens = opens || matches(to, p)
			}
			if opens != whole.MatchString(p) {
				t.Fatalf("%s became %q; %s: %v", expr, c.paths, p, opens)
			}
		}
	})
}

// matches is how routes match a path.
func matches(pattern, path string) bool {
	if expr, ok := strings.CutPrefix(pattern, "~"); ok {
		return regexp.MustCompile(`\A(?:` + expr + `)\z`).MatchString(path)
	}
	return strings.TrimPrefix(pattern, "=") == path
}
