package authn_test

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/gateway/authn"
	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/tlstest"
)

func clientCert(t testing.TB, subject string) *authn.ClientCert {
	t.Helper()
	a, err := authn.NewClientCert(subject)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// withCertificate is a request whose connection has presented a certificate
// that was verified.
func withCertificate(cert *x509.Certificate) *http.Request {
	r := request()
	r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}, VerifiedChains: [][]*x509.Certificate{{cert}}}
	return r
}

func present1(t *testing.T, a *authn.ClientCert, r *http.Request) (*identity.Identity, error) {
	t.Helper()
	_, c, err := authn.Order(authn.Chain{a}).Extract(r, true)
	if err != nil {
		return nil, err
	}
	return a.Authenticate(t.Context(), c)
}

func TestSubjectOfAClientCertificate(t *testing.T) {
	ca := tlstest.New(t)
	uri := func(s string) *url.URL {
		u, err := url.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	full := ca.Issue(&x509.Certificate{
		Subject:  pkix.Name{CommonName: "billing", OrganizationalUnit: []string{"ops"}, Organization: []string{"Example, Inc."}, Country: []string{"DE"}},
		DNSNames: []string{"billing.internal", "other.internal"}, EmailAddresses: []string{"billing@example.test", "b@example.test"},
		URIs: []*url.URL{uri("spiffe://example.test/ns/a/sa/billing"), uri("spiffe://example.test/other")},
	}).Leaf
	bare := ca.Issue(&x509.Certificate{Subject: pkix.Name{OrganizationalUnit: []string{"x"}}}).Leaf
	empty := ca.Issue(&x509.Certificate{}).Leaf
	odd := func(cn string) *x509.Certificate {
		return ca.Issue(&x509.Certificate{Subject: pkix.Name{CommonName: cn}}).Leaf
	}
	cn := asn1.ObjectIdentifier{2, 5, 4, 3}
	two := ca.Issue(&x509.Certificate{Subject: pkix.Name{
		ExtraNames: []pkix.AttributeTypeAndValue{{Type: cn, Value: "mallory"}, {Type: cn, Value: "root"}},
	}}).Leaf
	for name, c := range map[string]struct {
		subject string
		cert    *x509.Certificate
		want    string // "" is a refusal
	}{
		"cn":                          {"cn", full, "billing"},
		"dn":                          {"dn", full, `CN=billing,OU=ops,O=Example\, Inc.,C=DE`},
		"the first uri":               {"uri", full, "spiffe://example.test/ns/a/sa/billing"},
		"the first dns name":          {"dns", full, "billing.internal"},
		"the first e-mail address":    {"email", full, "billing@example.test"},
		"no cn":                       {"cn", bare, ""},
		"no uri":                      {"uri", bare, ""},
		"no dns name":                 {"dns", bare, ""},
		"no e-mail address":           {"email", bare, ""},
		"an empty dn":                 {"dn", empty, ""},
		"a cn with a line end":        {"cn", odd("a\r\nX-Forwarded-User: root"), ""},
		"a cn with a NUL":             {"cn", odd("root\x00.example"), ""},
		"a cn of spaces":              {"cn", odd("  "), ""},
		"a cn that ends in a space":   {"cn", odd("root "), ""},
		"a cn that is far too long":   {"cn", odd(strings.Repeat("a", 5000)), ""},
		"two cns, one of them root":   {"cn", two, ""},
		"a cn that is not only ASCII": {"cn", odd("Jürgen"), "Jürgen"},
	} {
		t.Run(name, func(t *testing.T) {
			a := clientCert(t, c.subject)
			for range 2 { // the second time from memory
				id, err := present1(t, a, withCertificate(c.cert))
				switch got := verdict(t, id, err); {
				case c.want == "" && got != authn.ReasonCertificateSubject:
					t.Errorf("%s", got)
				case c.want != "" && (err != nil || id.Subject != c.want):
					t.Errorf("%v, %v; want %s", id, err, c.want)
				}
			}
		})
	}
	if _, err := authn.NewClientCert("serial"); err == nil {
		t.Error("a part that certificates do not have is accepted")
	}
}

func TestIdentityBehindAClientCertificate(t *testing.T) {
	cert := tlstest.New(t).Issue(&x509.Certificate{
		Subject: pkix.Name{CommonName: "billing", OrganizationalUnit: []string{"ops", "staff"}}, EmailAddresses: []string{"billing@example.test"},
	}).Leaf
	a := clientCert(t, "cn")
	id, err := present1(t, a, withCertificate(cert))
	if err != nil {
		t.Fatal(err)
	}
	if id.Ref.IsZero() || id.Memo == nil {
		t.Error("the certificate has no name, or there is no memo")
	}
	got := *id
	got.Ref, got.Memo = identity.Ref{}, nil
	want := identity.Identity{
		Issuer: authn.ClientCertIssuer, Subject: "billing", PreferredUsername: "billing", Name: "billing", Groups: []string{"ops", "staff"},
		Email: "billing@example.test", EmailVerified: true, Method: "client_cert", ExpiresAt: cert.NotAfter,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if again, err := present1(t, a, withCertificate(cert)); err != nil || again != id {
		t.Error("the same certificate has two identities")
	}
	r := withCertificate(cert)
	allocs := testing.AllocsPerRun(100, func() {
		c, err := a.Extract(r)
		if err == nil {
			_, err = a.Authenticate(t.Context(), c)
		}
		if err != nil {
			t.Fatal(err)
		}
	})
	if allocs > 1 {
		t.Errorf("%.0f allocations", allocs)
	}
}

// TestCertificateThatRunsOutWhileItsConnectionLives: TLS looks at the dates once.
func TestCertificateThatRunsOutWhileItsConnectionLives(t *testing.T) {
	ca := tlstest.New(t)
	for name, c := range map[string]struct {
		from, to time.Duration
		want     string
	}{
		"valid": {-time.Hour, time.Hour, accepted}, "over": {-time.Hour, -time.Second, authn.ReasonCertificateExpired}, "not yet": {time.Hour, 2 * time.Hour, authn.ReasonCertificateExpired},
	} {
		cert := ca.Issue(&x509.Certificate{Subject: pkix.Name{CommonName: "a"}, NotBefore: time.Now().Add(c.from), NotAfter: time.Now().Add(c.to)}).Leaf
		id, err := present1(t, clientCert(t, "cn"), withCertificate(cert))
		if got := verdict(t, id, err); got != c.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestCertificateThatNobodyVerifiedIsNone(t *testing.T) {
	a := clientCert(t, "cn")
	cert := tlstest.New(t).Issue(&x509.Certificate{Subject: pkix.Name{CommonName: "root"}}).Leaf
	unverified := withCertificate(cert)
	unverified.TLS.VerifiedChains = nil
	plain := request("Client-Cert", ":AAAA:", "X-Forwarded-Client-Cert", `Subject="CN=root"`, "X-SSL-Client-Verify", "SUCCESS", "X-SSL-Client-S-DN", "CN=root")
	none := request()
	none.TLS = &tls.ConnectionState{}
	for name, r := range map[string]*http.Request{"unverified": unverified, "headers over plain http": plain, "no certificate": none} {
		if _, err := present1(t, a, r); !errors.Is(err, authn.ErrNoCredential) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if id, err := a.Authenticate(t.Context(), authn.Credential{}); err == nil || id != nil {
		t.Error("no certificate at all is accepted")
	}
}

// TestCertificateRanksLast: a sidecar presents its own on every connection.
func TestCertificateRanksLast(t *testing.T) {
	sessions, cert := fake{authn.KindSession, "X-Session"}, clientCert(t, "cn")
	chain := authn.Order(authn.Chain{cert, sessions, fake{authn.KindBearer, "Authorization"}})
	one := tlstest.New(t).Issue(&x509.Certificate{Subject: pkix.Name{CommonName: "sidecar"}}).Leaf
	for name, c := range map[string]struct {
		headers []string
		chain   authn.Chain
		judge   bool
		want    authn.Kind
	}{
		"alone":                      {nil, chain, true, authn.KindClientCert},
		"beside a cookie":            {[]string{"X-Session", "1"}, chain, true, authn.KindSession},
		"beside a token":             {[]string{"Authorization", "x", "X-Session", "1"}, chain, true, authn.KindBearer},
		"beside a scheme for nobody": {[]string{"Authorization", "x"}, authn.Order(authn.Chain{cert, sessions}), true, ""},
		"beside the app's own":       {[]string{"Authorization", "x"}, authn.Order(authn.Chain{cert, sessions}), false, authn.KindClientCert},
	} {
		r := withCertificate(one)
		r.Header = request(c.headers...).Header
		_, cred, err := c.chain.Extract(r, c.judge)
		if cred.Kind != c.want {
			t.Errorf("%s: %q, %v; want %q", name, cred.Kind, err, c.want)
		}
	}
}

// TestListenerRefusesCertificatesOfOthers is over real connections.
func TestListenerRefusesCertificatesOfOthers(t *testing.T) {
	ca, other := tlstest.New(t), tlstest.New(t)
	a := clientCert(t, "cn")
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, err := present1(t, a, r)
		switch {
		case errors.Is(err, authn.ErrNoCredential):
			w.Header().Set("X-Who", "nobody")
		case err == nil:
			w.Header().Set("X-Who", id.Subject)
		}
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that are meant to fail
	server.TLS = &tls.Config{ClientCAs: ca.Pool(), ClientAuth: tls.VerifyClientCertIfGiven, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	defer server.Close()
	named := func(cn string) *x509.Certificate { return &x509.Certificate{Subject: pkix.Name{CommonName: cn}} }
	expired := named("late")
	expired.NotBefore, expired.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
	for name, c := range map[string]struct {
		certs []tls.Certificate
		want  string // "" is a connection that is refused
	}{
		"no certificate":       {nil, "nobody"},
		"a certificate":        {[]tls.Certificate{ca.Issue(named("billing"))}, "billing"},
		"one of another CA":    {[]tls.Certificate{other.Issue(named("root"))}, ""},
		"one that has expired": {[]tls.Certificate{ca.Issue(expired)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
				transport := server.Client().Transport.(*http.Transport).Clone()
				transport.TLSClientConfig.MinVersion, transport.TLSClientConfig.MaxVersion = version, version
				transport.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
					if len(c.certs) == 0 {
						return &tls.Certificate{}, nil
					}
					return &c.certs[0], nil
				}
				res, err := (&http.Client{Transport: transport}).Get(server.URL)
				transport.CloseIdleConnections()
				got := ""
				if err == nil {
					res.Body.Close()
					got = res.Header.Get("X-Who")
				}
				if got != c.want {
					t.Errorf("TLS %x: %q (%v), want %q", version, got, err, c.want)
				}
			}
		})
	}
}
