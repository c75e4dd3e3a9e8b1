package admin

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/sallyport/sallyport/gateway/httperr"
)

// TokenRevocation takes tokens back before they expire: one by its jti, or
// what was issued before a time, to one subject or to all. An empty issuer
// stands for every one.
type TokenRevocation struct {
	Issuer       string    `json:"issuer,omitempty"`
	ID           string    `json:"jti,omitempty"`
	Subject      string    `json:"subject,omitempty"`
	IssuedBefore time.Time `json:"issued_before,omitzero"`
	// ExpiresAt is when the revocation is forgotten; absent = never.
	ExpiresAt time.Time `json:"expires_at,omitzero"`
}

// TokenRevocations are all that are remembered.
type TokenRevocations struct {
	Revocations []TokenRevocation `json:"revocations"`
}

// TokenRevoker keeps revocations.
type TokenRevoker interface {
	// RevokeTokens returns what was kept, with its ExpiresAt, when every gateway
	// is sure to learn of it.
	RevokeTokens(ctx context.Context, v TokenRevocation) (TokenRevocation, error)
	TokenRevocations() []TokenRevocation
}

// TokenEndpoints are the API's endpoints for tokens.
func TokenEndpoints(r TokenRevoker) []Endpoint {
	return []Endpoint{
		{Method: http.MethodPost, Path: "/tokens/revocations", Takes: TokenRevocation{}, Gives: TokenRevocation{}, Status: http.StatusCreated, Summary: "Takes tokens back before they expire, on every gateway.", Serve: func(w http.ResponseWriter, req *http.Request) error {
			return revokeTokens(w, req, r)
		}},
		{Method: http.MethodGet, Path: "/tokens/revocations", Gives: TokenRevocations{}, Summary: "Lists the tokens that were taken back.", Serve: func(w http.ResponseWriter, _ *http.Request) error {
			list := r.TokenRevocations()
			slices.SortFunc(list, func(a, b TokenRevocation) int {
				return cmp.Or(cmp.Compare(a.Issuer, b.Issuer), cmp.Compare(a.Subject, b.Subject), cmp.Compare(a.ID, b.ID))
			})
			return writeJSON(w, http.StatusOK, TokenRevocations{list})
		}},
	}
}

func revokeTokens(w http.ResponseWriter, r *http.Request, revoker TokenRevoker) error {
	var v TokenRevocation
	if err := readJSON(r, &v); err != nil {
		return err
	}
	switch {
	case v.ID != "" && (v.Subject != "" || !v.IssuedBefore.IsZero()):
		return badRequest("jti names one token: send it without subject and issued_before.")
	case v.ID == "" && v.Subject == "" && v.IssuedBefore.IsZero():
		return badRequest("Send jti, subject or issued_before.")
	case len(v.ID) > maxClaim || len(v.Subject) > maxClaim || len(v.Issuer) > maxClaim:
		return badRequest("A value is longer than any token can have it.")
	case v.ID == "" && v.IssuedBefore.IsZero():
		v.IssuedBefore = time.Now()
	}
	if !v.ExpiresAt.IsZero() && !v.ExpiresAt.After(time.Now()) {
		return badRequest("expires_at is in the past.")
	}
	kept, err := revoker.RevokeTokens(r.Context(), v)
	if err != nil {
		return &httperr.Error{
			Code: http.StatusServiceUnavailable, Reason: "store_unavailable",
			Public: "The store does not answer, so it is not sure that the tokens are revoked. Try again.", Err: err,
		}
	}
	return writeJSON(w, http.StatusCreated, kept)
}

// maxClaim is about the longest that an issuer, subject or id can be.
const maxClaim = 2 << 10
