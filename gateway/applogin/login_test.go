package applogin_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/sallyport/sallyport/gateway/applogin"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/identity"
)

func perUser() config.UpstreamCredential {
	return config.UpstreamCredential{UsersFile: "users.yaml"}
}

// sent is the Authorization for each of the users, "" for none.
func sent(l *applogin.Login, users ...*identity.Identity) []string {
	var got []string
	for _, id := range users {
		value, ok := l.Authorization(id)
		if !ok {
			value = ""
		}
		got = append(got, value)
	}
	return got
}

func TestOneCredentialSignsEverybodyIn(t *testing.T) {
	id := &identity.Identity{Subject: "alice"}
	tests := map[string]struct {
		entry config.UpstreamCredential
		file  string
		want  string
	}{
		"Basic":                    {config.UpstreamCredential{Username: "gateway", PasswordFile: "f"}, "open sesame\n", "Basic Z2F0ZXdheTpvcGVuIHNlc2FtZQ=="},
		"Basic, a password with :": {config.UpstreamCredential{Username: "gateway", PasswordFile: "f"}, "a:b", "Basic Z2F0ZXdheTphOmI="},
		"Basic, beyond ASCII":      {config.UpstreamCredential{Username: "größe", PasswordFile: "f"}, "ß\r\n", "Basic Z3LDtsOfZTrDnw=="},
		"Bearer":                   {config.UpstreamCredential{TokenFile: "f"}, "abc.def\n", "Bearer abc.def"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			l := applogin.New(tt.entry, false)
			if got := sent(l, id); got[0] != "" {
				t.Errorf("before any file was read: %q", got)
			}
			if _, err := l.Take([]byte(tt.file)); err != nil {
				t.Fatal(err)
			}
			if got := sent(l, id); got[0] != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func TestAFileThatHoldsNoSecretChangesNothing(t *testing.T) {
	id := &identity.Identity{Subject: "alice"}
	for name, entry := range map[string]config.UpstreamCredential{
		"password": {Username: "gateway", PasswordFile: "f"}, "token": {TokenFile: "f"}, "users": perUser(),
	} {
		t.Run(name, func(t *testing.T) {
			l := applogin.New(entry, false)
			good := "hunter2"
			if entry.UsersFile != "" {
				good = `users: [{subject: alice, token: "hunter2"}]`
			}
			if _, err := l.Take([]byte(good)); err != nil {
				t.Fatal(err)
			}
			before := sent(l, id)
			for _, text := range []string{"", "\n", " \n", "\t", "swordfish\nX-Forwarded-User: root\n", "swordfish\rx", "swordfish\x00", "swordfish\xff", "users: swordfish", "users: *swordfish"} {
				if strings.HasPrefix(text, "users: ") && entry.UsersFile == "" && entry.PasswordFile != "" {
					continue // a strange password, but one
				}
				_, err := l.Take([]byte(text))
				if err == nil {
					t.Errorf("%q was taken", text)
				} else if strings.Contains(err.Error(), "swordfish") {
					t.Errorf("the error repeats the secret: %v", err)
				}
			}
			if diff := cmp.Diff(before, sent(l, id)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestNobodyIsSignedInAsSomebodyElse: by an address that no provider vouches for, by
// the subject of another issuer, or by a name that only looks the same.
func TestNobodyIsSignedInAsSomebodyElse(t *testing.T) {
	l := applogin.New(perUser(), false)
	n, err := l.Take([]byte(`
users:
  - {subject: alice, username: al, password: "1"}
  - {subject: bob, issuer: "https://a.example", token: "of-a"}
  - {subject: bob, issuer: "https://b.example", token: "of-b"}
  - {email: Carol@Example.com, token: "of-carol"}
  - {email: alice@example.com, token: "of-another-alice"}
`))
	if err != nil || n != 5 {
		t.Fatal(n, err)
	}
	got := sent(
		l,
		&identity.Identity{Issuer: "https://a.example", Subject: "alice", Email: "alice@example.com", EmailVerified: true},
		&identity.Identity{Issuer: "https://a.example", Subject: "bob"},
		&identity.Identity{Issuer: "https://b.example", Subject: "bob"},
		&identity.Identity{Issuer: "https://c.example", Subject: "bob"},
		&identity.Identity{Subject: "c", Email: "carol@example.COM", EmailVerified: true},
		&identity.Identity{Subject: "c", Email: "carol@example.com"},
		&identity.Identity{Subject: "Alice"},
		&identity.Identity{Subject: "carol@example.com"},
		&identity.Identity{},
		&identity.Identity{EmailVerified: true},
	)
	want := []string{"Basic YWw6MQ==", "Bearer of-a", "Bearer of-b", "", "Bearer of-carol", "", "", "", "", ""}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestEveryFaultOfAFileIsToldAtOnceAndNoSecret(t *testing.T) {
	l := applogin.New(perUser(), true)
	_, err := l.Take([]byte(`
users:
  - {subject: alice, username: al, password: "swordfish"}
  - {issuer: i, subject: a, email: b, token: "swordfish"}
  - {issuer: i, email: b@c, token: "swordfish"}
  - {issuer: i, subject: b, token: "swordfish", username: x}
  - {issuer: i, subject: c, password: "swordfish"}
  - {issuer: i, subject: d, username: "a:b", password: "swordfish"}
  - {issuer: i, subject: e, username: x, password: 5}
  - {issuer: i, subject: f, username: x, password: "swordfish\nX: y"}
  - {issuer: i, subject: g, token: "sword fish"}
  - {issuer: i, subject: h, tokken: swordfish}
  - {issuer: i, subject: k, token: swordfish, token: swordfish}
  - {issuer: i, subject: l, token: [swordfish]}
  - swordfish
  - {issuer: i, subject: m, token: "1"}
  - {issuer: i, subject: m, token: "2"}
  - {issuer: i, subject: n, token: ""}
  - {token: "1"}
  - {issuer: i, subject: o, token: &anchor "1"}
  - {issuer: i, subject: p, token: *anchor}
`))
	if err == nil {
		t.Fatal("no fault was found")
	}
	want := []string{
		"line 3: more than one issuer", "line 4: it needs a subject or an email", "line 5: issuer is for a subject", "line 6: it needs username and password, or a token",
		"line 7: it needs username and password, or a token", "line 8: the username has a colon", "line 9: password is not text", "line 10: the password is more than one line",
		"line 11: the token holds spaces", "line 12: one of its keys is not known", "line 13: token is given twice", "line 14: token is not text", "line 15: the entry is not a user",
		`line 17: "m" has an entry already`, "line 18: token is empty", "line 19: it needs a subject or an email", "line 21: token is not text",
	}
	got := strings.Split(err.Error(), "\n")
	if len(got) != len(want) {
		t.Fatalf("want %d faults, got %d:\n%v", len(want), len(got), err)
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("want %s, got %s", want[i], got[i])
		}
	}
	for _, secret := range []string{"swordfish", "sword fish"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("a secret is repeated:\n%v", err)
		}
	}
}

// TestACredentialNeverEndsItsHeader: whatever a file holds, what is sent is one line
// of what a header can carry, or nothing.
func TestACredentialNeverEndsItsHeader(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[ -~\r\n\t]{0,12}`)).Draw(t, "text")
		entries := []config.UpstreamCredential{{Username: "gateway", PasswordFile: "f"}, {TokenFile: "f"}, perUser()}
		l := applogin.New(rapid.SampledFrom(entries).Draw(t, "entry"), false)
		file := rapid.SampledFrom([]string{text, fmt.Sprintf("users: [{subject: alice, username: %q, password: %q}]", text, text), fmt.Sprintf("users: [{subject: alice, token: %q}]", text)}).Draw(t, "file")
		_, err := l.Take([]byte(file))
		value, ok := l.Authorization(&identity.Identity{Subject: "alice"})
		if ok != (err == nil) && err != nil {
			t.Fatalf("%v, and still %q", err, value)
		}
		if strings.ContainsFunc(value, func(c rune) bool { return c < ' ' || c > '~' }) {
			t.Fatalf("%q", value)
		}
	})
}

func FuzzUsersFile(f *testing.F) {
	f.Add([]byte("users: [{subject: alice, username: al, password: \"1\"}]"))
	f.Add([]byte("users:\n  - &a {subject: alice, token: *a}\n"))
	f.Add([]byte("--- \n---\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		l := applogin.New(perUser(), false)
		n, err := l.Take(text)
		if (err == nil) != (n > 0) {
			t.Errorf("%d users, %v", n, err)
		}
	})
}

func TestFindingACredentialAllocatesNothing(t *testing.T) {
	l := applogin.New(perUser(), false)
	if _, err := l.Take([]byte(`users: [{subject: alice, token: "1"}, {email: bob@example.com, token: "2"}]`)); err != nil {
		t.Fatal(err)
	}
	users := []*identity.Identity{{Subject: "alice"}, {Subject: "bob", Email: "bob@example.com", EmailVerified: true}, {Subject: "carol"}}
	if got := testing.AllocsPerRun(100, func() {
		for _, id := range users {
			l.Authorization(id)
		}
	}); got > 0 {
		t.Errorf("%.1f allocations", got)
	}
}
