package pages_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/gateway/pages"
)

// textsOf reads a language file as a translator sees it, without the English
// texts that stand in for missing ones.
func textsOf(t *testing.T, file string) map[string]string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for line := range strings.Lines(string(content)) {
		if ids, text, ok := strings.Cut(line, " = "); ok && !strings.HasPrefix(line, "#") {
			for id := range strings.SplitSeq(ids, ",") {
				texts[strings.TrimSpace(id)] = strings.TrimSpace(text)
			}
		}
	}
	return texts
}

func languageFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("texts/*.txt")
	if err != nil || len(files) < 2 {
		t.Fatalf("language files: %q, %v", files, err)
	}
	return files
}

func TestEveryLanguageSaysEverything(t *testing.T) {
	t.Parallel()
	placeholder := regexp.MustCompile(`\{[^}]*\}`)
	placeholders := func(text string) []string {
		found := placeholder.FindAllString(text, -1)
		slices.Sort(found)
		return found
	}
	english := textsOf(t, "texts/en.txt")
	for _, file := range languageFiles(t) {
		texts := textsOf(t, file)
		for id, text := range english {
			switch translated, ok := texts[id]; {
			case !ok:
				t.Errorf("%s lacks %s = %s", file, id, text)
			case translated == "":
				t.Errorf("%s: %s is empty", file, id)
			default:
				if d := cmp.Diff(placeholders(text), placeholders(translated)); d != "" {
					t.Errorf("%s: %s has other placeholders (-en +here):\n%s", file, id, d)
				}
			}
		}
		for id := range texts {
			if _, ok := english[id]; !ok {
				t.Errorf("%s: %s is not in texts/en.txt", file, id)
			}
		}
	}
}

// TestTextsAreWhatThePagesSay compares the ids of the texts with those that
// templates and code use: a text that is missing breaks its page, and one that
// nobody shows is translated for nothing.
func TestTextsAreWhatThePagesSay(t *testing.T) {
	t.Parallel()
	english := textsOf(t, "texts/en.txt")
	sources, err := filepath.Glob("templates/*.html")
	if err != nil {
		t.Fatal(err)
	}
	code, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	id := regexp.MustCompile(`"([a-z_]+(?:\.[a-z0-9_]+)+)"`)
	inTemplate := regexp.MustCompile(`\b(?:t|around) "([^"]+)"`)
	for _, file := range append(sources, code...) {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range id.FindAllStringSubmatch(string(content), -1) {
			used[m[1]] = true
		}
		if !strings.HasSuffix(file, ".html") {
			continue
		}
		for _, m := range inTemplate.FindAllStringSubmatch(string(content), -1) {
			if _, ok := english[m[1]]; !ok {
				t.Errorf("%s: there is no text %q", file, m[1])
			}
		}
	}
	composed := regexp.MustCompile(`^(error\.[a-z0-9_]+\.(title|lead|advice)|reason\..*)$`) // from a status, a situation or a reason
	for text := range english {
		if !used[text] && !composed.MatchString(text) {
			t.Errorf("no page shows %s", text)
		}
	}
}

func TestPagesSpeakTheLanguageOfTheReader(t *testing.T) {
	t.Parallel()
	p := renderer(t)
	tests := map[string]struct {
		header []string
		want   string
	}{
		"none asked for":                         {nil, "en"},
		"Korean":                                 {[]string{"ko"}, "ko"},
		"Korean of Korea, as browsers send it":   {[]string{"ko-KR,ko;q=0.9,en-US;q=0.8,en;q=0.7"}, "ko"},
		"Korean less than English":               {[]string{"ko;q=0.5, en;q=0.9"}, "en"},
		"Korean second to one that is not there": {[]string{"xh, ko;q=0.3"}, "ko"},
		"Korean refused by weight 0":             {[]string{"ko;q=0, fr"}, "en"},
		"any":                                    {[]string{"*"}, "en"},
		"letters of any case":                    {[]string{"KO-kr"}, "ko"},
		"British":                                {[]string{"en-GB"}, "en"},
		"not there":                              {[]string{"xh"}, "en"},
		"two headers":                            {[]string{"xh", "ko"}, "ko"},
		"broken":                                 {[]string{";;q=,,%"}, "en"},
		"markup":                                 {[]string{`"><script>alert(1)</script>`}, "en"},
		"a path":                                 {[]string{"../../ko"}, "en"},
		"longer than any browser's":              {[]string{"ko," + strings.Repeat("a-", 100000)}, "en"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/.auth/logout", nil)
			r.Header["Accept-Language"] = tt.header
			w := httptest.NewRecorder()
			if err := p.SignedOut(w, r); err != nil {
				t.Fatal(err)
			}
			elements, text := parse(t, w.Body.String())
			if got := elements[0].Attrs["lang"]; got != tt.want {
				t.Errorf("lang=%q, want %q", got, tt.want)
			}
			if want := textsOf(t, "texts/"+tt.want+".txt")["signed_out.title"]; !strings.Contains(text, want) {
				t.Errorf("the page does not say %q:\n%s", want, text)
			}
			want := http.Header{"Content-Language": {tt.want}, "Vary": {"Accept-Language"}}
			got := http.Header{"Content-Language": w.Header()["Content-Language"], "Vary": w.Header()["Vary"]}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("headers (-want +got):\n%s", d)
			}
		})
	}
}

func TestPageKeepsWhatElseItsAnswerVariesBy(t *testing.T) {
	t.Parallel()
	for before, want := range map[string][]string{
		"Origin":                          {"Origin", "Accept-Language"},
		"Cookie, accept-language, Origin": {"Cookie, accept-language, Origin"},
		"*":                               {"*"},
	} {
		w := httptest.NewRecorder()
		w.Header().Set("Vary", before)
		if err := renderer(t).Login(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil), 200, pages.LoginPage{}); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, w.Header()["Vary"]); d != "" {
			t.Errorf("Vary was %q (-want +got):\n%s", before, d)
		}
	}
}
