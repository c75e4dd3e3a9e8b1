package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/httperr"
	"github.com/sallyport/sallyport/gateway/telemetry"
)

// Signer makes and checks what the pages give to browsers.
type Signer interface {
	Sign(message []byte) (keyID byte, mac [sha256.Size]byte)
	Check(keyID byte, message, mac []byte) bool
}

// Gate says who may come in. Whoever is proven in one of the ways is an operator
// and may do everything: there are no lesser ones.
type Gate struct {
	// Token returns the token that operators show. It is called for each
	// request, so that a token file can be exchanged.
	Token func() (config.Secret, error)
	// Certificates says that a client certificate, which the listener has
	// verified, is as good as the token.
	Certificates bool
	// Hosts are the names of the listener, besides those that nobody else can have.
	Hosts    []string
	Signer   Signer
	Trail    *telemetry.Trail // gets the records of who came in, and of who did not
	Visitors *Visitors
}

// Visitors is what is remembered of those who came, as long as the process lives.
type Visitors struct {
	attempts attempts
	ended    endedSignIns
}

// NewVisitors remembers nobody yet.
func NewVisitors() *Visitors { return &Visitors{} }

// nameToken is the operator who has the token.
const nameToken = "admin token"

type gate struct {
	Gate
	origin *http.CrossOriginProtection
}

// api lets in who has the token, or a client certificate. Loopback is no proof: a
// sidecar shares it with the application.
func (g *gate) api(f httperr.HandlerFunc) httperr.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		who, err := g.proven(r, "Bearer")
		if err != nil {
			return err
		}
		if who == nil {
			return g.unproven("Bearer", "Send the token of admin.token_file as Authorization: Bearer.")
		}
		if who.ambient {
			if err := g.host(r); err != nil {
				return err
			}
			if g.origin.Check(r) != nil {
				return errElsewhere()
			}
		}
		return f(w, withOperator(r, who))
	}
}

// proven judges what can stand in any request: a token, or a certificate. A
// token that is wrong is final, and asked for by the scheme ask. Nil without an
// error is nobody.
func (g *gate) proven(r *http.Request, ask string) (*operator, error) {
	if scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "Bearer") {
		return g.byToken(r, given, ask)
	}
	if g.Certificates && r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		leaf := r.TLS.PeerCertificates[0]
		sum := sha256.Sum256(leaf.Raw)
		return &operator{name: "certificate " + leaf.Subject.String(), bound: sum[:], ambient: true}, nil
	}
	return nil, nil
}

// byToken judges a token that was sent in one of the ways.
func (g *gate) byToken(r *http.Request, given, ask string) (*operator, error) {
	now, from := time.Now(), clientOf(r)
	if wait := g.Visitors.attempts.wait(from, now); wait > 0 {
		return nil, &httperr.Error{
			Code: http.StatusTooManyRequests, Reason: "too_many_admin_tokens", Public: "Too many wrong tokens came from this address. Try again later.",
			Header: http.Header{"Retry-After": {strconv.Itoa(int(wait/time.Second) + 1)}},
		}
	}
	want, err := g.want()
	if err != nil {
		return nil, err
	}
	// The hashes have one length, so that the comparison tells nothing of the token's.
	a := sha256.Sum256([]byte(given))
	if subtle.ConstantTimeCompare(a[:], want[:]) != 1 {
		g.Visitors.attempts.failed(from, now)
		g.Trail.Record(refusedAct(r))
		return nil, g.unproven(ask, "The token is wrong. Send the token of admin.token_file.")
	}
	return &operator{name: nameToken, bound: want[:]}, nil
}

// want is the hash of the token, which is read for each request: it can be
// exchanged.
func (g *gate) want() ([sha256.Size]byte, error) {
	token, err := g.Token()
	switch {
	case err == nil:
		return sha256.Sum256([]byte(token.Reveal())), nil
	case !errors.Is(err, config.ErrNoSecret):
		return [sha256.Size]byte{}, &httperr.Error{Code: http.StatusServiceUnavailable, Reason: "unavailable", Public: "The admin token can't be read now.", Err: err}
	case g.Certificates:
		return [sha256.Size]byte{}, errNoCertificate()
	}
	return [sha256.Size]byte{}, &httperr.Error{Code: http.StatusForbidden, Reason: "admin_api_off", Public: "The admin API is off: configure admin.token_file."}
}

func errNoCertificate() error {
	return &httperr.Error{Code: http.StatusUnauthorized, Reason: "no_client_certificate", Public: "Present a client certificate of admin.tls.client_ca_file: there is no token here."}
}

func errElsewhere() error {
	return &httperr.Error{Code: http.StatusForbidden, Reason: "cross_site", Public: "A page of another site sent this. Nothing was done."}
}

// unproven asks for the token by a scheme of RFC 9110, section 11.
func (g *gate) unproven(scheme, public string) error {
	if _, err := g.want(); err != nil {
		return err
	}
	ask := scheme + ` realm="sallyport admin"`
	if scheme == "Basic" {
		ask += `, charset="UTF-8"`
	}
	return &httperr.Error{Code: http.StatusUnauthorized, Reason: "bad_admin_token", Public: public, Header: http.Header{"Www-Authenticate": {ask}}}
}

// host refuses names that are not this listener's. A page of another site could
// let its own name point here, and would be of the same origin then (DNS rebinding).
// Addresses can't be made to point anywhere, nor can names without a dot, which
// nobody registers.
func (g *gate) host(r *http.Request) error {
	host := r.Host
	if h, port, err := net.SplitHostPort(host); err == nil {
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return errHost(r.Host)
		}
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	bare := strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if _, err := netip.ParseAddr(bare); err == nil {
		return nil
	}
	if host != "" && !strings.Contains(host, ".") && isLabel(host) || slices.Contains(g.Hosts, host) {
		return nil
	}
	return errHost(r.Host)
}

func isLabel(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' })
}

func errHost(host string) error {
	return &httperr.Error{
		Code: http.StatusMisdirectedRequest, Reason: "unknown_host",
		Public: fmt.Sprintf("The operators' listener is not known by the name %.80q: use its address, or add the name to admin.hosts.", host),
	}
}
