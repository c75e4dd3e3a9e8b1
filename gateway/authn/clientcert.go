package authn

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/maypok86/otter/v2"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/identity"
)

// Reasons of refusals of client certificates.
const (
	ReasonCertificateSubject = "client_certificate_subject" // the part that names who it is is missing, twice there, or no text
	ReasonCertificateExpired = "client_certificate_expired"
)

// ClientCertIssuer is the issuer of identities behind client certificates.
const ClientCertIssuer = "client_cert"

const (
	maxCertificates = 4096 // whose identities are remembered
	maxCertSubject  = 1024 // bytes
)

// ClientCert accepts the certificate that a client presented when it connected
// (RFC 8446, section 4.4.2). The listener has proven the key and the chain; here
// it is only read. A certificate in a header is never one: anybody can write it.
type ClientCert struct {
	subject func(*x509.Certificate) string
	seen    *otter.Cache[[32]byte, *identity.Identity]
}

var _ Authenticator = (*ClientCert)(nil)

// NewClientCert makes the authenticator. subject is server.tls.client_subject.
func NewClientCert(subject string) (*ClientCert, error) {
	read, ok := map[string]func(*x509.Certificate) string{
		config.ClientSubjectCN:    commonName,
		config.ClientSubjectDN:    func(c *x509.Certificate) string { return c.Subject.String() },
		config.ClientSubjectURI:   firstURI,
		config.ClientSubjectDNS:   func(c *x509.Certificate) string { return first(c.DNSNames) },
		config.ClientSubjectEmail: func(c *x509.Certificate) string { return first(c.EmailAddresses) },
	}[subject]
	if !ok {
		return nil, fmt.Errorf("no part of a certificate is called %q", subject)
	}
	seen, err := otter.New(&otter.Options[[32]byte, *identity.Identity]{MaximumSize: maxCertificates})
	if err != nil {
		return nil, err
	}
	return &ClientCert{subject: read, seen: seen}, nil
}

// Kind implements Authenticator.
func (*ClientCert) Kind() Kind { return KindClientCert }

// Extract implements Authenticator. Without a verified chain there is no
// certificate that means anything.
func (*ClientCert) Extract(r *http.Request) (Credential, error) {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 || len(r.TLS.PeerCertificates) == 0 {
		return Credential{}, ErrNoCredential
	}
	// It was sent once, with the connection, and costs the request nothing.
	return Credential{Kind: KindClientCert, Certificate: r.TLS.PeerCertificates[0]}, nil
}

// Strip implements Authenticator. There is nothing to take out: headers by which
// proxies tell of certificates are deleted on every route, with the others that
// only a gateway may set.
func (*ClientCert) Strip(http.Header) {}

// Authenticate implements Authenticator. A connection can outlive the
// certificate that it began with, so the dates are looked at each time.
func (a *ClientCert) Authenticate(_ context.Context, c Credential) (*identity.Identity, error) {
	cert := c.Certificate
	if cert == nil {
		return nil, ErrNoCredential
	}
	if now := time.Now(); now.Before(cert.NotBefore) || now.After(cert.NotAfter) {
		return nil, &Refusal{Reason: ReasonCertificateExpired}
	}
	ref := sha256.Sum256(cert.Raw)
	if id, ok := a.seen.GetIfPresent(ref); ok {
		return id, nil
	}
	subject := a.subject(cert)
	if !isName(subject) {
		return nil, &Refusal{Reason: ReasonCertificateSubject}
	}
	id := &identity.Identity{
		Issuer: ClientCertIssuer, Subject: subject, PreferredUsername: subject, Name: cert.Subject.CommonName,
		Groups: cert.Subject.OrganizationalUnit, Method: string(KindClientCert), ExpiresAt: cert.NotAfter,
		Ref: ref, Memo: new(identity.Memo),
	}
	if email := first(cert.EmailAddresses); isName(email) {
		id.Email, id.EmailVerified = email, true // the authority that the operator trusts vouches for it
	}
	a.seen.Set(ref, id)
	return id, nil
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

func firstURI(c *x509.Certificate) string {
	if len(c.URIs) == 0 {
		return ""
	}
	return c.URIs[0].String()
}

// commonName returns the CN, and nothing where there are several: which of them
// counts is told differently by different readers.
func commonName(c *x509.Certificate) string {
	cn, found := "", 0
	for _, attribute := range c.Subject.Names {
		if attribute.Type.Equal(asn1.ObjectIdentifier{2, 5, 4, 3}) {
			cn, _ = attribute.Value.(string)
			found++
		}
	}
	if found != 1 {
		return ""
	}
	return cn
}

// isName refuses what could be read as another name than it is.
func isName(s string) bool {
	return s != "" && len(s) <= maxCertSubject && utf8.ValidString(s) && strings.TrimSpace(s) == s && !strings.ContainsFunc(s, unicode.IsControl)
}
