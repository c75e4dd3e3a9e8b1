package login_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/login"
	"github.com/sallyport/sallyport/gateway/login/oidctest"
)

// vendor is an entry of the configuration for the scripted provider.
func vendor(t *testing.T, op *oidctest.Provider, kind string, more ...string) config.Provider {
	t.Helper()
	p := parseProvider(t, kind, append(more, "client_secret: "+oidctest.ClientSecret)...)
	if !strings.Contains(strings.Join(more, " "), "issuer:") {
		p.Issuer = op.Issuer
	}
	return p
}

// claimsOf makes the provider say this in ID tokens.
func claimsOf(op *oidctest.Provider, claims map[string]any) {
	op.Set(func(s *oidctest.Script) { s.Claims = claims })
}

// The parameter hd is a hint that anybody can remove; a personal account can have
// an address of any domain.
func TestGoogleHostedDomainIsProvenByTheClaim(t *testing.T) {
	op := oidctest.New(t)
	g := newGateway(t, vendor(t, op, "google", "hosted_domain: example.com")).waitReady(t)
	for name, hd := range map[string]any{
		"none": nil, "another": "evil.test", "one below it": "sub.example.com", "one above it": "com", "a list": []string{"example.com"}, "in capitals": "EXAMPLE.COM",
	} {
		t.Run(name, func(t *testing.T) {
			claims := map[string]any{"email": "alice@example.com", "email_verified": true}
			if hd != nil {
				claims["hd"] = hd
			}
			claimsOf(op, claims)
			b := g.browser(t)
			got := b.get(b.beginLogin("/"))
			refused(t, b, got, http.StatusForbidden, login.ReasonNotMember)
			if !strings.Contains(got.body, "example.com") {
				t.Errorf("the answer does not say which accounts may come in: %s", got.body)
			}
		})
	}
	claimsOf(op, map[string]any{"email": "alice@example.com", "hd": "example.com"})
	g.browser(t).signIn("/")
	if got := op.Authorizations()[0].Get("hd"); got != "example.com" {
		t.Errorf("hd is %q", got)
	}
}

const (
	tenantA = "11111111-2222-3333-4444-555555555555"
	tenantB = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
)

// entra is a scripted provider of several tenants: its metadata has a template
// for the issuer. The path of the configured issuer is taken off on the way.
func entra(t *testing.T) (op *oidctest.Provider, issuer string) {
	t.Helper()
	op = oidctest.New(t)
	target, err := url.Parse(op.Issuer)
	if err != nil {
		t.Fatal(err)
	}
	front := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.URL.Path = strings.TrimPrefix(r.In.URL.Path, "/organizations/v2.0")
	}}
	srv := httptest.NewServer(front)
	t.Cleanup(srv.Close)
	op.Set(func(s *oidctest.Script) { entraScript(s, srv.URL, tenantA) })
	return op, srv.URL
}

func entraScript(s *oidctest.Script, base, tenant string) {
	s.Metadata = func(m map[string]any) {
		m["issuer"] = base + "/{tenantid}/v2.0"
		delete(m, "authorization_response_iss_parameter_supported")
	}
	s.Answer = func(q url.Values) { q.Del("iss") }
	s.Claims = map[string]any{"iss": base + "/" + tenant + "/v2.0", "tid": tenant, "email": "alice@example.com"}
}

func TestMicrosoftIssuerIsThatOfTheTenantInTheToken(t *testing.T) {
	op, base := entra(t)
	cfg := vendor(t, op, "microsoft", "tenant: organizations", "issuer: "+base+"/organizations/v2.0")
	g := newGateway(t, cfg).waitReady(t)
	who := g.whoSignsIn(t)
	if who["issuer"] != base+"/"+tenantA+"/v2.0" || who["email"] != "alice@example.com" || who["email_verified"] != false {
		t.Errorf("taken for %v", who)
	}
	for name, claims := range map[string]map[string]any{
		"the template itself":            {"iss": base + "/{tenantid}/v2.0", "tid": "{tenantid}"},
		"the issuer of another tenant":   {"iss": base + "/" + tenantB + "/v2.0", "tid": tenantA},
		"no tenant":                      {"iss": base + "/" + tenantA + "/v2.0"},
		"a tenant of a number":           {"iss": base + "/1/v2.0", "tid": 1},
		"an empty tenant":                {"iss": base + "//v2.0", "tid": ""},
		"a tenant that leads elsewhere":  {"iss": base + "/" + tenantA + "/../x/v2.0", "tid": tenantA + "/../x"},
		"a host that only begins alike":  {"iss": base + ".evil.test/" + tenantA + "/v2.0", "tid": tenantA},
		"the issuer of the other format": {"iss": "https://sts.windows.net/" + tenantA + "/", "tid": tenantA},
	} {
		t.Run(name, func(t *testing.T) {
			op.Set(func(s *oidctest.Script) { s.Claims = claims })
			b := newGateway(t, cfg).waitReady(t).browser(t)
			refused(t, b, b.get(b.beginLogin("/")), http.StatusBadRequest, login.ReasonInvalidIDToken)
		})
	}
}

func TestMicrosoftAccountsOfOtherTenantsMayNotSignIn(t *testing.T) {
	op, base := entra(t)
	cfg := vendor(t, op, "microsoft", "tenant: organizations", "issuer: "+base+"/organizations/v2.0", "organizations: ["+tenantB+"]")
	g := newGateway(t, cfg).waitReady(t)
	for name, tenant := range map[string]string{"another organization": tenantA, "a personal account": config.PersonalTenant} {
		t.Run(name, func(t *testing.T) {
			op.Set(func(s *oidctest.Script) { entraScript(s, base, tenant) })
			b := g.browser(t)
			refused(t, b, b.get(b.beginLogin("/")), http.StatusForbidden, login.ReasonNotMember)
		})
	}
	op.Set(func(s *oidctest.Script) { entraScript(s, base, tenantB) })
	g.browser(t).signIn("/")
}

// nOAuth: whoever runs a tenant can write any address into it.
func TestMicrosoftAddressIsVerifiedWhereTheTenantOwnsItsDomain(t *testing.T) {
	op := oidctest.New(t)
	for name, tt := range map[string]struct {
		claims map[string]any
		want   bool
	}{
		"nothing is said":             {map[string]any{}, false},
		"the tenant says so itself":   {map[string]any{"email_verified": true}, false},
		"the domain is the tenant's":  {map[string]any{"xms_edov": true}, true},
		"the domain is another's":     {map[string]any{"xms_edov": false, "email_verified": true}, false},
		"it is said in another shape": {map[string]any{"xms_edov": "true"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			tt.claims["email"] = "ceo@example.com"
			claimsOf(op, tt.claims)
			g := newGateway(t, vendor(t, op, "microsoft", "tenant: "+tenantA)).waitReady(t)
			if got := g.whoSignsIn(t)["email_verified"]; got != tt.want {
				t.Errorf("verified is %v", got)
			}
		})
	}
}

// A user with too many groups must not slip through a rule that denies one.
func TestGroupsThatAreLeftOutOfTheTokenAreNotNoGroups(t *testing.T) {
	op := oidctest.New(t)
	elsewhere := map[string]any{
		"email": "a@b.c", "_claim_names": map[string]any{"groups": "src1"},
		"_claim_sources": map[string]any{"src1": map[string]any{"endpoint": "https://graph.windows.net/x"}}, "roles": []string{"Admin"},
	}
	for name, tt := range map[string]struct {
		claims map[string]any
		more   []string
		groups any
	}{
		"they are elsewhere":              {claims: elsewhere},
		"there are some":                  {claims: map[string]any{"email": "a@b.c", "hasgroups": true}},
		"roles are asked for instead":     {claims: elsewhere, more: []string{"groups_claim: roles"}, groups: []any{"Admin"}},
		"other claims are elsewhere":      {claims: map[string]any{"email": "a@b.c", "_claim_names": map[string]any{"photos": "src1"}}, groups: []any{}},
		"they are in the token after all": {claims: map[string]any{"email": "a@b.c", "hasgroups": true, "groups": []string{"g"}}, groups: []any{"g"}},
	} {
		t.Run(name, func(t *testing.T) {
			claimsOf(op, tt.claims)
			g := newGateway(t, vendor(t, op, "microsoft", append(tt.more, "tenant: "+tenantA)...)).waitReady(t)
			if tt.groups == nil {
				b := g.browser(t)
				refused(t, b, b.get(b.beginLogin("/")), http.StatusForbidden, login.ReasonGroupsIncomplete)
				return
			}
			if diff := cmp.Diff(tt.groups, g.whoSignsIn(t)["groups"]); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestGitLabGroupsComeFromUserinfo(t *testing.T) {
	op := oidctest.New(t)
	op.Set(func(s *oidctest.Script) {
		s.Claims = map[string]any{"email": "alice@example.com", "email_verified": true, "groups_direct": []string{"acme/web"}}
		s.Userinfo = func(m map[string]any) { m["groups"] = []string{"acme", "acme/web"} }
	})
	who := newGateway(t, vendor(t, op, "gitlab")).waitReady(t).whoSignsIn(t)
	if diff := cmp.Diff([]any{"acme", "acme/web"}, who["groups"]); diff != "" || who["email"] != "alice@example.com" {
		t.Errorf("taken for %v: %s", who, diff)
	}
}

func TestSubjectCanBeAnotherClaimOfTheIDToken(t *testing.T) {
	op := oidctest.New(t)
	claimsOf(op, map[string]any{"email": "a@b.c", "oid": "0b1", "mail": "m@b.c", "mail_verified": true, "account": map[string]any{"label": "Alice", "nick": "al"}})
	cfg := corp(op)
	cfg.ClaimMapping = config.ClaimMapping{
		SubjectClaim: "oid", EmailClaim: "mail", NameClaim: "account.label", UsernameClaim: "account.nick", GroupsClaim: "groups",
	}
	who := newGateway(t, cfg).waitReady(t).whoSignsIn(t)
	if who["subject"] != "0b1" || who["email"] != "m@b.c" || who["email_verified"] != true || who["name"] != "Alice" || who["preferred_username"] != "al" {
		t.Errorf("taken for %v", who)
	}
	cfg.SubjectClaim = "employee"
	b := newGateway(t, cfg).waitReady(t).browser(t)
	refused(t, b, b.get(b.beginLogin("/")), http.StatusBadRequest, login.ReasonInvalidIDToken)
}

// The gateway reaches the provider inside, browsers reach it outside: nothing
// that the gateway asks goes by the outer address, and the names stay.
func TestBackChannelGoesByAnotherAddressThanTheBrowser(t *testing.T) {
	op := oidctest.New(t)
	op.Set(func(s *oidctest.Script) { s.Push = true })
	inside := op.Issuer
	target, err := url.Parse(inside)
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int32
	proxy := httputil.NewSingleHostReverseProxy(target)
	outside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/authorize" {
			asked.Add(1)
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(outside.Close)
	op.Issuer = outside.URL // so it calls itself everywhere
	cfg := corp(op)
	cfg.BackChannelURL = inside
	g := newGateway(t, cfg).waitReady(t)
	b := g.browser(t)
	start := b.get("/.auth/login")
	if !strings.HasPrefix(start.location(), outside.URL+"/authorize?") {
		t.Errorf("the browser is sent to %s", start.location())
	}
	if who := g.whoSignsIn(t); who["issuer"] != outside.URL || who["email"] != "alice@example.com" {
		t.Errorf("taken for %v", who)
	}
	for _, endpoint := range []string{oidctest.Discovery, oidctest.Keys, oidctest.Push, oidctest.Token, oidctest.Userinfo} {
		if op.Calls(endpoint) == 0 {
			t.Errorf("%s was never asked", endpoint)
		}
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("the gateway asked the outer address %d times", n)
	}
	// The inner address speaks for nobody else.
	op.Set(func(s *oidctest.Script) { s.IDTokenClaims = func(c map[string]any) { c["iss"] = inside } })
	if got := b.get(b.beginLogin("/")); got.StatusCode != http.StatusBadRequest || got.reason() != login.ReasonInvalidIDToken {
		t.Errorf("a token that names the inner address is answered with %d", got.StatusCode)
	}
}
