package login_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/login"
)

func TestKakaoAndNaverUsers(t *testing.T) {
	kakao := func(valid, verified bool) string {
		return fmt.Sprintf(`{"id":9007199254740993,"connected_at":"2026-01-01T00:00:00Z","properties":{"nickname":"old"},`+
			`"kakao_account":{"profile":{"nickname":"앨리스"},"email":"alice@kakao.com","is_email_valid":%v,"is_email_verified":%v,"email_verified":true}}`, valid, verified)
	}
	who := func(kind, subject, email string, verified bool, name, username string) map[string]any {
		return map[string]any{
			"issuer": "urn:sallyport:" + kind, "subject": subject, "email": email, "email_verified": verified, "name": name,
			"preferred_username": username, "groups": []any{}, "provider": kind,
		}
	}
	const naver = `{"resultcode":"00","message":"success","response":{"id":"32742776","nickname":"ali","name":"앨리스","email":"alice@naver.com","email_verified":true}}`
	tests := map[string]struct {
		kind, user string
		more       []string
		want       map[string]any
	}{
		"kakao, verified":                {"kakao", kakao(true, true), nil, who("kakao", "9007199254740993", "alice@kakao.com", true, "앨리스", "")},
		"kakao, no longer valid":         {"kakao", kakao(false, true), nil, who("kakao", "9007199254740993", "alice@kakao.com", false, "앨리스", "")},
		"kakao, never verified":          {"kakao", kakao(true, false), nil, who("kakao", "9007199254740993", "alice@kakao.com", false, "앨리스", "")},
		"kakao, the user shares nothing": {"kakao", `{"id":7}`, nil, who("kakao", "7", "", false, "", "")},
		"naver":                          {"naver", naver, nil, who("naver", "32742776", "alice@naver.com", false, "앨리스", "ali")},
		"naver, trusted":                 {"naver", naver, []string{"trust_email: true"}, who("naver", "32742776", "alice@naver.com", true, "앨리스", "ali")},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := newSocial(t, tt.user)
			s.post, s.wantsState = true, tt.kind == "naver"
			if diff := cmp.Diff(tt.want, newGateway(t, s.provider(tt.kind, tt.more...)).whoSignsIn(t)); diff != "" {
				t.Error(diff)
			}
			if q := s.request(0); q.Has("scope") {
				t.Errorf("scopes are asked for that nobody configured: %v", q)
			}
		})
	}
	t.Run("naver, an answer about nobody", func(t *testing.T) {
		g := newGateway(t, newSocial(t, `{"resultcode":"024","message":"Authentication failed","response":{"id":"1"}}`).provider("naver"))
		b := g.browser(t)
		refused(t, b, b.get(b.beginLogin("/")), http.StatusBadRequest, login.ReasonInvalidUserinfo)
	})
	t.Run("kakao, scopes as Kakao writes them", func(t *testing.T) {
		s := newSocial(t, `{"id":7}`)
		newGateway(t, s.provider("kakao", "scopes: [account_email, profile_nickname]")).whoSignsIn(t)
		if got := s.request(0).Get("scope"); got != "account_email,profile_nickname" {
			t.Errorf("scope is %q", got)
		}
	})
}

// gitHub is a service with the API of GitHub: two pages of teams.
func gitHub(t *testing.T, emails string, orgs ...string) *social {
	t.Helper()
	s := newSocial(t, `{"login":"Octocat","id":583231,"name":"Olivia","email":"public@example.com"}`)
	s.post = true
	s.says("/user/emails", emails)
	list := func(all []map[string]any) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			var page, size int
			_, _ = fmt.Sscan(r.URL.Query().Get("page"), &page)
			_, _ = fmt.Sscan(r.URL.Query().Get("per_page"), &size)
			from, to := min((page-1)*size, len(all)), min(page*size, len(all))
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Link", `<https://evil.test/steal>; rel="next"`)
			_ = json.NewEncoder(w).Encode(all[from:to])
		}
	}
	var named, teams []map[string]any
	for _, org := range orgs {
		named = append(named, map[string]any{"login": org, "id": 1})
		for i := range 60 {
			teams = append(teams, map[string]any{"slug": fmt.Sprintf("team-%d", i), "organization": map[string]any{"login": org}})
		}
	}
	s.does("/user/orgs", list(named))
	s.does("/user/teams", list(teams))
	return s
}

const verifiedEmail = `[{"email":"spare@example.com","primary":false,"verified":true},{"email":"o@example.com","primary":true,"verified":true}]`

func TestGitHubUsers(t *testing.T) {
	s := gitHub(t, verifiedEmail, "Acme", "initech")
	g := newGateway(t, s.provider("github"))
	who := g.whoSignsIn(t)
	groups, _ := who["groups"].([]any)
	delete(who, "groups")
	want := map[string]any{
		"issuer": "urn:sallyport:github", "subject": "583231", "email": "o@example.com", "email_verified": true, "name": "Olivia",
		"preferred_username": "Octocat", "provider": "github",
	}
	if diff := cmp.Diff(want, who); diff != "" {
		t.Error(diff)
	}
	has := map[any]bool{}
	for _, group := range groups {
		has[group] = true
	}
	if len(groups) != 2+120 || !has["acme"] || !has["initech"] || !has["acme/team-0"] || !has["initech/team-59"] {
		t.Errorf("%d groups: %v", len(groups), groups)
	}
	if got := s.request(0).Get("scope"); got != "read:user user:email read:org" {
		t.Errorf("scope is %q", got)
	}
}

func TestGitHubAddressIsThePrimaryOneAndVerifiedByGitHubAlone(t *testing.T) {
	for name, tt := range map[string]struct {
		emails, want string
		verified     bool
	}{
		"the primary one is not verified": {`[{"email":"o@example.com","primary":true,"verified":false},{"email":"ceo@example.com","verified":true}]`, "o@example.com", false},
		"there is none":                   {`[]`, "", false},
		"none is primary":                 {`[{"email":"o@example.com","verified":true}]`, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			who := newGateway(t, gitHub(t, tt.emails).provider("github")).whoSignsIn(t)
			if who["email"] != tt.want || who["email_verified"] != tt.verified {
				t.Errorf("the address is %v, verified %v", who["email"], who["email_verified"])
			}
		})
	}
	t.Run("without the scope nothing is asked", func(t *testing.T) {
		s := gitHub(t, verifiedEmail, "acme")
		who := newGateway(t, s.provider("github", "scopes: ['read:user']")).whoSignsIn(t)
		if who["email"] != "" || s.called("/user/emails")+s.called("/user/orgs") != 0 {
			t.Errorf("the address is %v", who["email"])
		}
	})
}

func TestGitHubOrganizationsSayWhoMaySignIn(t *testing.T) {
	tests := map[string]struct {
		wanted string
		in     []string
		ok     bool
	}{
		"a member":                     {"[initech, ACME]", []string{"Acme"}, true},
		"a member of the team":         {"[acme/team-3]", []string{"Acme"}, true},
		"a member of no such team":     {"[acme/team-99]", []string{"Acme"}, false},
		"a member of another":          {"[acme]", []string{"initech"}, false},
		"a member of one that is like": {"[acme]", []string{"acme-fans", "xacme"}, false},
		"a member of none":             {"[acme]", nil, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t, gitHub(t, verifiedEmail, tt.in...).provider("github", "organizations: "+tt.wanted))
			b := g.browser(t)
			got := b.get(b.beginLogin("/deep"), "Accept", "text/html", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document")
			if tt.ok {
				if got.StatusCode != http.StatusFound || b.session() == "" {
					t.Errorf("answered with %d %s", got.StatusCode, got.body)
				}
				return
			}
			if got.StatusCode != http.StatusForbidden || b.session() != "" || g.Store.created() != 0 {
				t.Errorf("answered with %d", got.StatusCode)
			}
			if !strings.Contains(got.body, "Only members of "+strings.Trim(strings.ReplaceAll(tt.wanted, ", ", " or "), "[]")) ||
				!strings.Contains(got.body, "switch=1") || !strings.Contains(got.body, "return_to=%2Fdeep") {
				t.Errorf("the page does not say who may come in, or leads to no other account: %s", got.body)
			}
		})
	}
}

func TestGroupsThatCannotBeReadAreNotNoGroups(t *testing.T) {
	forbidden := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }
	endless := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte("[" + strings.Repeat(`{"login":"x"},`, 99) + `{"login":"y"}]`))
	}
	for name, tt := range map[string]struct {
		path   string
		api    http.HandlerFunc
		status int
		reason string
	}{
		"organizations are forbidden": {"/user/orgs", forbidden, 400, login.ReasonInvalidUserinfo},
		"teams are forbidden":         {"/user/teams", forbidden, 400, login.ReasonInvalidUserinfo},
		"there is no end of them":     {"/user/orgs", endless, 403, login.ReasonGroupsIncomplete},
	} {
		t.Run(name, func(t *testing.T) {
			s := gitHub(t, verifiedEmail, "acme")
			s.does(tt.path, tt.api)
			b := newGateway(t, s.provider("github")).browser(t)
			refused(t, b, b.get(b.beginLogin("/")), tt.status, tt.reason)
		})
	}
}

// The presets speak to the services themselves unless they are told otherwise.
func TestPresetsNameTheServices(t *testing.T) {
	got := map[string][]string{}
	for kind, more := range map[string]string{
		"github": "client_secret: x", "kakao": "client_secret: x", "naver": "client_secret: x",
		"google": "client_secret: x", "gitlab": "client_secret: x", "microsoft": "tenant: consumers",
	} {
		p := parseProvider(t, kind, more)
		for _, u := range []string{p.Issuer, p.AuthorizationURL, p.TokenURL, p.UserinfoURL, p.ClientAuth} {
			if u != "" {
				got[kind] = append(got[kind], u)
			}
		}
	}
	want := map[string][]string{
		"github":    {"https://github.com/login/oauth/authorize", "https://github.com/login/oauth/access_token", "https://api.github.com/user", config.ClientAuthPost},
		"kakao":     {"https://kauth.kakao.com/oauth/authorize", "https://kauth.kakao.com/oauth/token", "https://kapi.kakao.com/v2/user/me", config.ClientAuthPost},
		"naver":     {"https://nid.naver.com/oauth2.0/authorize", "https://nid.naver.com/oauth2.0/token", "https://openapi.naver.com/v1/nid/me", config.ClientAuthPost},
		"google":    {"https://accounts.google.com"},
		"gitlab":    {"https://gitlab.com"},
		"microsoft": {"https://login.microsoftonline.com/" + config.PersonalTenant + "/v2.0"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
