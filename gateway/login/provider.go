package login

import (
	"context"

	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/pages"
	"github.com/sallyport/sallyport/gateway/session"
)

// provider is one way to sign in. It also implements exactly one of redirector
// and passwords. All methods are safe for concurrent use.
type provider interface {
	// name is the configured name: a part of URLs, a label in logs.
	name() string
	// choice is how the sign-in page offers it.
	choice() pages.ProviderChoice
	// run does the background work until ctx ends, which may be none.
	run(ctx context.Context)
	// ready returns why nobody can sign in right now, or nil.
	ready() error
}

// redirector is a provider elsewhere, to which the browser is sent.
type redirector interface {
	provider
	// authorize returns where the browser is sent. Its errors are those of
	// redeem: it may ask the provider.
	authorize(ctx context.Context, a *attempt, o authorizeOptions) (string, error)
	// checkAnswer judges what the provider sent back besides the code, before
	// the code is sent anywhere. iss are the values of the iss parameter.
	checkAnswer(iss []string) error
	// redeem exchanges the code and proves who signed in. A definite no is an
	// *httperr.Error below 500; an outage one with 503.
	redeem(ctx context.Context, a *attempt, code string) (*session.SignIn, error)
}

// authorizeOptions vary a request for authorization.
type authorizeOptions struct {
	state      string
	selectUser bool // let the user choose the account, though he has a session there
}

// passwords is a provider that judges a form of the gateway's own sign-in page.
type passwords interface {
	provider
	// verify returns who it is. ErrWrongPassword is a definite no, and does
	// not tell an unknown user from a wrong password; any other error means
	// that it could not be judged.
	verify(ctx context.Context, username, password string) (*identity.Identity, error)
}

// localIssuer is the issuer of identities that the gateway itself vouches for.
func localIssuer(provider string) string { return "urn:sallyport:" + provider }
