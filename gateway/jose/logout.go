package jose

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

const (
	// logoutEvent names what a logout token is about (OpenID Connect
	// Back-Channel Logout 1.0 section 2.4).
	logoutEvent = "http://schemas.openid.net/event/backchannel-logout"
	// maxLogoutAge is how old a logout token can be, besides the leeway. Providers
	// send it when the session ends, and sign anew for another try.
	maxLogoutAge = 2 * time.Minute
)

// Logout is what a logout token says: of Subject and SessionID at least one is
// not empty.
type Logout struct {
	Issuer, Subject, SessionID string
	ID                         string // jti: the token is to be used once
	IssuedAt                   time.Time
}

// JudgeLogout decides whether a proven token is a logout token for us that was
// just made (OpenID Connect Back-Channel Logout 1.0 section 2.6). strict demands
// the typ logout+jwt; without, a typ that says nothing will do too, for many
// providers set no other. Whether the token was used before is not judged here.
// Errors are *Invalid.
func (r *Rules) JudgeLogout(t *Token, c *Claims, now time.Time, strict bool) (*Logout, error) {
	// 1. The algorithm is one that was configured.
	if err := r.JudgeAlgorithm(t); err != nil {
		return nil, err
	}
	// 2. The token is of the right kind. An ID token must not pass for one, and
	// this one not for an ID token: the event is required, a nonce forbidden.
	types := []string{"logout+jwt", "application/logout+jwt"}
	if !strict {
		types = append(types, "", "JWT", "application/jwt")
	}
	if err := checkType(t, types...); err != nil {
		return nil, err
	}
	if err := logoutKind(c); err != nil {
		return nil, err
	}
	// 3. It comes from the issuer, and it is for us.
	if err := r.checkIssuer(c); err != nil {
		return nil, err
	}
	if err := r.checkAudience(c, r.Audiences); err != nil {
		return nil, err
	}
	// 4. It was just made.
	if err := r.checkLogoutTimes(c, now); err != nil {
		return nil, err
	}
	// 5. It can be told from others, and says who or what is over.
	if c.ID == "" {
		return nil, &Invalid{MissingClaim, errors.New("jti")}
	}
	sid, err := textClaim(c, "sid")
	if err != nil {
		return nil, err
	}
	if _, err := textClaim(c, "sub"); err != nil {
		return nil, err
	}
	if c.Subject == "" && sid == "" {
		return nil, &Invalid{MissingClaim, errors.New("sub or sid")}
	}
	return &Logout{Issuer: c.Issuer, Subject: c.Subject, SessionID: sid, ID: c.ID, IssuedAt: c.IssuedAt}, nil
}

func logoutKind(c *Claims) error {
	v, ok := c.Raw["events"]
	if !ok {
		return &Invalid{WrongTokenType, errors.New("a logout token has events")}
	}
	events, ok := v.(map[string]any)
	if !ok {
		return &Invalid{MalformedClaims, errors.New("events is not an object")}
	}
	event, ok := events[logoutEvent]
	if !ok {
		return &Invalid{WrongTokenType, errors.New("it is about another event than a logout")}
	}
	if _, ok := event.(map[string]any); !ok {
		return &Invalid{MalformedClaims, errors.New("the value of the logout event is not an object")}
	}
	for _, mark := range []string{"nonce", "at_hash", "c_hash", "s_hash"} {
		if _, ok := c.Raw[mark]; ok {
			return &Invalid{WrongTokenType, fmt.Errorf("a logout token has no %s", mark)}
		}
	}
	return refuseUse(c, "id", "id_token", "bearer", "access", "access_token", "refresh", "refresh_token", "offline")
}

func (r *Rules) checkLogoutTimes(c *Claims, now time.Time) error {
	leeway := max(r.Leeway, 0)
	switch {
	case c.IssuedAt.IsZero():
		return &Invalid{MissingClaim, errors.New("iat")}
	case now.Sub(c.IssuedAt) > maxLogoutAge+leeway:
		return &Invalid{TokenExpired, fmt.Errorf("made %v ago", now.Sub(c.IssuedAt).Round(time.Second))}
	case c.IssuedAt.After(now.Add(leeway)), c.NotBefore.After(now.Add(leeway)):
		return &Invalid{TokenNotYetValid, nil}
	case c.Raw["exp"] == nil:
		return nil // not every provider sets it
	case !now.Before(c.Expires.Add(leeway)):
		return &Invalid{TokenExpired, fmt.Errorf("%v ago", now.Sub(c.Expires).Round(time.Second))}
	case !c.Expires.After(c.IssuedAt):
		return &Invalid{TokenLifetime, errors.New("it ends before it begins")}
	}
	return nil
}

// textClaim returns a claim that is absent or a string that is not empty: one
// that is there and says nothing is a mistake, not a wildcard.
func textClaim(c *Claims, name string) (string, error) {
	v, ok := c.Raw[name]
	if !ok {
		return "", nil
	}
	s, ok := v.(string)
	if !ok || strings.TrimSpace(s) == "" {
		return "", &Invalid{MalformedClaims, fmt.Errorf("%s is not a string that says something", name)}
	}
	return s, nil
}
