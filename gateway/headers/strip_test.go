package headers_test

import (
	"maps"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/headers"
)

// CVE-2025-64484 and its kin: applications behind CGI-like interfaces read
// X_Forwarded_User and X.Forwarded.User as X-Forwarded-User.
func TestIdentityHeadersGoInEverySpelling(t *testing.T) {
	s := compile(t, config.Header{Name: "Staff-Number", Claim: "sub"}, config.Header{Name: "9-Lives", Claim: "sub"})
	for _, name := range []string{
		"X-Forwarded-User", "x-forwarded-USER", "X_Forwarded_User", "X-Forwarded_User", "x_forwarded_groups", "X.Forwarded.User",
		"X-Forwarded.User", "X.Forwarded_Groups", "X!forwarded~user", "XForwardedUser", "-X-Forwarded-User", "X--Forwarded-User-",
		"X-Auth-Request-User", "X-Auth-Request-Groups", "X_auth_request_email", "Remote-User", "remote_user", "Remote-Groups", "Remote-Name",
		"Remote-Email", "X-Remote-User", "X-Remote-Group", "X-Remote-Extra-Scopes", "X-Pomerium-Jwt-Assertion", "X-Pomerium-Claim-Email",
		"X-Goog-IAP-JWT-Assertion", "X-Goog-Authenticated-User-Email", "X-Amzn-Oidc-Data", "X-Amzn-Oidc-Identity", "Cf-Access-Jwt-Assertion",
		"CF-Access-Authenticated-User-Email", "X-Vouch-User", "X-Authenticated-User", "X-Authentik-Username", "X-WEBAUTH-USER",
		"X-MS-CLIENT-PRINCIPAL", "Sallyport-Assertion", "Sallyport_Assertion", "sallyport-anything",
		"Staff-Number", "staff_number", "STAFFNUMBER", "9-Lives", "9_lives",
	} {
		h := http.Header{name: {"root"}, "Accept": {"*/*"}}
		s.Strip(h)
		if diff := cmp.Diff(http.Header{"Accept": {"*/*"}}, h); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// CVE-2026-35051, CVE-2016-5386: what a client claims about its own address,
// about the original request or about a certificate is not to be believed by
// anybody behind the gateway.
func TestForwardingHeadersOfTheClientGo(t *testing.T) {
	for _, name := range []string{
		"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Server",
		"X-Forwarded-Uri", "X-Forwarded-Method", "X-Forwarded-Ssl", "X-Forwarded-Scheme", "X-Real-IP", "X_Real_IP", "X-Original-URL",
		"X-Original-URI", "X-Rewrite-URL", "Forwarded", "Proxy", "X-Client-IP", "Client-IP", "True-Client-IP", "CF-Connecting-IP",
		"X-Cluster-Client-IP", "X-Forwarded-Client-Cert", "Ssl-Client-Verify", "Ssl-Client-Cert", "SSL_CLIENT_S_DN", "Client-Cert",
		"Client-Cert-Chain", "X-SSL-Client-Verify",
	} {
		h := http.Header{name: {"127.0.0.1"}}
		compile(t).Strip(h)
		if len(h) != 0 {
			t.Errorf("%s stays", name)
		}
	}
}

func TestOrdinaryHeadersStay(t *testing.T) {
	h := http.Header{}
	for _, name := range []string{
		"Accept", "Accept-Encoding", "Accept-Language", "Authorization", "Cache-Control", "Connection", "Content-Length", "Content-Type",
		"Cookie", "DNT", "Expect", "From", "If-None-Match", "Origin", "Pragma", "Priority", "Proxy-Authorization", "Range", "Referer",
		"Sec-Fetch-Mode", "Sec-WebSocket-Key", "TE", "Trailer", "Traceparent", "Upgrade", "User-Agent", "X", "X-Requested-With",
		"X-Request-Id", "X-Csrf-Token", "X-Api-Key", "X-Auth-Token", "X-Amz-Date", "X-Goog-Api-Key", "X-HTTP-Method-Override", "X-User-Agent",
		"Remote-Control", "Cf-Ray", "Client", "Forward", "Sallyforth", "Ssl", "True", "-", "",
	} {
		h[name] = []string{"x"}
	}
	want := maps.Clone(h)
	compile(t).Strip(h)
	if diff := cmp.Diff(want, h); diff != "" {
		t.Error(diff)
	}
}

func ordinaryRequest() http.Header {
	return http.Header{
		"Accept": {"*/*"}, "Accept-Encoding": {"gzip"}, "Accept-Language": {"en"}, "Cache-Control": {"no-cache"}, "Cookie": {"a=b"},
		"Content-Type": {"text/plain"}, "Priority": {"u=0"}, "Referer": {"https://app.test/"}, "Sec-Ch-Ua": {"x"}, "Sec-Fetch-Dest": {"document"},
		"Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Site": {"none"}, "Upgrade-Insecure-Requests": {"1"}, "User-Agent": {"x"}, "X-Requested-With": {"x"},
	}
}

func TestHeadersOfARequestCostOneAllocation(t *testing.T) {
	s, id := compile(t, config.Header{Name: "Staff-Number", Claim: "sub"}), alice()
	p, err := s.Prepare(id)
	if err != nil {
		t.Fatal(err)
	}
	h := ordinaryRequest()
	p.Apply(h) // the map grows once
	if got := testing.AllocsPerRun(100, func() { s.Strip(h) }); got != 0 {
		t.Errorf("Strip: %v allocations", got)
	}
	if got := testing.AllocsPerRun(100, func() {
		s.Strip(h)
		p.Apply(h)
	}); got > 1 {
		t.Errorf("Strip and Apply: %v allocations", got)
	}
	long := http.Header{"X-Forwarded-For-Someone-With-A-Very-Long-Name-That-Goes-On-And-On-And-On-And-On-And-On-And-On-And-On-And-On": {"x"}}
	if got := testing.AllocsPerRun(100, func() { s.Strip(long) }); got != 0 || len(long) != 0 {
		t.Errorf("Strip of a long name: %v allocations, %d left", got, len(long))
	}
}

func BenchmarkStrip(b *testing.B) {
	s, h := compile(b), ordinaryRequest()
	for b.Loop() {
		s.Strip(h)
	}
}

func BenchmarkStripApply(b *testing.B) {
	s, h := compile(b), ordinaryRequest()
	p, err := s.Prepare(alice())
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		s.Strip(h)
		p.Apply(h)
	}
}

func TestNamesThatAnApplicationTakesForOneAnother(t *testing.T) {
	for pair, want := range map[[2]string]bool{
		{"X-Forwarded-User", "X_Forwarded_User"}:      true,
		{"X-Forwarded-User", "x.forwardeduser"}:       true,
		{"X-Forwarded-User", "XForwardedUser--"}:      true,
		{"X-Forwarded-User", "X-Forwarded-User2"}:     false,
		{"X-Forwarded-User", "X-Forwarded-Use"}:       false,
		{"X-Forwarded-User", "X-Forwarded-Email"}:     false,
		{"X-Forwarded-User", ""}:                      false,
		{"--", "_"}:                                   true,
		{"X-Forwarded-Us\u00e9r", "X-Forwarded-User"}: false,
	} {
		if headers.SameName(pair[0], pair[1]) != want || headers.SameName(pair[1], pair[0]) != want {
			t.Errorf("%q: want %v", pair, want)
		}
	}
}
