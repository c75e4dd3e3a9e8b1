package authn

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/sallyport/sallyport/gateway/jose"
	"github.com/sallyport/sallyport/gateway/session"
)

const dpopHeader = "Dpop" // as net/http spells it

// Evidence is what a request brings along to show that it has the key which its
// token is bound to.
type Evidence struct {
	DPoP        bool     // the token came under the DPoP scheme
	Proofs      []string // the DPoP headers
	Method      string
	Host        string
	Path        string   // escaped
	Certificate [32]byte // SHA-256 of the client certificate; zero without one
}

// evidence is nil for a plain bearer token over a connection without a
// certificate, which is nearly every request.
func evidence(r *http.Request, scheme string) *Evidence {
	certificate := r.TLS != nil && len(r.TLS.PeerCertificates) > 0
	if scheme == schemeBearer && !certificate {
		return nil
	}
	e := &Evidence{DPoP: scheme == schemeDPoP}
	if e.DPoP {
		e.Proofs = r.Header[dpopHeader]
		e.Method, e.Host, e.Path = r.Method, r.Host, r.URL.EscapedPath()
	}
	if certificate {
		e.Certificate = sha256.Sum256(r.TLS.PeerCertificates[0].Raw)
	}
	return e
}

// Possession judges whether whoever sends a bound token has its key: by a DPoP
// proof (RFC 9449) or by the certificate of the connection (RFC 8705).
type Possession struct {
	Scheme string        // of public_url: what clients call the gateway by
	MaxAge time.Duration // of a DPoP proof
	// Replays remembers, for all gateways, the proofs that were accepted.
	Replays session.Records
}

// replayKind is the kind of the records of accepted proofs.
const replayKind = "dpop"

// ReasonReplayedProof says that a DPoP proof was accepted before.
const ReasonReplayedProof = "replayed_dpop_proof"

// judge refuses a bound token without its proof, and a token that is not bound
// under the DPoP scheme, which would promise what is not so. Where it can't be
// said whether a proof was used before, it is an outage.
func (p *Possession) judge(ctx context.Context, want jose.Confirmation, token Secret, e *Evidence, now time.Time) error {
	if want.IsZero() && e == nil {
		return nil
	}
	if e == nil {
		e = &Evidence{}
	}
	if want.X5TS256 != "" {
		hash, err := base64.RawURLEncoding.Strict().DecodeString(want.X5TS256)
		if err != nil || e.Certificate == [32]byte{} || subtle.ConstantTimeCompare(hash, e.Certificate[:]) != 1 {
			return &Refusal{Reason: string(jose.BoundToken), Err: errors.New("it is bound to another client certificate than that of the connection")}
		}
	}
	switch {
	case want.JKT == "" && !e.DPoP:
		return nil
	case want.JKT == "":
		return &Refusal{Reason: string(jose.InvalidProof), Err: errors.New("the token is not bound to a key")}
	case !e.DPoP:
		return &Refusal{Reason: string(jose.BoundToken), Err: errors.New("it is bound to a key, and was sent as a bearer token")}
	}
	return p.judgeProof(ctx, want.JKT, token, e, now)
}

func (p *Possession) judgeProof(ctx context.Context, jkt string, token Secret, e *Evidence, now time.Time) error {
	if len(e.Proofs) != 1 {
		return &Refusal{Reason: string(jose.InvalidProof), Err: fmt.Errorf("%d DPoP headers", len(e.Proofs))}
	}
	proof, err := jose.JudgeProof(e.Proofs[0], jose.ProofRules{
		Method: e.Method, URL: p.Scheme + "://" + e.Host + e.Path, AccessToken: string(token), MaxAge: p.MaxAge,
	}, now)
	if err != nil {
		return refusal(err)
	}
	if subtle.ConstantTimeCompare([]byte(proof.Thumbprint), []byte(jkt)) != 1 {
		return &Refusal{Reason: string(jose.InvalidProof), Err: errors.New("the proof is by another key than the token's")}
	}
	// Last, so that only the holder of the key writes anything. It is kept for
	// as long as the proof could be accepted.
	_, err = p.Replays.SaveRecord(ctx, replayKind, proof.Thumbprint+"\x00"+proof.ID, 0, []byte{1}, proof.IssuedAt.Add(p.MaxAge+time.Second))
	switch {
	case err == nil:
		return nil
	case errors.Is(err, session.ErrConflict):
		return &Refusal{Reason: ReasonReplayedProof}
	}
	return fmt.Errorf("replay of DPoP proofs: %w", err)
}
