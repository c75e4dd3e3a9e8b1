package gateway_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
)

// TestEqualKeyIDsOfTwoIssuersInParallel (CVE-2026-71326): the keys of both are fetched
// while tokens of both come in, and none is proven with the other's.
func TestEqualKeyIDsOfTwoIssuersInParallel(t *testing.T) {
	s := newTokenSite(t)
	const header = `{"alg":"RS256","kid":"k1"}`
	type try struct {
		name, line string
		status     int
	}
	var tries []try
	add := func(name, token string, status int) {
		tries = append(tries, try{name, "Authorization: Bearer " + token, status})
	}
	add("one issuer's own", jwtSigned(t, "RS256", s.rsa, header, jwtClaims(t, rsaIssuer, nil)), http.StatusOK)
	add("the other's own", jwtSigned(t, "RS256", s.other, header, jwtClaims(t, otherIssuer, nil)), http.StatusOK)
	add("one's, signed by the other", jwtSigned(t, "RS256", s.other, header, jwtClaims(t, rsaIssuer, nil)), http.StatusUnauthorized)
	add("the other's, signed by the one", jwtSigned(t, "RS256", s.rsa, header, jwtClaims(t, otherIssuer, nil)), http.StatusUnauthorized)
	var all sync.WaitGroup
	for range 10 {
		for _, one := range tries {
			all.Go(func() {
				a := s.as(t, "", "/api/", one.line)
				if a.StatusCode != one.status || one.status == http.StatusUnauthorized && !strings.Contains(a.text, "bad_signature") {
					t.Errorf("%s: %d %s", one.name, a.StatusCode, a.text)
				}
			})
		}
	}
	all.Wait()
}
