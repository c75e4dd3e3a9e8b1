package login_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/login"
)

func TestPasswordOfAnAccountIsProvenWithoutASession(t *testing.T) {
	second := usersProvider(t, strings.ReplaceAll(cheapUsers, "username: bob", "username: zoe"))
	second.Name = "partners"
	g := newGateway(t, config.Provider{Name: "dev", Type: config.ProviderDev, Identities: []config.DevIdentity{{Subject: "devon"}}}, usersProvider(t, cheapUsers), second)
	for name, c := range map[string]struct {
		username, password string
		issuer             string // "" is a definite no
	}{
		"the right password":            {"bob", "correct horse", "urn:sallyport:local"},
		"of the second file":            {"zoe", "correct horse", "urn:sallyport:partners"},
		"in both files":                 {"alice", "correct horse", "urn:sallyport:local"},
		"a wrong password":              {"bob", "correct", ""},
		"an unknown user":               {"mallory", "correct horse", ""},
		"nobody":                        {"", "correct horse", ""},
		"no password":                   {"bob", "", ""},
		"a development identity":        {"devon", "x", ""}, // anybody can be that one on the page, and nobody here
		"a password that is far longer": {"bob", strings.Repeat("x", 2000), ""},
	} {
		t.Run(name, func(t *testing.T) {
			id, err := g.Service.VerifyAccount(t.Context(), c.username, c.password, "")
			switch {
			case c.issuer == "" && (id != nil || !errors.Is(err, login.ErrWrongPassword)):
				t.Errorf("%v, %v", id, err)
			case c.issuer != "" && (err != nil || id.Issuer != c.issuer || id.Subject != c.username):
				t.Errorf("%v, %v", id, err)
			}
		})
	}
	for name, known := range map[string]bool{"alice": true, "zoe": true, "devon": false, "mallory": false, "": false} {
		if g.Service.KnownAccount(name) != known {
			t.Errorf("%q: known is %v", name, !known)
		}
	}
	if len(g.auditLog()) != 0 {
		t.Error("it counts as a sign-in")
	}
}

func TestChangedFileOfUsersChangesTheGeneration(t *testing.T) {
	cfg := usersProvider(t, cheapUsers)
	g := newGateway(t, cfg)
	before := g.Service.AccountsGeneration()
	rewrite(t, cfg.File, strings.Replace(cheapUsers, "alice", "carol", 1))
	waitFor(t, "another generation", func() bool { return g.Service.AccountsGeneration() != before })
	if g.Service.KnownAccount("alice") || !g.Service.KnownAccount("carol") {
		t.Error("the generation changed before the accounts did")
	}
}

func TestFloodOfPasswordsFromProgramsLeavesTheSignInPageItsShare(t *testing.T) {
	g := newGateway(t, usersProvider(t, cheapUsers))
	g.Service.KeepProgramsBusy()
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // it would wait for its turn
	if id, err := g.Service.VerifyAccount(ctx, "alice", "correct horse", ""); id != nil || err == nil || errors.Is(err, login.ErrWrongPassword) {
		t.Errorf("a program: %v, %v; want no answer either way", id, err)
	}
	if got := g.program(t).post("/.auth/login", url.Values{"username": {"alice"}, "password": {"correct horse"}}); got.StatusCode != http.StatusSeeOther {
		t.Errorf("the sign-in page: %d", got.StatusCode)
	}
}
