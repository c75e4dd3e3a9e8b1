package authn_test

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/gateway/authn"
	"github.com/sallyport/sallyport/gateway/identity"
)

// people is a file of accounts, and counts the hashes.
type people struct {
	passwords  map[string]string
	err        error
	hashed     atomic.Int64
	generation atomic.Uint64
	wait       time.Duration
	locked     atomic.Bool
}

func (p *people) Known(username string) bool { _, ok := p.passwords[username]; return ok }
func (p *people) Generation() uint64         { return p.generation.Load() }

func (p *people) LockedOut(_, address string) error {
	if p.locked.Load() {
		return &authn.TooMany{Reason: "locked_out_" + address, Wait: time.Minute}
	}
	return nil
}

func (p *people) Verify(_ context.Context, username, password, _ string) (*identity.Identity, error) {
	p.hashed.Add(1)
	if p.wait > 0 {
		<-time.After(p.wait)
	}
	switch want, ok := p.passwords[username]; {
	case p.err != nil:
		return nil, p.err
	case !ok || want != password:
		return nil, &authn.Refusal{Reason: "invalid_login"}
	}
	return &identity.Identity{Issuer: "urn:sallyport:local", Subject: username}, nil
}

// judgeOf is a kind that accepts everything, and says what it got.
type judgeOf struct {
	kind authn.Kind
	got  *[]string
}

func (j judgeOf) Kind() authn.Kind { return j.kind }
func (j judgeOf) Extract(*http.Request) (authn.Credential, error) {
	return authn.Credential{}, authn.ErrNoCredential
}
func (j judgeOf) Strip(http.Header) {}

func (j judgeOf) Authenticate(_ context.Context, c authn.Credential) (*identity.Identity, error) {
	*j.got = append(*j.got, string(j.kind)+" "+string(c.Value))
	return &identity.Identity{Issuer: string(j.kind), Subject: "x"}, nil
}

func passwords(t testing.TB, accounts authn.Accounts) *authn.Passwords {
	t.Helper()
	p, err := authn.NewPasswords(accounts)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func basicPair(pair string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(pair))
}

// signIn sends one Authorization header through a chain.
func signIn(t testing.TB, b *authn.Basic, header string) (*identity.Identity, error) {
	t.Helper()
	_, c, err := authn.Order(authn.Chain{b}).Extract(request("Authorization", header), true)
	if err != nil {
		return nil, err
	}
	return b.Authenticate(t.Context(), c)
}

func TestBasicHeader(t *testing.T) {
	accounts := &people{passwords: map[string]string{"alice": "pass:word", "jürgen": "straße", "bob": "x"}}
	b := authn.NewBasic(passwords(t, accounts), authn.TokenKinds{}, nil)
	for name, c := range map[string]struct{ header, want string }{
		"a colon in the password":              {basicPair("alice:pass:word"), accepted},
		"the scheme in lower case":             {"basic" + basicPair("alice:pass:word")[5:], accepted},
		"UTF-8":                                {basicPair("jürgen:straße"), accepted},
		"Latin-1":                              {basicPair("j\xfcrgen:stra\xdfe"), authn.ReasonMalformedCredential},
		"a wrong password":                     {basicPair("alice:password"), "invalid_login"},
		"an unknown user":                      {basicPair("mallory:pass:word"), "invalid_login"},
		"the user in another case":             {basicPair("Alice:pass:word"), "invalid_login"},
		"no colon":                             {basicPair("alice"), authn.ReasonMalformedCredential},
		"no user":                              {basicPair(":pass:word"), authn.ReasonMalformedCredential},
		"no password":                          {basicPair("alice:"), authn.ReasonMalformedCredential},
		"a NUL":                                {basicPair("alice\x00:pass:word"), authn.ReasonMalformedCredential},
		"a line end in the password":           {basicPair("alice:pass:word\n"), authn.ReasonMalformedCredential},
		"a delete character":                   {basicPair("alice:pass:word\x7f"), authn.ReasonMalformedCredential},
		"a C1 control character":               {basicPair("alice:pass:word\u0085"), authn.ReasonMalformedCredential},
		"no base64":                            {"Basic alice:pass:word", authn.ReasonMalformedCredential},
		"base64url":                            {"Basic " + base64.URLEncoding.EncodeToString([]byte("alice:???>>>")), authn.ReasonMalformedCredential},
		"base64 without padding":               {strings.TrimRight(basicPair("bob:x"), "="), authn.ReasonMalformedCredential},
		"base64 with bits that mean nothing":   {"Basic Ym9iOng=\x00", authn.ReasonMalformedCredential},
		"two pairs":                            {basicPair("alice:pass:word") + ", " + basicPair("bob:x"), authn.ReasonMalformedCredential},
		"nothing after the scheme":             {"Basic ", authn.ReasonMalformedCredential},
		"no space after the scheme":            {"Basic", authn.ReasonUnsupportedCredential},
		"a token, where no kind judges tokens": {basicPair("bob:a.b.c"), "invalid_login"},
		"a key, where no kind judges keys":     {basicPair("bob:spk_x"), "invalid_login"},
	} {
		t.Run(name, func(t *testing.T) {
			id, err := signIn(t, b, c.header)
			if got := verdict(t, id, err); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
			if err != nil && (strings.Contains(err.Error(), "pass:word") || strings.Contains(err.Error(), c.header[len("Basic"):]) && len(c.header) > 6) {
				t.Errorf("the error holds the password: %v", err)
			}
		})
	}
	h := http.Header{"Authorization": {basicPair("a:b")}}
	if b.Strip(h); len(h) != 0 {
		t.Error("the password goes upstream")
	}
	h = http.Header{"Authorization": {"Bearer x"}}
	if b.Strip(h); len(h) != 1 {
		t.Error("a token of another kind is stripped")
	}
}

func TestTokenAsThePasswordIsJudgedByItsKind(t *testing.T) {
	jwt := "eyJhbGciOiJFUzI1NiJ9.e30.AAAA"
	accounts := &people{passwords: map[string]string{"alice": "secret", "dots": "my.own.secret", "jwt": jwt}}
	all := func(got *[]string) authn.TokenKinds {
		return authn.TokenKinds{
			Bearer: judgeOf{authn.KindBearer, got}, Introspection: judgeOf{authn.KindIntrospection, got}, APIKey: judgeOf{authn.KindAPIKey, got},
		}
	}
	none := func(*[]string) authn.TokenKinds { return authn.TokenKinds{} }
	for name, c := range map[string]struct {
		kinds          func(*[]string) authn.TokenKinds
		user, password string
		judged         []string // by a token kind; nil: by the accounts
		want           string
	}{
		"a JWT beside an unknown name":           {all, "token", "a.b.c", []string{"bearer a.b.c"}, accepted},
		"a JWT beside an account":                {all, "alice", jwt, []string{"bearer " + jwt}, accepted},
		"a key":                                  {all, "token", "spk_x", []string{"api_key spk_x"}, accepted},
		"a key beside an account":                {all, "alice", "spk_x", []string{"api_key spk_x"}, accepted},
		"an opaque token beside an unknown name": {all, "token", "opaque", []string{"introspection opaque"}, accepted},
		"the password of an account":             {all, "alice", "secret", nil, accepted},
		"a wrong password of an account":         {all, "alice", "opaque", nil, "invalid_login"}, // is told to nobody
		"the password of an account, with dots":  {all, "dots", "my.own.secret", nil, accepted},
		"a wrong one, with dots":                 {all, "dots", "my.old.secret", nil, "invalid_login"},
		"a JWT, where there are no issuers":      {none, "token", "a.b.c", nil, "invalid_login"},
		"an opaque token, where there is nobody": {none, "token", "opaque", nil, "invalid_login"},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			id, err := signIn(t, authn.NewBasic(passwords(t, accounts), c.kinds(&got), nil), basicPair(c.user+":"+c.password))
			if v := verdict(t, id, err); v != c.want {
				t.Errorf("%s, want %s", v, c.want)
			}
			if diff := cmp.Diff(c.judged, got); diff != "" {
				t.Errorf("judged by: -want +got\n%s", diff)
			}
		})
	}
	// Without accounts, only tokens count.
	var got []string
	id, err := signIn(t, authn.NewBasic(passwords(t, nil), authn.TokenKinds{Bearer: judgeOf{authn.KindBearer, &got}}, nil), basicPair("u:opaque"))
	if v := verdict(t, id, err); v != authn.ReasonUnsupportedCredential {
		t.Errorf("without accounts: %s", v)
	}
}

func TestRightPasswordIsHashedOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		accounts := &people{passwords: map[string]string{"alice": "secret"}}
		b := authn.NewBasic(passwords(t, accounts), authn.TokenKinds{}, nil)
		var first *identity.Identity
		for range 60 {
			id, err := signIn(t, b, basicPair("alice:secret"))
			if err != nil {
				t.Fatal(err)
			}
			if first == nil {
				first = id
			}
			if id != first || id.Memo == nil || id.Ref.IsZero() {
				t.Fatal("the identity is not shared, or has no memo or no name")
			}
			<-time.After(time.Second)
		}
		if got := accounts.hashed.Load(); got != 1 {
			t.Errorf("%d hashes in a minute", got)
		}
		if _, err := signIn(t, b, basicPair("alice:secret")); err != nil || accounts.hashed.Load() != 2 {
			t.Errorf("%d hashes after a minute; %v", accounts.hashed.Load(), err)
		}
	})
}

func TestChangedAccountsForgetEveryPassword(t *testing.T) {
	accounts := &people{passwords: map[string]string{"alice": "secret"}}
	b := authn.NewBasic(passwords(t, accounts), authn.TokenKinds{}, nil)
	if _, err := signIn(t, b, basicPair("alice:secret")); err != nil {
		t.Fatal(err)
	}
	accounts.passwords = map[string]string{"alice": "another"}
	accounts.generation.Add(1)
	id, err := signIn(t, b, basicPair("alice:secret"))
	if got := verdict(t, id, err); got != "invalid_login" {
		t.Errorf("the old password: %s", got)
	}
	if _, err := signIn(t, b, basicPair("alice:another")); err != nil {
		t.Errorf("the new password: %v", err)
	}
}

func TestWrongPasswordsAreNeverRemembered(t *testing.T) {
	accounts := &people{passwords: map[string]string{"alice": "secret"}}
	b := authn.NewBasic(passwords(t, accounts), authn.TokenKinds{}, nil)
	for n := range 10 {
		id, err := signIn(t, b, basicPair("alice:wrong"))
		if got := verdict(t, id, err); got != "invalid_login" || accounts.hashed.Load() != int64(n+1) {
			t.Fatalf("%s after %d hashes", got, accounts.hashed.Load())
		}
	}
	// One that could not be judged is an outage, and is asked for again.
	accounts.err = errors.New("too many")
	id, err := signIn(t, b, basicPair("alice:secret"))
	if got := verdict(t, id, err); got != outage {
		t.Errorf("%s", got)
	}
	accounts.err = nil
	if _, err := signIn(t, b, basicPair("alice:secret")); err != nil {
		t.Error(err)
	}
}

// TestPairsThatReadAlikeAreNotConfused (CVE-2026-71326): user a with password
// b:c, and user a:b with password c, joined by a colon, are the same text. The
// header splits at the first colon, so only a length keeps them apart inside.
func TestPairsThatReadAlikeAreNotConfused(t *testing.T) {
	accounts := &people{passwords: map[string]string{"a": "b:c", "ab": "c", "abc": "d", "abcd": "x"}}
	b := authn.NewBasic(passwords(t, accounts), authn.TokenKinds{}, nil)
	var all sync.WaitGroup
	for range 100 {
		for pair, user := range map[string]string{"a:b:c": "a", "ab:c": "ab", "abc:d": "abc", "a:bc": "", "a:bcd": "", "ab:cd": "", "abcd:d": ""} {
			all.Go(func() {
				id, err := signIn(t, b, basicPair(pair))
				switch {
				case user == "" && err == nil, user != "" && err != nil:
					t.Errorf("%s: %v, %v", pair, id, err)
				case user != "" && id.Subject != user:
					t.Errorf("%s is taken for %s", pair, id.Subject)
				}
			})
		}
	}
	all.Wait()
}

func TestManyRequestsWithOnePasswordCostOneHash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		accounts := &people{passwords: map[string]string{"alice": "secret"}, wait: 100 * time.Millisecond}
		b := authn.NewBasic(passwords(t, accounts), authn.TokenKinds{}, nil)
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				if _, err := signIn(t, b, basicPair("alice:secret")); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if got := accounts.hashed.Load(); got != 1 {
			t.Errorf("%d hashes", got)
		}
	})
}

func BenchmarkBasic(b *testing.B) {
	accounts := &people{passwords: map[string]string{"alice": "secret"}}
	kind := authn.NewBasic(passwords(b, accounts), authn.TokenKinds{}, nil)
	header := basicPair("alice:secret")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := signIn(b, kind, header); err != nil {
			b.Fatal(err)
		}
	}
}

func FuzzBasic(f *testing.F) {
	for _, seed := range []string{basicPair("alice:pass:word"), basicPair(":"), basicPair("a:\x00"), basicPair("\xff:x"), "Basic", "Basic  ", "basic Zg==", "Basic Zh=="} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		// Accounts that let everybody in who brings what can be read.
		accounts := &anybody{}
		b := authn.NewBasic(passwords(t, accounts), authn.TokenKinds{}, nil)
		id, err := signIn(t, b, header)
		if err != nil {
			if id != nil || accounts.username != "" {
				t.Fatalf("%v asked for %q beside the error %v", id, accounts.username, err)
			}
			return
		}
		encoded := strings.TrimLeft(header[len("Basic"):], " ")
		if want := base64.StdEncoding.EncodeToString([]byte(accounts.username + ":" + accounts.password)); encoded != want {
			t.Fatalf("%q was read as %q and %q", header, accounts.username, accounts.password)
		}
		if accounts.username == "" || accounts.password == "" || strings.Contains(accounts.username, ":") {
			t.Fatalf("read as %q and %q", accounts.username, accounts.password)
		}
	})
}

// anybody remembers what was asked last.
type anybody struct{ username, password string }

func (*anybody) Known(string) bool  { return true }
func (*anybody) Generation() uint64 { return 0 }

func (*anybody) LockedOut(string, string) error { return nil }

func (a *anybody) Verify(_ context.Context, username, password, _ string) (*identity.Identity, error) {
	a.username, a.password = username, password
	return &identity.Identity{Issuer: "x", Subject: username}, nil
}
