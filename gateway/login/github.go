package login

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/sallyport/sallyport/gateway/config"
)

const (
	githubPage  = 100 // entries of one answer: as many as GitHub gives
	githubPages = 10  // answers that are asked for; who is in more teams is refused
)

// github reads what GitHub says of a user besides his profile: the addresses,
// the organizations and the teams. Its groups are the organizations, and the
// teams as organization/team, in lower case: GitHub does not tell cases apart.
type github struct {
	cfg    *config.Provider
	client *http.Client

	emails, groups bool // what the token may read
}

func newGitHub(cfg *config.Provider, client *http.Client) *github {
	may := func(scopes ...string) bool {
		return slices.ContainsFunc(scopes, func(s string) bool { return slices.Contains(cfg.Scopes, s) })
	}
	return &github{
		cfg: cfg, client: client,
		emails: may("user", "user:email"),
		groups: may("read:org", "write:org", "admin:org") || len(cfg.Organizations) > 0,
	}
}

func (g *github) refine(ctx context.Context, accessToken string, claims map[string]any) error {
	// The address of the profile is the one that the user shows to everybody.
	delete(claims, "email")
	delete(claims, "email_verified")
	delete(claims, "groups")
	if g.emails {
		if err := g.email(ctx, accessToken, claims); err != nil {
			return err
		}
	}
	if !g.groups {
		return nil
	}
	groups, err := g.groupsOf(ctx, accessToken)
	if err != nil {
		return err
	}
	wanted := g.cfg.Organizations
	if len(wanted) > 0 && !slices.ContainsFunc(wanted, func(one string) bool { return slices.Contains(groups, strings.ToLower(one)) }) {
		return notMember("members of", wanted)
	}
	list := make([]any, len(groups))
	for i, group := range groups {
		list[i] = group
	}
	claims["groups"] = list
	return nil
}

// email takes the primary address, and says whether GitHub has verified it.
func (g *github) email(ctx context.Context, accessToken string, claims map[string]any) error {
	type address struct {
		Email    string `json:"email"`
		Primary  bool   `json:"primary"`
		Verified bool   `json:"verified"`
	}
	all, err := githubList[address](ctx, g, "/emails", accessToken)
	if err != nil {
		return err
	}
	for _, one := range all {
		if one.Primary {
			claims["email"], claims["email_verified"] = one.Email, one.Verified
		}
	}
	return nil
}

func (g *github) groupsOf(ctx context.Context, accessToken string) ([]string, error) {
	type org struct {
		Login string `json:"login"`
	}
	type team struct {
		Slug         string `json:"slug"`
		Organization org    `json:"organization"`
	}
	var groups []string
	orgs, err := githubList[org](ctx, g, "/orgs", accessToken)
	if err != nil {
		return nil, err
	}
	for _, one := range orgs {
		if one.Login != "" {
			groups = append(groups, strings.ToLower(one.Login))
		}
	}
	teams, err := githubList[team](ctx, g, "/teams", accessToken)
	if err != nil {
		return nil, err
	}
	for _, one := range teams {
		if one.Organization.Login != "" && one.Slug != "" {
			groups = append(groups, strings.ToLower(one.Organization.Login+"/"+one.Slug))
		}
	}
	slices.Sort(groups)
	return slices.Compact(groups), nil
}

// githubList reads a list, page by page. It counts the pages itself rather than
// go where the answer points to.
func githubList[T any](ctx context.Context, g *github, what, accessToken string) ([]T, error) {
	var all []T
	for page := range githubPages {
		address, err := url.JoinPath(g.cfg.UserinfoURL, what)
		if err == nil {
			address, err = withQuery(address, url.Values{"per_page": {strconv.Itoa(githubPage)}, "page": {strconv.Itoa(page + 1)}})
		}
		if err != nil {
			return nil, providerOutage(err)
		}
		body, err := askAPI(ctx, g.client, address, accessToken)
		if err != nil {
			return nil, err
		}
		var list []T
		if err := json.Unmarshal(body, &list); err != nil {
			return nil, badUserinfo(errors.New("not a JSON list"))
		}
		all = append(all, list...)
		if len(list) < githubPage {
			return all, nil
		}
	}
	return nil, groupsIncomplete(errors.New("more pages than are read"))
}
