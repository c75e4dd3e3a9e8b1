//go:build e2e

package e2e_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/e2e/env"
	"github.com/sallyport/sallyport/gateway/palette"
)

// looker looks at pages as people do, and as axe-core does.
type looker struct {
	t       *testing.T
	browser *env.Browser
	axe     string
}

func newLooker(t *testing.T) *looker {
	t.Helper()
	axe, err := os.ReadFile(filepath.Join(env.NPM(t, "testdata/node"), "node_modules/axe-core/axe.min.js"))
	if err != nil {
		t.Fatal(err)
	}
	return &looker{t: t, browser: env.StartBrowser(t), axe: string(axe)}
}

// views are every way to look at a page in one language.
func views(language string) []env.View {
	var all []env.View
	for _, width := range []int64{360, 1280} {
		for _, scheme := range []string{"light", "dark"} {
			all = append(all, env.View{Width: width, Scheme: scheme, Language: language})
		}
	}
	return all
}

// check keeps a picture of the page that is open, and fails on what somebody
// would stumble over.
func (l *looker) check(name string, v env.View) {
	l.t.Helper()
	name = fmt.Sprintf("%s-%s-%d-%s", name, v.Language, v.Width, v.Scheme)
	l.browser.Screenshot(name)
	if wide := l.browser.Script(`document.documentElement.scrollWidth > innerWidth ? "by " + document.documentElement.scrollWidth : ""`); wide != "" {
		l.t.Errorf("%s: scrolls sideways %s", name, wide)
	}
	// Evaluated by the debugger, so that the policy of the page, which allows no
	// script, is left as it is.
	if l.browser.Script(`typeof axe`) == "undefined" {
		l.browser.Script(l.axe + `; "loaded"`)
	}
	found := l.browser.Script(`axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"], resultTypes: ["violations"]})
		.then(r => r.violations.map(v => v.impact + ": " + v.id + ": " + v.help + "\n" + v.nodes.map(n => "    " + n.html + "\n    " + n.failureSummary).join("\n")).join("\n"))`)
	for finding := range strings.SplitSeq(found, "\n") {
		switch impact, _, _ := strings.Cut(finding, ": "); impact {
		case "serious", "critical":
			l.t.Errorf("%s: axe-core:\n%s", name, found)
			return
		}
	}
	if found != "" {
		l.t.Logf("%s: axe-core, not serious:\n%s", name, found)
	}
}

// TestEveryPageLooksRightAndIsAccessible shows the kept copy of every page that
// there is, whatever it takes to come to it.
func TestEveryPageLooksRightAndIsAccessible(t *testing.T) {
	t.Parallel()
	style, err := os.ReadFile("../pages/templates/style.css")
	if err != nil {
		t.Fatal(err)
	}
	kept, err := filepath.Glob("../pages/testdata/*.golden.html")
	if err != nil || len(kept) < 20 {
		t.Fatalf("kept pages: %d, %v", len(kept), err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page, err := os.ReadFile(filepath.Join("../pages/testdata", filepath.Base(r.URL.Path)))
		if err != nil {
			http.NotFound(w, r)
			return
		}
		_, body, _ := strings.Cut(string(page), "\n") // the first line is the status
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "script-src 'none'") // a page that goes on by itself stays
		_, _ = w.Write([]byte(strings.Replace(body, "<style>…</style>", "<style>"+palette.CSS()+string(style)+"</style>", 1)))
	}))
	t.Cleanup(server.Close)
	l := newLooker(t)
	for _, file := range kept {
		l.browser.Open(server.URL + "/" + filepath.Base(file))
		if got := l.browser.Script(`getComputedStyle(document.querySelector("main")).maxWidth`); got == "none" {
			t.Fatalf("%s is shown without its style", file)
		}
		l.everyView(strings.TrimSuffix(filepath.Base(file), ".golden.html"))
	}
}
