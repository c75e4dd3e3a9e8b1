package authn

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/jose"
)

// answerLeeway is how far the server's clock may be off.
const answerLeeway = time.Minute

// answer is what a server says of a token that is good there. It is not changed
// once it is made, but for what facts remember.
type answer struct {
	id           *identity.Identity
	confirmation jose.Confirmation
	audience     []string
	facts        *tokenFacts
}

// judgeAnswer reads an introspection answer (RFC 7662, section 2.2) and says who
// the token is for. A *Refusal is the server's no, or says what makes the token
// useless here; any other error that the answer can't be understood, which is
// neither yes nor no. On error the answer is nil.
func judgeAnswer(cfg *config.Introspection, body []byte, now time.Time) (*answer, error) {
	object, err := jose.DecodeObject(body)
	if err != nil {
		return nil, fmt.Errorf("the answer is no JSON object that has one meaning: %w", cause(err))
	}
	// A string "true", a 1 or nothing at all is not what the RFC has a server say.
	active, ok := object["active"].(bool)
	if !ok {
		return nil, errors.New("the answer has no member active that is true or false")
	}
	if !active {
		return nil, &Refusal{Reason: ReasonTokenInactive}
	}
	claims, err := jose.ObjectClaims(object)
	if err != nil {
		return nil, fmt.Errorf("the answer: %w", cause(err))
	}
	if reason := judgeClaims(cfg, claims, now); reason != "" {
		return nil, &Refusal{Reason: string(reason)}
	}
	confirmation, err := claims.Confirmation()
	if err != nil {
		return nil, refusal(err)
	}
	id := mapClaims(cfg.ClaimMapping, claims)
	if id.Subject == "" {
		return nil, &Refusal{Reason: string(jose.MissingClaim), Err: fmt.Errorf("no %s", cfg.SubjectClaim)}
	}
	if id.Issuer == "" {
		id.Issuer = cfg.UserIssuer()
	}
	id.EmailVerified = id.EmailVerified || cfg.TrustEmail
	id.Method = string(KindIntrospection)
	facts := factsOf(claims, id.Subject)
	facts.issuer = id.Issuer
	return &answer{id: id, confirmation: confirmation, audience: claims.Audience, facts: facts}, nil
}

// judgeClaims returns why a token that its server calls active is none for this
// gateway, or nothing.
func judgeClaims(cfg *config.Introspection, c *jose.Claims, now time.Time) jose.Reason {
	switch {
	case !isAccessToken(c.Raw):
		return jose.WrongTokenType
	case !c.Expires.IsZero() && !now.Before(c.Expires.Add(answerLeeway)):
		return jose.TokenExpired
	case now.Add(answerLeeway).Before(c.NotBefore), now.Add(answerLeeway).Before(c.IssuedAt):
		return jose.TokenNotYetValid
	case cfg.Issuer != "" && c.Issuer != "" && c.Issuer != cfg.Issuer:
		return jose.WrongIssuer
	case len(cfg.Audiences) > 0 && !meets(c.Audience, cfg.Audiences):
		return jose.WrongAudience
	}
	return ""
}

// isAccessToken goes by the registered token_type and by what servers say
// beyond the RFC: refresh and ID tokens are active, too, and no access tokens.
func isAccessToken(object map[string]any) bool {
	if v, given := object["token_type"]; given {
		kind, ok := v.(string)
		if !ok || !strings.EqualFold(kind, schemeBearer) && !strings.EqualFold(kind, schemeDPoP) {
			return false
		}
	}
	for _, name := range []string{"token_use", "typ"} {
		use, _ := object[name].(string)
		switch strings.ToLower(use) {
		case "id", "id_token", "refresh", "refresh_token", "offline", "logout", "logout+jwt":
			return false
		}
	}
	return true
}

// cause takes the reason of jose away, which is about tokens.
func cause(err error) error {
	if bad, ok := errors.AsType[*jose.Invalid](err); ok && bad.Err != nil {
		return bad.Err
	}
	return err
}
