package gateway_test

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestLabelsOfMetricsAreAClosedSet (CVE-2023-45142): whoever can make a gateway keep a
// series for each word that he thinks of fills its memory, and what is a label is read
// by everybody who may read metrics.
func TestLabelsOfMetricsAreAClosedSet(t *testing.T) {
	s := newSite(t, plan{})
	serve := s.gw.Handler()
	series := func() int { return strings.Count(s.metrics(t), "\n") }
	random := rand.New(rand.NewPCG(1, 2))
	word := func(kind string) string { return fmt.Sprintf("chosen-%s-%x", kind, random.Uint64()) }
	encode := base64.RawURLEncoding.EncodeToString
	send := func(i int) {
		target := []string{"/app/", "/.auth/", "/public/", "/api/", "/x/..;", "/.auth/callback/", "/.auth/check/"}[i%7] + word("path") + "?q=" + word("query")
		r := httptest.NewRequestWithContext(t.Context(), strings.ToUpper(word("method")), target, nil)
		if i%2 == 0 {
			r.Method = []string{"GET", "POST", "OPTIONS"}[i%3]
		}
		r.Host = s.host
		if i%5 == 0 {
			r.Host = word("host") + ".localhost"
		}
		r.Header.Set("User-Agent", word("agent"))
		r.Header.Set("X-Request-Id", word("request"))
		r.Header.Set("Origin", "https://"+word("origin"))
		r.Header.Set("Traceparent", fmt.Sprintf("00-%032x-%016x-01", random.Uint64(), random.Uint64()|1))
		switch i % 4 {
		case 0:
			head := fmt.Sprintf(`{"alg":"ES256","kid":%q}`, word("kid"))
			claims := fmt.Sprintf(`{"iss":"https://%s","sub":%q,"aud":%q}`, word("issuer"), word("subject"), word("audience"))
			r.Header.Set("Authorization", "Bearer "+encode([]byte(head))+"."+encode([]byte(claims))+"."+encode([]byte(word("signature"))))
		case 1:
			r.Header.Set("Authorization", word("scheme")+" "+word("credential"))
		case 2:
			r.Header.Set("Cookie", s.cookie+"="+word("cookie"))
		}
		serve.ServeHTTP(httptest.NewRecorder(), r)
	}
	for i := range 420 {
		send(i)
	}
	few := series()
	for i := range 10_000 {
		send(i)
	}
	text := s.metrics(t)
	if many := strings.Count(text, "\n"); many > few+5 {
		t.Errorf("%d lines of metrics after some requests, %d after many different ones", few, many)
	}
	for line := range strings.Lines(strings.ToLower(text)) {
		if strings.Contains(line, "chosen-") {
			t.Errorf("a client chose what is in %q", line)
		}
	}
	if !strings.Contains(text, `outcome="challenge"`) {
		t.Errorf("nothing was counted:\n%s", text)
	}
}
