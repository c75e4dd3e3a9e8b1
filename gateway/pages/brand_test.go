package pages_test

import (
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/pages"
)

const (
	svgLogo = `<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`
	pngLogo = "\x89PNG\r\n\x1a\n..."
)

func brandedPage(t *testing.T, o pages.Options) string {
	t.Helper()
	p, err := pages.New(o)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	if err := p.SignedOut(w, httptest.NewRequest("GET", "/.auth/logout", nil)); err != nil {
		t.Fatal(err)
	}
	return w.Body.String()
}

func TestLogoIsAPictureAndNothingElse(t *testing.T) {
	t.Parallel()
	for kind, logo := range map[string]string{"image/svg+xml": svgLogo, "image/png": pngLogo} {
		elements, _ := parse(t, brandedPage(t, pages.Options{Logo: []byte(logo)}))
		images := 0
		for _, e := range elements {
			switch e.Name {
			case "img":
				images++
				if alt, ok := e.Attrs["alt"]; !ok || alt != "" || !strings.HasPrefix(e.Attrs["src"], "data:"+kind+";base64,") {
					t.Errorf("%s: %v", kind, e.Attrs)
				}
			case "script", "svg": // what is in the file stays in the URL
				t.Errorf("%s: the page has an element %s", kind, e.Name)
			}
		}
		if images != 1 {
			t.Errorf("%s: %d images on the page", kind, images)
		}
	}
	for name, logo := range map[string]string{
		"a page":                `<!doctype html><title>x</title>`,
		"text":                  "logo",
		"a program":             "\x7fELF\x00<svg",
		"larger than the limit": svgLogo + strings.Repeat(" ", pages.MaxLogo),
	} {
		if _, err := pages.New(pages.Options{Logo: []byte(logo)}); err == nil {
			t.Errorf("%s is accepted as a logo", name)
		}
	}
}

func TestNoColourMakesButtonsUnreadable(t *testing.T) {
	t.Parallel()
	rule := regexp.MustCompile(`:root \{ --accent: #([0-9a-f]{6}); --accent-ink: #([0-9a-f]{6}); --accent-strong: #([0-9a-f]{6}); --focus: var\(--ink\); \}`)
	for _, colour := range []string{"#000000", "#ffffff", "#ffeb3b", "#777777", "#767676", "#0f6b5b", "#FF0000", "#00ff00", "#0000ff", "#808080"} {
		m := rule.FindStringSubmatch(brandedPage(t, pages.Options{Colour: colour}))
		if m == nil || "#"+m[1] != strings.ToLower(colour) {
			t.Fatalf("%s is not the colour of the page: %q", colour, m)
		}
		for _, back := range []string{m[1], m[3]} {
			if got := contrast(t, m[2], back); got < 4.5 {
				t.Errorf("%s: #%s on #%s has a contrast of %.2f", colour, m[2], back, got)
			}
		}
	}
	for _, bad := range []string{"green", "#fff", "0f6b5b", "#0f6b5b;}", "#0f6b5g", "#+f6b5b", "#0f6b5b00", "#-00001"} {
		if _, err := pages.New(pages.Options{Colour: bad}); err == nil {
			t.Errorf("%q is accepted as a colour", bad)
		}
	}
}
