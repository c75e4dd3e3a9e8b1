package gateway_test

import (
	"errors"
	"fmt"
	"html"
	"os"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/config"
)

// TestWhoIsDeniedReadsWhatThePolicySays: the word that a rule gives as its reason
// is in no file of texts, so that the page has the sentence of the status, in the
// reader's language, and below it what the policy says.
func TestWhoIsDeniedReadsWhatThePolicySays(t *testing.T) {
	t.Parallel()
	s := newSite(t, plan{
		policies: `- name: closed
    message: Ask the desk <desk@example.test>.
    rules:
      - {name: everybody, allow: {groups: [users]}}
      - {name: sundays, deny: {subjects: [mallory]}, reason: closed_on_sundays, message: Come back on Monday & bring <b>tea</b>.}
      - {name: no words, deny: {subjects: [root]}, reason: closed_for_good}`,
		routes: `- {name: shop, paths: [/shop/], upstream: "$UP", policy: closed}`,
	})
	english, korean := "Your account does not have access to it.", "이 계정에는 접근 권한이 없습니다."
	for name, tt := range map[string]struct {
		user, language string
		want, not      []string
	}{
		"in English":                         {"mallory", "en", []string{english, "Come back on Monday & bring <b>tea</b>.", "closed_on_sundays"}, []string{"desk@"}},
		"in Korean":                          {"mallory", "ko", []string{korean, "Come back on Monday & bring <b>tea</b>."}, []string{english, "not for you"}},
		"in a language that there is not":    {"mallory", "xx", []string{english}, nil},
		"a rule without a message: policy's": {"root", "ko", []string{korean, "Ask the desk <desk@example.test>.", "closed_for_good"}, []string{"Monday", english}},
	} {
		t.Run(name, func(t *testing.T) {
			a := s.as(t, tt.user, "/shop/", "Sec-Fetch-Mode: navigate", "Accept: text/html", "Accept-Language: "+tt.language)
			s.denied(t, a, 403)
			if strings.Contains(a.text, "<b>tea") {
				t.Error("the message became markup")
			}
			page := html.UnescapeString(a.text)
			for _, want := range tt.want {
				if !strings.Contains(page, want) {
					t.Errorf("the page lacks %q:\n%s", want, page)
				}
			}
			for _, not := range tt.not {
				if strings.Contains(page, not) {
					t.Errorf("the page says %q:\n%s", not, page)
				}
			}
		})
	}
	a := s.as(t, "mallory", "/shop/")
	s.denied(t, a, 403)
	for _, want := range []string{`"detail":"Come back on Monday`, `"reason":"closed_on_sundays"`} {
		if !strings.Contains(a.text, want) {
			t.Errorf("a program does not read %s: %s", want, a.text)
		}
	}
	if s.log.FilterField(zap.String("reason", "closed_on_sundays")).Len() == 0 {
		t.Error("the log does not tell the reason")
	}
}

// TestARuleCannotGiveAReasonOfTheGateway: the page would explain what has not
// happened, and the metrics would count it.
func TestARuleCannotGiveAReasonOfTheGateway(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/reasons.md")
	if err != nil {
		t.Fatal(err)
	}
	var rules strings.Builder
	words := regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|").FindAllStringSubmatch(string(text), -1)
	for i, m := range words {
		fmt.Fprintf(&rules, "      - {name: r%d, deny: {subjects: [a]}, reason: %s}\n", i, m[1])
	}
	cfg, err := config.Parse("block", []byte(policyBlock+rules.String()), nil)
	if err == nil {
		err = gateway.Check(t.Context(), cfg)
	}
	faults, ok := errors.AsType[config.Faults](err)
	if !ok {
		t.Fatal(err)
	}
	for i, m := range words {
		if want := fmt.Sprintf("policies[0].rules[%d].reason: %q means something already: choose another word", i, m[1]); !strings.Contains(faults.Error(), want) {
			t.Errorf("%s can be the reason of a rule", m[1])
		}
	}
	if len(faults) != len(words) || len(words) < 50 {
		t.Errorf("%d faults for %d words", len(faults), len(words))
	}
}

const policyBlock = `
login: {providers: [{name: dev, type: dev, identities: [{subject: alice}]}]}
routes: [{name: app, upstream: "builtin:echo", policy: p}]
policies:
  - name: p
    rules:
`
