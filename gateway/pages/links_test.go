package pages_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/httperr"
	"github.com/sallyport/sallyport/gateway/pages"
)

func renderer(t *testing.T) *pages.Renderer {
	t.Helper()
	p, err := pages.New(pages.Options{Prefix: "/.auth"})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestWhoSwitchesAccountsIsNotSentBackAsTheOldOne(t *testing.T) {
	for _, switching := range []bool{true, false} {
		w := httptest.NewRecorder()
		page := pages.LoginPage{Switch: switching, Providers: []pages.ProviderChoice{{Name: "corp", Kind: pages.KindRedirect}}}
		if err := renderer(t).Login(w, httptest.NewRequest("GET", "/.auth/login", nil), 200, page); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(w.Body.String(), "switch=1"); got != switching {
			t.Errorf("switching is %v, the link says %v", switching, got)
		}
	}
}

func TestStaleSignInStartsAgainWhereItWantedToGo(t *testing.T) {
	w := httptest.NewRecorder()
	r := httptest.NewRequest("GET", "/.auth/callback/corp?code=x&state=y", nil)
	e := &httperr.Error{Code: http.StatusBadRequest, Reason: "invalid_state", LoginURL: "/.auth/login?provider=corp&return_to=%2Fdeep"}
	if err := renderer(t).Error(w, r, e, "id", ""); err != nil {
		t.Fatal(err)
	}
	if want := `href="/.auth/login?provider=corp&amp;return_to=%2Fdeep"`; !strings.Contains(w.Body.String(), want) {
		t.Errorf("the page lacks %s:\n%s", want, w.Body)
	}
}
