package gateway_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/elliptic"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/jose"
)

const keysIssuer = "https://op2.test"

// keySite is a site that fetches the keys of keysIssuer.
type keySite struct {
	*site
	keys *keyServer
}

// newKeySite takes further members of the issuer's entry.
func newKeySite(t *testing.T, keys *keyServer, members string) *keySite {
	t.Helper()
	return &keySite{newSite(t, plan{issuers: fmt.Sprintf(
		`- {issuer: %q, audiences: [%q], algorithms: [ES256], jwks_url: %q%s}`, keysIssuer, tokenAudience, keys.url(), members)}), keys}
}

func newSigner(t *testing.T, kid string) *jose.Signer {
	t.Helper()
	s, err := jose.NewKeySigner("ES256", kid, newEC(t, elliptic.P256()))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func keySet(t *testing.T, signers ...*jose.Signer) string {
	t.Helper()
	text, err := jose.PublicJWKS(signers...)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// goodToken is a token of an issuer that nothing is wrong with.
func goodToken(t *testing.T, s *jose.Signer, issuer string) string {
	t.Helper()
	token, err := s.Sign("at+jwt", map[string]any{"iss": issuer, "aud": tokenAudience, "sub": "alice", "exp": 4_000_000_000})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// ask sends a token and checks what must be so of any answer.
func (s *keySite) ask(t *testing.T, token string) answer {
	t.Helper()
	a := s.as(t, "", "/api/", "Authorization: Bearer "+token)
	switch a.StatusCode {
	case http.StatusOK:
		s.passed(t, a)
	case http.StatusServiceUnavailable:
		s.denied(t, a, http.StatusServiceUnavailable)
		if a.Header.Get("Retry-After") == "" || a.Header.Get("WWW-Authenticate") != "" || !strings.Contains(a.text, `"reason":"unavailable"`) {
			t.Errorf("an outage is told as %v\n%s", a.Header, a.text)
		}
	default:
		s.denied(t, a, http.StatusUnauthorized)
	}
	return a
}

// becomes asks until the answer is the wanted one; before that, only the other
// one may come.
func (s *keySite) becomes(t *testing.T, token string, before, after int) {
	t.Helper()
	poll(t, fmt.Sprintf("the answer to be %d", after), func() bool {
		a := s.ask(t, token)
		if a.StatusCode != before && a.StatusCode != after {
			t.Fatalf("the answer is %d while it should go from %d to %d\n%s", a.StatusCode, before, after, a.text)
		}
		return a.StatusCode == after
	})
}

// logsNoToken reads the log for the signatures of tokens.
func (s *keySite) logsNoToken(t *testing.T, tokens ...string) {
	t.Helper()
	log := s.logText.String()
	for _, token := range tokens {
		if sig := token[strings.LastIndexByte(token, '.')+1:]; strings.Contains(log, sig) {
			t.Errorf("a token is in the log:\n%.2000s", log)
		}
	}
	if !strings.Contains(log, keysIssuer) {
		t.Error("the log says nothing about the issuer")
	}
}

// TestColdStartWithTheIssuerDown (CVE-2026-31837): nothing is known about the
// keys, so nothing can be said about a token, and no restart is needed.
func TestColdStartWithTheIssuerDown(t *testing.T) {
	for name, down := range map[string]http.HandlerFunc{
		"500":           answering(http.StatusInternalServerError, "down"),
		"404":           answering(http.StatusNotFound, ""),
		"HTML":          answering(http.StatusOK, "<!doctype html><title>Sign in</title>"),
		"no keys":       answering(http.StatusOK, `{"keys":[]}`),
		"no connection": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key, keys := newSigner(t, "k1"), newKeyServer(t)
			keys.answer(down)
			s := newKeySite(t, keys, "")
			token := goodToken(t, key, keysIssuer)
			poll(t, "a first fetch", func() bool { return keys.fetches() > 0 })
			for _, one := range []string{token, token[:len(token)-8] + "AAAAAAAA", goodToken(t, newSigner(t, "k2"), keysIssuer)} {
				if a := s.ask(t, one); a.StatusCode != http.StatusServiceUnavailable {
					t.Errorf("the answer is %d", a.StatusCode)
				}
			}
			// What needs no key is refused all the same.
			s.refused(t, segment(`{"alg":"none"}`)+"."+strings.Split(token, ".")[1]+".eA", "algorithm_not_allowed")
			// And another issuer is not its business.
			s.accepted(t, s.token(t, nil))

			keys.publish(keySet(t, key))
			s.becomes(t, token, http.StatusServiceUnavailable, http.StatusOK)
			s.logsNoToken(t, token)
		})
	}
}

// spoilt are answers that are no good key set, made from a good one.
func spoilt(t *testing.T, elsewhere string) map[string]func(set string) http.HandlerFunc {
	t.Helper()
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	for range 320 {
		if _, err := io.WriteString(z, strings.Repeat(" ", 64<<10)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	always := func(serve http.HandlerFunc) func(string) http.HandlerFunc {
		return func(string) http.HandlerFunc { return serve }
	}
	return map[string]func(set string) http.HandlerFunc{
		"500":           always(answering(http.StatusInternalServerError, "down")),
		"404":           always(answering(http.StatusNotFound, "")),
		"HTML":          always(answering(http.StatusOK, "<!doctype html><title>Sign in</title>")),
		"no keys":       always(answering(http.StatusOK, `{"keys":[]}`)),
		"a secret":      always(answering(http.StatusOK, `{"keys":[{"kty":"oct","kid":"k1","k":"c2VjcmV0"}]}`)),
		"100,000 keys":  always(answering(http.StatusOK, `{"keys":[`+strings.Repeat("{},", 100_000)+`{}]}`)),
		"no connection": always(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }),
		"another host":  always(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere, http.StatusFound) }),
		"without end":   always(endless),
		"gzip bomb": always(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(bomb.Bytes())
		}),
		"cut off": func(set string) http.HandlerFunc { return answering(http.StatusOK, set[:len(set)/2]) },
		"slow": func(set string) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.WriteString(w, set[:len(set)/2])
				_ = http.NewResponseController(w).Flush()
				<-r.Context().Done()
			}
		},
	}
}

// TestBadKeySetsNeverReplaceAGoodOne: the last good set serves until max_stale,
// then there is an outage, which ends with the issuer's. Each answer is that of
// an issuer of its own, so that the time passes for all of them at once.
func TestBadKeySetsNeverReplaceAGoodOne(t *testing.T) {
	elsewhere, attacker := newKeyServer(t), newSigner(t, "k1")
	elsewhere.publish(keySet(t, attacker))
	type issuer struct {
		name, url, set, token string
		keys                  *keyServer
	}
	var issuers []*issuer
	var entries strings.Builder
	answers := spoilt(t, elsewhere.url())
	for name := range answers {
		key := newSigner(t, "k1")
		i := &issuer{name: name, url: fmt.Sprint(keysIssuer, "/", len(issuers)), set: keySet(t, key), keys: newKeyServer(t)}
		i.token = goodToken(t, key, i.url)
		i.keys.publish(i.set)
		fmt.Fprintf(&entries, "\n    - {issuer: %q, audiences: [%q], algorithms: [ES256], jwks_url: %q, max_stale: 6s}", i.url, tokenAudience, i.keys.url())
		issuers = append(issuers, i)
	}
	s := &keySite{newSite(t, plan{issuers: entries.String()}), nil}
	each := func(step func(*issuer)) {
		for _, i := range issuers {
			step(i)
		}
	}
	expect := func(i *issuer, token string, want int) {
		t.Helper()
		if a := s.ask(t, token); a.StatusCode != want {
			t.Errorf("%s: the answer is %d, want %d", i.name, a.StatusCode, want)
		}
	}

	each(func(i *issuer) { s.becomes(t, i.token, http.StatusServiceUnavailable, http.StatusOK) })
	before := make(map[*issuer]int)
	each(func(i *issuer) {
		i.keys.answer(answers[i.name](i.set))
		before[i] = i.keys.fetches()
	})
	each(func(i *issuer) { // a set is asked for when half of max_stale is over
		poll(t, i.name+" to be asked again", func() bool { return i.keys.fetches() > before[i] })
	})
	each(func(i *issuer) {
		expect(i, i.token, http.StatusOK)
		expect(i, goodToken(t, attacker, i.url), http.StatusUnauthorized)
	})
	each(func(i *issuer) { s.becomes(t, i.token, http.StatusOK, http.StatusServiceUnavailable) })
	each(func(i *issuer) { expect(i, goodToken(t, attacker, i.url), http.StatusServiceUnavailable) })
	each(func(i *issuer) { i.keys.publish(i.set) })
	each(func(i *issuer) {
		s.becomes(t, i.token, http.StatusServiceUnavailable, http.StatusOK)
		expect(i, goodToken(t, attacker, i.url), http.StatusUnauthorized)
		s.logsNoToken(t, i.token)
	})
	if n := elsewhere.fetches(); n != 0 {
		t.Errorf("the other host was asked %d times", n)
	}
}

func endless(w http.ResponseWriter, r *http.Request) {
	block := []byte(`{"keys":[` + strings.Repeat(" ", 64<<10))
	for r.Context().Err() == nil {
		if _, err := w.Write(block); err != nil {
			return
		}
	}
}

// TestWithdrawnKeys: a key that is no longer published is refused after the
// next good answer, and not before.
func TestWithdrawnKeys(t *testing.T) {
	t.Parallel()
	old, next, keys := newSigner(t, "old"), newSigner(t, "next"), newKeyServer(t)
	keys.publish(keySet(t, old, next))
	s := newKeySite(t, keys, ", max_stale: 4s")
	token := goodToken(t, old, keysIssuer)
	s.becomes(t, token, http.StatusServiceUnavailable, http.StatusOK)
	keys.publish(keySet(t, next))
	s.becomes(t, token, http.StatusOK, http.StatusUnauthorized)
	s.refused(t, token, "unknown_key")
	s.accepted(t, goodToken(t, next, keysIssuer))
}

// TestASlowIssuerDelaysNobodyWhoseKeyIsKnown: a token with an unknown key waits
// for the answer, the others don't.
func TestASlowIssuerDelaysNobodyWhoseKeyIsKnown(t *testing.T) {
	key, keys := newSigner(t, "k1"), newKeyServer(t)
	keys.publish(keySet(t, key))
	s := newKeySite(t, keys, "")
	token := goodToken(t, key, keysIssuer)
	s.becomes(t, token, http.StatusServiceUnavailable, http.StatusOK)

	asked, release := make(chan struct{}), make(chan struct{})
	set, stranger := keySet(t, key), goodToken(t, newSigner(t, "unknown"), keysIssuer)
	keys.answer(func(w http.ResponseWriter, r *http.Request) {
		close(asked)
		<-release
		answering(http.StatusOK, set)(w, r)
	})
	waiting := make(chan int, 1)
	go func() {
		status, err := statusBy(t.Context(), s.browser(), s.host, stranger)
		if err != nil {
			t.Error(err)
		}
		waiting <- status
	}()
	<-asked
	for range 100 {
		s.accepted(t, token)
	}
	select {
	case status := <-waiting:
		t.Errorf("the token with the unknown key did not wait: %d", status)
	default:
	}
	close(release)
	if status := <-waiting; status != http.StatusUnauthorized {
		t.Errorf("the token with the unknown key: %d", status)
	}
}

// statusBy sends a token from any goroutine and returns the answer's status.
func statusBy(ctx context.Context, client *http.Client, host, token string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+host+"/api/", nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return res.StatusCode, err
}
