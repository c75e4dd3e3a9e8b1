package admin

import (
	"net/http"
	"time"

	"github.com/sallyport/sallyport/gateway/httperr"
)

// maxMint is the longest life of a minted token.
const maxMint = time.Hour

// MintRequest asks for an access token about somebody. Lifetime is as Go writes
// durations; the default is 5m. Claims can't replace what the other fields say.
type MintRequest struct {
	Subject           string         `json:"subject"`
	Email             string         `json:"email"`
	Name              string         `json:"name"`
	PreferredUsername string         `json:"preferred_username"`
	Groups            []string       `json:"groups"`
	Audience          string         `json:"audience"`
	Lifetime          string         `json:"lifetime"`
	Claims            map[string]any `json:"claims"`
}

// Minted is the answer.
type Minted struct {
	AccessToken string    `json:"access_token"`
	TokenType   string    `json:"token_type"`
	ExpiresIn   int       `json:"expires_in"` // seconds
	ExpiresAt   time.Time `json:"expires_at"`
	Issuer      string    `json:"issuer"`
	Audience    string    `json:"audience"`
}

// Mint returns POST /tokens/mint. A nil issue refuses: whoever may mint may be
// anybody, so it is for development alone. issue gets a request with a subject and
// the parsed lifetime; its errors are those of package httperr.
func Mint(issue func(r *http.Request, m *MintRequest, lifetime time.Duration) (Minted, error)) []Endpoint {
	return []Endpoint{{Method: http.MethodPost, Path: "/tokens/mint", Takes: MintRequest{}, Gives: Minted{}, Summary: "Makes a token about anybody, in development alone.", Serve: func(w http.ResponseWriter, r *http.Request) error {
		if issue == nil {
			return &httperr.Error{
				Code: http.StatusForbidden, Reason: "not_development",
				Public: "Tokens are minted in development only: where there is a login provider of type dev.",
			}
		}
		var m MintRequest
		if err := readJSON(r, &m); err != nil {
			return err
		}
		if m.Subject == "" {
			return badRequest("A token needs a subject.")
		}
		lifetime := 5 * time.Minute
		if m.Lifetime != "" {
			var err error
			if lifetime, err = time.ParseDuration(m.Lifetime); err != nil || lifetime < time.Second || lifetime > maxMint {
				return badRequest("The lifetime must be a duration between 1s and 1h, such as 5m.")
			}
		}
		minted, err := issue(r, &m, lifetime)
		if err != nil {
			return err
		}
		return writeJSON(w, http.StatusOK, minted)
	}}}
}
