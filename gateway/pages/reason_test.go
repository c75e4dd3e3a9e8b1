package pages_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/httperr"
)

// TestEveryReasonIsExplainedInPlainWords keeps the texts in step with the
// reference of reasons: each word that can stand on a page has its sentence, and
// no sentence is left of a word that is gone.
func TestEveryReasonIsExplainedInPlainWords(t *testing.T) {
	t.Parallel()
	reference, err := os.ReadFile("../../docs/reasons.md")
	if err != nil {
		t.Fatal(err)
	}
	neverOnAPage := map[string]bool{
		"public": true, "preflight": true, "authenticated": true, "allowed_by_rule": true, "allowed_by_authorizer": true, "policy_in_shadow": true, // let in
		"denied_by_query":  true,                                                                                                                                                                                                                                     // said to proxies that show no body
		"client_gone":      true,                                                                                                                                                                                                                                     // nobody reads it
		"unconfirmed_lock": true, "unknown_lock": true, "not_development": true, "keys_in_files": true, "too_many_keys": true, "key_needed": true, "key_in_use": true, "no_such_key": true, "admin_api_off": true, "bad_admin_token": true, "unknown_decision": true, // the API of operators
		"too_many_admin_tokens": true, "no_client_certificate": true, "admin_needs_tls": true, "too_many_requests": true, "bad_form_token": true, // their listener
	}
	english := textsOf(t, "texts/en.txt")
	documented := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| (.*) \\|$").FindAllStringSubmatch(string(reference), -1) {
		documented[m[1]] = true
		if _, ok := english["reason."+m[1]]; !ok && !neverOnAPage[m[1]] {
			t.Errorf("texts/en.txt lacks reason.%s: %s", m[1], m[2])
		}
	}
	for id := range english {
		if word, ok := strings.CutPrefix(id, "reason."); ok && !documented[strings.TrimSuffix(word, ".advice")] {
			t.Errorf("texts/en.txt: %s is the text of no reason", id)
		}
	}
}

func TestErrorPageExplainsItselfInTheLanguageOfTheReader(t *testing.T) {
	t.Parallel()
	korean := textsOf(t, "texts/ko.txt")
	form := httperr.Error{Code: 401, Reason: "no_session", Public: "A valid credential is required."}
	tests := map[string]struct {
		method string
		e      httperr.Error
		want   string
		not    string
	}{
		"the reason, not the English sentence": {"GET", httperr.Error{Code: 403, Reason: "denied_by_rule", Public: "This is not for you."}, korean["reason.denied_by_rule"], "not for you"},
		"what became of a form, not why":       {"POST", form, korean["error.session_ended.lead"], korean["reason.no_session"]},
		"advice of the reason":                 {"GET", httperr.Error{Code: 403, Reason: "policy_error"}, korean["reason.policy_error.advice"], korean["error.403.advice"]},
		"the reason of a rule: the status":     {"GET", httperr.Error{Code: 403, Reason: "after_hours", Public: "This is not for you."}, korean["error.403.lead"], "not for you"},
		"and what the policy says about it":    {"GET", httperr.Error{Code: 403, Reason: "after_hours", Public: "This is not for you.", Message: "Closed on Sundays."}, "Closed on Sundays.", "not for you"},
		"a status without a text of its own":   {"GET", httperr.Error{Code: 418, Reason: "unheard_of", Public: "I am a teapot."}, korean["error.4xx.lead"], "teapot"},
		"when to try again":                    {"GET", httperr.Error{Code: 503, Header: http.Header{"Retry-After": {"5"}}}, "5초 후에 다시 시도하세요.", "{seconds}"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequestWithContext(t.Context(), tt.method, "/a", nil)
			r.Header.Set("Accept-Language", "ko")
			w := httptest.NewRecorder()
			if err := renderer(t).Error(w, r, &tt.e, "id", ""); err != nil {
				t.Fatal(err)
			}
			_, text := parse(t, w.Body.String())
			if !strings.Contains(text, tt.want) || strings.Contains(text, tt.not) {
				t.Errorf("want %q and not %q on the page:\n%s", tt.want, tt.not, text)
			}
		})
	}
}
