package login

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// tokenAnswer is what a token endpoint grants (RFC 6749, section 5.1).
type tokenAnswer struct {
	AccessToken  string
	RefreshToken string
	IDToken      string
	Expiry       time.Time // of the access token; zero where the server does not tell
}

// tokenRefusal is what a token endpoint says instead. It shows nothing of the
// body but the error code.
type tokenRefusal struct { //nolint:errname // it is an answer
	Status int
	Code   string // RFC 6749, section 5.2; may be empty
}

// Error gives the status and the code.
func (e *tokenRefusal) Error() string {
	return fmt.Sprintf("token endpoint: status %d, error %.40q", e.Status, e.Code)
}

// outage reports that the server could not judge the request: it is neither yes
// nor no, and can be sent again later.
func (e *tokenRefusal) outage() bool {
	return e.Status >= http.StatusInternalServerError || e.Status == http.StatusTooManyRequests || e.Status == http.StatusRequestTimeout ||
		e.Code == "temporarily_unavailable" || e.Code == "server_error"
}

var errNoTokens = errors.New("token endpoint: the answer holds no bearer token")

// readTokens judges the answer of a token endpoint. Errors are *tokenRefusal,
// and anything else where the answer is none at all. Some servers refuse with
// status 200 and an error in the body, and some write expires_in as text.
func readTokens(status int, body []byte) (*tokenAnswer, error) {
	var members map[string]json.RawMessage // exact names: struct fields fold them
	malformed := json.Unmarshal(body, &members) != nil
	text := func(name string) string {
		var s string
		_ = json.Unmarshal(members[name], &s) // what is no text is as good as absent
		return s
	}
	code := text("error")
	switch {
	case status < 200 || status > 299 || code != "":
		return nil, &tokenRefusal{Status: status, Code: code}
	case malformed:
		return nil, errors.New("token endpoint: the answer is not JSON")
	}
	a := &tokenAnswer{AccessToken: text("access_token"), RefreshToken: text("refresh_token"), IDToken: text("id_token")}
	kind := text("token_type")
	if a.AccessToken == "" || kind != "" && !strings.EqualFold(kind, "Bearer") {
		return nil, errNoTokens
	}
	seconds, err := strconv.ParseFloat(strings.Trim(string(members["expires_in"]), `"`), 64)
	if err == nil && seconds > 0 {
		a.Expiry = time.Now().Add(time.Duration(math.Min(seconds, 1<<32)) * time.Second)
	}
	return a, nil
}

// exchangeError turns what came of an exchange into the answer to the browser.
func exchangeError(err error) error {
	no, ok := errors.AsType[*tokenRefusal](err)
	switch {
	case errors.Is(err, errNoTokens):
		return badRequest(ReasonProviderError, "The sign-in service sent an answer that makes no sense. Start again.", err)
	case !ok:
		return providerOutage(fmt.Errorf("token endpoint: %w", err))
	case no.outage():
		return providerOutage(err)
	case no.Code == "invalid_grant", no.Code == "bad_verification_code":
		return badRequest(ReasonInvalidGrant, "This sign-in was used up or took too long. Start it again.", err)
	}
	// invalid_client and the like: the configuration here or there is wrong.
	return badRequest(ReasonProviderError, "The sign-in service refused this site. Tell the people who run it.", err)
}
