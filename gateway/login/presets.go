package login

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/jose"
)

// dialect is where one OpenID provider leaves what OpenID Connect says, or has
// more to check. The zero dialect is OpenID Connect.
type dialect struct {
	// named is what the metadata calls itself; "" = the issuer.
	named string
	// issuerOf says whose ID token or answer it is that names issuer: the
	// metadata's own issuer, or one of those it stands for. nil = it must be equal.
	issuerOf func(issuer string) bool
	// accept judges proven claims. Its errors are *httperr.Error.
	accept func(c *jose.Claims) error
	// refine may change claims before they are mapped. It gets a map of its own.
	refine func(claims map[string]any)
	// request adds to the authorization request.
	request func(q url.Values)
	// lacking says that ID tokens lack claims that userinfo has.
	lacking func(c *jose.Claims) bool
}

func dialectOf(cfg *config.Provider) dialect {
	switch cfg.Type {
	case config.ProviderGoogle:
		return google(cfg)
	case config.ProviderMicrosoft:
		return microsoft(cfg)
	case config.ProviderGitLab:
		return gitlab(cfg)
	}
	return dialect{}
}

// notMember refuses somebody who has proven who he is and is not one of those
// for whom this sign-in is. wanted comes from the configuration.
func notMember(what string, wanted []string) error {
	return refuse(http.StatusForbidden, ReasonNotMember,
		fmt.Sprintf("Only %s %s may sign in here.", what, strings.Join(wanted, " or ")), nil)
}

// groupsIncomplete refuses a sign-in whose groups are not all known. Without
// them a rule that denies a group would let its members in.
func groupsIncomplete(why error) error {
	return refuse(http.StatusForbidden, ReasonGroupsIncomplete,
		"The sign-in service did not say all of your groups, because they are too many. Tell the people who run this site.", why)
}

// distributed reports whether a claim is left out and is to be had elsewhere
// (OpenID Connect Core 1.0, section 5.6.2): Microsoft does so with the groups of
// who has more than 200. hasgroups says the same in another place.
func distributed(c *jose.Claims, claim string) bool {
	if _, ok := c.Lookup(claim); ok {
		return false
	}
	names, _ := c.Raw["_claim_names"].(map[string]any)
	_, elsewhere := names[claim]
	has, _ := c.Raw["hasgroups"].(bool)
	return elsewhere || has && claim == "groups"
}

func containsFold(list []string, s string) bool {
	return slices.ContainsFunc(list, func(one string) bool { return strings.EqualFold(one, s) })
}
