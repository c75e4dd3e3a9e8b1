package gateway

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/jose"
	"github.com/sallyport/sallyport/gateway/jwks"
	"github.com/sallyport/sallyport/gateway/telemetry"
)

// Inspection is what InspectToken found out about a token. It holds nothing of
// the signature.
type Inspection struct {
	// Header and Claims are as they were sent; nothing in them is proven unless
	// the check of the signature is ok. They are nil where they can't be read.
	Header json.RawMessage   `json:"header"`
	Claims json.RawMessage   `json:"claims"`
	Checks []InspectionCheck `json:"checks"`
	// Accepted says that a running gateway would take the token, unless it was
	// revoked or is bound to a key that its sender does not have.
	Accepted bool   `json:"accepted"`
	Reason   string `json:"reason,omitempty"` // of the refusal, as in docs/reasons.md
}

// InspectionCheck is one step of the judgement, in its order.
type InspectionCheck struct {
	Name   string `json:"check"`
	Status string `json:"status"` // ok, failed, unknown (the keys could not be had), or skipped
	Detail string `json:"detail,omitempty"`
}

// The statuses of a check.
const (
	CheckOK      = "ok"
	CheckFailed  = "failed"
	CheckUnknown = "unknown"
	CheckSkipped = "skipped"
)

// inspectTimeout bounds the search for an issuer's keys.
const inspectTimeout = 12 * time.Second

// InspectToken judges a token as a gateway with this configuration would, and
// tells every step: which check fails first, and why. It may ask the issuer for
// its keys, and needs no running gateway. The token is never written anywhere.
func InspectToken(ctx context.Context, cfg *config.Config, raw string) *Inspection {
	in := &inspector{cfg: cfg, now: time.Now()}
	in.Header, in.Claims = segmentJSON(raw, 0), segmentJSON(raw, 1)
	in.judge(ctx, raw)
	for _, name := range inspectionSteps()[len(in.Checks):] {
		in.Checks = append(in.Checks, InspectionCheck{Name: name, Status: CheckSkipped})
	}
	return &in.Inspection
}

// inspectionSteps are the checks in the order in which they are made.
func inspectionSteps() []string {
	return []string{"form", "issuer", "algorithm", "key", "signature", "kind", "audience", "time", "claims"}
}

type inspector struct {
	Inspection
	cfg *config.Config
	now time.Time
}

func (in *inspector) ok(detail string) {
	in.Checks = append(in.Checks, InspectionCheck{Name: inspectionSteps()[len(in.Checks)], Status: CheckOK, Detail: detail})
}

func (in *inspector) stop(status, reason, detail string) {
	in.Checks = append(in.Checks, InspectionCheck{Name: inspectionSteps()[len(in.Checks)], Status: status, Detail: detail})
	in.Reason = reason
}

// refuse stops at what jose found wrong.
func (in *inspector) refuse(err error) {
	bad, ok := errors.AsType[*jose.Invalid](err)
	if !ok {
		in.stop(CheckFailed, string(jose.MalformedToken), "")
		return
	}
	detail := ""
	if bad.Err != nil {
		detail = bad.Err.Error()
	}
	in.stop(CheckFailed, string(bad.Reason), detail)
}

func (in *inspector) judge(ctx context.Context, raw string) {
	// 1. Form, which needs no key.
	token, err := jose.Parse(raw)
	if err != nil {
		in.refuse(err)
		return
	}
	in.ok("a compact JWS")
	// 2. Issuer: whose rules and keys apply.
	name, err := token.UnverifiedIssuer()
	if err != nil {
		in.refuse(err)
		return
	}
	c, where, ok := in.issuer(name)
	if !ok {
		in.stop(CheckFailed, "unknown_issuer", fmt.Sprintf("%.200q is not among tokens.issuers", name))
		return
	}
	in.ok(where)
	// 3. Algorithm, before any key is looked for.
	rules := issuerRules(in.cfg, c)
	if err := rules.JudgeAlgorithm(token); err != nil {
		in.refuse(err)
		return
	}
	in.ok(token.Header.Algorithm)
	// 4. and 5. The key, and by it the signature.
	claims, proven := in.prove(ctx, c, token)
	if !proven {
		return
	}
	// 6. to 9. What the proven claims say.
	in.judgeClaims(&rules, token, claims)
}

// issuer finds whose token it is. The gateway's own keys are where everybody
// finds them, so that it has to run for its own tokens to be proven.
func (in *inspector) issuer(name string) (c config.TokenIssuer, where string, ok bool) {
	for i, c := range in.cfg.Tokens.Issuers {
		if c.Issuer == name {
			return c, fmt.Sprintf("tokens.issuers[%d]", i), true
		}
	}
	if !in.cfg.AcceptsOwnTokens() || name != ownIssuerName(in.cfg) {
		return config.TokenIssuer{}, "", false
	}
	rules := ownRules(in.cfg)
	return config.TokenIssuer{
		Issuer: name, JWKSURL: name + jwksPath,
		Audiences: rules.Audiences, Algorithms: rules.Algorithms, Types: rules.Types,
		ClaimMapping: config.ClaimMapping{SubjectClaim: "sub"},
	}, "the gateway itself", true
}

func (in *inspector) prove(ctx context.Context, c config.TokenIssuer, token *jose.Token) (*jose.Claims, bool) {
	ctx, cancel := context.WithTimeout(ctx, inspectTimeout)
	defer cancel()
	keys, err := keySource(c, zap.NewNop(), telemetry.NewMetrics(""), unwatched)
	if err != nil {
		in.stop(CheckUnknown, "unavailable", err.Error())
		return nil, false
	}
	done := make(chan struct{})
	go func() { defer close(done); keys.Run(ctx) }()
	defer func() { cancel(); <-done }()
	key, err := keys.Key(ctx, token.Header.KeyID, token.Header.Algorithm)
	switch {
	case errors.Is(err, jwks.ErrUnknownKey):
		in.stop(CheckFailed, string(jose.UnknownKey), fmt.Sprintf("the issuer has no key %.80q for %s", token.Header.KeyID, token.Header.Algorithm))
		return nil, false
	case err != nil:
		detail := "the keys of the issuer can't be had now"
		if last := keys.Status().LastError; last != "" {
			detail += ": " + last
		}
		in.stop(CheckUnknown, "unavailable", detail)
		return nil, false
	}
	in.ok(keyDetail(key, token.Header.Algorithm))
	claims, err := token.Verify(key)
	if err != nil {
		in.refuse(err)
		return nil, false
	}
	in.ok("")
	return claims, true
}

func keyDetail(key *jose.Key, alg string) string {
	if key.ID == "" {
		return "the issuer's only one for " + alg
	}
	return key.String()
}

// judgeClaims finds the step to which the verdict of all rules belongs.
func (in *inspector) judgeClaims(rules *jose.Rules, token *jose.Token, claims *jose.Claims) {
	err := rules.JudgeAccess(token, claims, in.now)
	failed := "accepted"
	if bad, ok := errors.AsType[*jose.Invalid](err); ok {
		switch bad.Reason {
		case jose.WrongTokenType:
			failed = "kind"
		case jose.WrongAudience:
			failed = "audience"
		case jose.TokenExpired, jose.TokenNotYetValid, jose.TokenLifetime:
			failed = "time"
		default:
			failed = "claims"
		}
	}
	if failed == "claims" && len(claims.Audience) == 0 {
		failed = "audience" // it is required, and looked at before the others
	} else if failed == "claims" && claims.Expires.IsZero() {
		failed = "time"
	}
	for _, step := range []struct{ name, detail string }{
		{"kind", "an access token"},
		{"audience", strings.Join(claims.Audience, ", ")},
		{"time", window(claims, in.now)},
		{"claims", ""},
	} {
		if step.name == failed {
			in.refuse(err)
			return
		}
		in.ok(step.detail)
	}
	confirmation, err := claims.Confirmation()
	switch {
	case err != nil:
		in.Checks = in.Checks[:len(in.Checks)-1]
		in.refuse(err)
		return
	case !confirmation.IsZero():
		in.Checks[len(in.Checks)-1].Detail = "bound to a key (cnf): its sender must prove that he has it"
	}
	in.Accepted = true
}

func window(c *jose.Claims, now time.Time) string {
	return fmt.Sprintf("valid for another %v", c.Expires.Sub(now).Round(time.Second))
}

// segmentJSON decodes a segment for display, as far as it can be.
func segmentJSON(raw string, n int) json.RawMessage {
	if len(raw) > jose.MaxTokenBytes {
		return nil
	}
	parts := strings.SplitN(raw, ".", 4)
	if len(parts) < 2 {
		return nil
	}
	data, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[n], "="))
	if err != nil || !json.Valid(data) {
		return nil
	}
	return data
}
