package login_test

import (
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/login"
)

// Hashes of "correct horse", as cheap as they can be.
const (
	argonOfCorrectHorse  = "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHRzYWx0$Kw3/ZjLNvvrvmWv7DSmJdvIaVuO5yzpUAyMmNiCnHLI"
	bcryptOfCorrectHorse = "$2a$04$IQivn0iAGtDQPXTHunsnOO5LMhdOHHztTioZ.wGNLN/xNnrA83Ujq"
	bcryptOf72           = "$2a$04$njTqxBJn1HbAFXrXhnI5X.1HIKEqPaWWKXlIHGQfKmkS6/g8ube7e" // of 72 times x
)

var cheapUsers = `users:
- username: alice
  password_hash: ` + argonOfCorrectHorse + `
  email: alice@example.com
  name: Alice
  groups: [staff]
- username: bob
  password_hash: ` + bcryptOfCorrectHorse + `
`

func usersProvider(t *testing.T, content string) config.Provider {
	t.Helper()
	return config.Provider{Name: "local", Type: config.ProviderUsers, File: writeFile(t, content)}
}

func TestSignInWithAPassword(t *testing.T) {
	g := newGateway(t, usersProvider(t, cheapUsers))
	b := g.browser(t)
	b.header.Set("Accept", "text/html")
	page := b.get("/.auth/login?return_to=/deep")
	if page.StatusCode != http.StatusOK || !strings.Contains(page.body, `name="password"`) || !strings.Contains(page.body, `value="/deep"`) {
		t.Fatalf("%d %s", page.StatusCode, page.body)
	}
	form := url.Values{"username": {"alice"}, "password": {"wrong"}, "return_to": {"/deep"}, "provider": {"local"}}
	got := b.post("/.auth/login", form, "Origin", g.URL)
	if got.StatusCode != http.StatusUnauthorized || b.session() != "" || !strings.Contains(got.body, `value="alice"`) || strings.Contains(got.body, "wrong\"") {
		t.Errorf("a wrong password: %d %s", got.StatusCode, got.body)
	}
	form.Set("password", "correct horse")
	got = b.post("/.auth/login", form, "Origin", g.URL)
	if got.StatusCode != http.StatusSeeOther || got.location() != "/deep" || b.session() == "" {
		t.Errorf("the right password: %d to %q", got.StatusCode, got.location())
	}
	if left, _ := login.ParseLoginCookie(b.cookie("sp_login")); len(left) != 0 {
		t.Errorf("the login cookie still has %q", left)
	}
	who, _ := b.me()
	if who["subject"] != "alice" || who["issuer"] != "urn:sallyport:local" || who["email_verified"] != true || who["provider"] != "local" {
		t.Errorf("signed in as %v", who)
	}
	audits := g.auditLog()
	if len(audits) != 2 || audits[0].Outcome != login.OutcomeFailed || audits[0].Reason != login.ReasonInvalidLogin ||
		audits[1].Outcome != login.OutcomeOK || audits[1].Subject != "alice" || len(audits[1].Session) != 16 || audits[1].Request == nil {
		t.Errorf("audited as %+v", audits)
	}
}

func TestScriptsSignInWithTheForm(t *testing.T) {
	g := newGateway(t, usersProvider(t, cheapUsers))
	p := g.program(t)
	for _, user := range []string{"alice", "bob"} {
		got := p.post("/.auth/login", url.Values{"username": {user}, "password": {"correct horse"}})
		if got.StatusCode != http.StatusSeeOther || got.location() != "/" || got.setCookie("sp") == nil {
			t.Errorf("%s: %d %s", user, got.StatusCode, got.body)
		}
	}
	for name, form := range map[string]url.Values{
		"wrong password":        {"username": {"alice"}, "password": {"x"}},
		"wrong bcrypt password": {"username": {"bob"}, "password": {"x"}},
		"unknown user":          {"username": {"carol"}, "password": {"correct horse"}},
		"no user":               {"password": {"correct horse"}},
		"no password":           {"username": {"alice"}},
		"other case":            {"username": {"Alice"}, "password": {"correct horse"}},
		"enormous password":     {"username": {"alice"}, "password": {strings.Repeat("x", 2000)}},
	} {
		got := p.post("/.auth/login", form)
		if got.StatusCode != http.StatusUnauthorized || got.reason() != login.ReasonInvalidLogin || len(got.Cookies()) != 0 {
			t.Errorf("%s: %d %s", name, got.StatusCode, got.body)
		}
	}
}

func TestSignInFormThatIsNoneIsRefused(t *testing.T) {
	g := newGateway(t, usersProvider(t, cheapUsers))
	p := g.program(t)
	good := url.Values{"username": {"alice"}, "password": {"correct horse"}}
	for name, tt := range map[string]struct {
		got    *answer
		status int
	}{
		"JSON":             {p.do(http.MethodPost, "/.auth/login", good, "Content-Type", "application/json"), http.StatusUnsupportedMediaType},
		"plain text":       {p.do(http.MethodPost, "/.auth/login", good, "Content-Type", "text/plain"), http.StatusUnsupportedMediaType},
		"a broken type":    {p.do(http.MethodPost, "/.auth/login", good, "Content-Type", `x"'><script>`), http.StatusUnsupportedMediaType},
		"nothing":          {p.do(http.MethodPost, "/.auth/login", nil), http.StatusUnsupportedMediaType},
		"too much":         {p.post("/.auth/login", url.Values{"username": {strings.Repeat("x", 70_000)}}), http.StatusRequestEntityTooLarge},
		"two users":        {p.post("/.auth/login", url.Values{"username": {"alice", "bob"}, "password": {"correct horse"}}), http.StatusBadRequest},
		"another provider": {p.post("/.auth/login", url.Values{"provider": {"x"}, "username": {"alice"}}), http.StatusNotFound},
		"PUT":              {p.do(http.MethodPut, "/.auth/login", good), http.StatusMethodNotAllowed},
		"password in URL":  {p.post("/.auth/login?username=alice&password=correct+horse", url.Values{}), http.StatusUnauthorized},
	} {
		if tt.got.StatusCode != tt.status || strings.Contains(tt.got.body, "script") {
			t.Errorf("%s: %d, want %d: %s", name, tt.got.StatusCode, tt.status, tt.got.body)
		}
	}
	if g.Store.created() != 0 {
		t.Error("a session was made")
	}
}

func TestFileOfUsersIsReadAgainWhenItChanges(t *testing.T) {
	cfg := usersProvider(t, cheapUsers)
	g := newGateway(t, cfg)
	p := g.program(t)
	status := func(user string) int {
		return p.post("/.auth/login", url.Values{"username": {user}, "password": {"correct horse"}}).StatusCode
	}
	change := func(content string) {
		rewrite(t, cfg.File, content)
		at := time.Now().Add(-time.Hour)
		if err := os.Chtimes(cfg.File, at, at); err != nil { // an older time is a change, too
			t.Fatal(err)
		}
	}
	change(strings.Replace(cheapUsers, "alice", "carol", 1))
	waitFor(t, "carol to be known", func() bool { return status("carol") == http.StatusSeeOther })
	if got := status("alice"); got != http.StatusUnauthorized {
		t.Errorf("alice is gone from the file and gets %d", got)
	}
	change("users: [{username: dave, password_hash: nonsense}]")
	waitFor(t, "the fault to be logged", func() bool {
		status("dave")
		return strings.Contains(g.everythingLogged(), "could not be read again")
	})
	if got := status("carol"); got != http.StatusSeeOther {
		t.Errorf("after a faulty change carol gets %d", got)
	}
}

func TestFaultyFileOfUsersNamesTheEntryAndHidesTheHash(t *testing.T) {
	const hash = argonOfCorrectHorse
	for name, tt := range map[string]struct{ content, want string }{
		"empty":           {"", "is empty"},
		"no users":        {"users: []", "no users"},
		"unknown key":     {"users: [{username: a, pasword_hash: x}]", "pasword_hash"},
		"no name":         {"users: [{password_hash: '" + hash + "'}]", "users[0]: username is missing"},
		"same name":       {"users: [{username: a, password_hash: '" + hash + "'}, {username: a, password_hash: '" + hash + "'}]", `users[1] ("a"): the username is taken`},
		"plain password":  {"users: [{username: a, password_hash: hunter2}]", `users[0] ("a"): password_hash is neither`},
		"a control":       {`users: [{username: "a\nb", password_hash: '` + hash + `'}]`, "no text"},
		"too much memory": {"users: [{username: a, password_hash: '$argon2id$v=19$m=4194304,t=1,p=1$c2FsdHNhbHQ$" + strings.Repeat("A", 43) + "'}]", "m is not a number from 8 to 262144"},
		"too much time":   {"users: [{username: a, password_hash: '$2b$31$" + strings.Repeat("a", 53) + "'}]", "cost above 16"},
		"no YAML":         {"users: [", "is not YAML"},
	} {
		_, err := login.ParseAccounts([]byte(tt.content))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
		if err != nil && (strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "c2Fsd")) {
			t.Errorf("%s: the error holds the hash: %v", name, err)
		}
	}
}

// TestFaultyFileOfUsersSaysWhatToWrite: in the words of the file, with its line, and
// without the value, which may be a password.
func TestFaultyFileOfUsersSaysWhatToWrite(t *testing.T) {
	for content, want := range map[string]string{
		"users:\n  - {username: ann, password: s3cret}\n":                     `line 2: "password" is not a known key: write password_hash, as `,
		"users:\n  - {username: ann, group: s3cret}\n":                        `line 2: "group" is not a known key: write username, password_hash, email, name, groups`,
		"user:\n  - {username: ann}\n":                                        `line 1: "user" is not a known key: write users: and a list`,
		"users:\n  - {username: ann, groups: s3cret}\n":                       `line 2: here belongs a list, such as [staff]`,
		"- {username: s3cret}\n":                                              `line 1: here belongs users: and a list below it`,
		"users: s3cret\n":                                                     `line 1: here belongs a list, with "- " before each user`,
		"users: [s3cret]\n":                                                   `line 1: here belongs {username: `,
		"users:\n - username: s3cret\n  groups: []\n":                         `is not YAML: line 1: `,
		"users: [{username: ann, password_hash: *s3cret}]\n":                  `a value begins with * or &: put it in quotes`,
		"users: [{username: ann, groups: a}, {username: bob, password: b}]\n": "line 1: here belongs a list, such as [staff]\nline 1: \"password\" is not",
	} {
		n, err := login.ParseAccounts([]byte(content))
		if err == nil || n != 0 || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s\tgives %d, %v\n\twant %s", content, n, err, want)
		}
	}
}

func TestPasswordHashesOfOtherToolsAreAccepted(t *testing.T) {
	long := strings.Repeat("x", 72)
	for name, tt := range map[string]struct {
		hash, password string
		want           bool
	}{
		"argon2id":                {argonOfCorrectHorse, "correct horse", true},
		"argon2id, wrong":         {argonOfCorrectHorse, "correct horsf", false},
		"bcrypt":                  {bcryptOfCorrectHorse, "correct horse", true},
		"bcrypt of htpasswd (2y)": {strings.Replace(bcryptOfCorrectHorse, "$2a$", "$2y$", 1), "correct horse", true},
		"bcrypt (2b)":             {strings.Replace(bcryptOfCorrectHorse, "$2a$", "$2b$", 1), "correct horse", true},
		"72 bytes":                {bcryptOf72, long, true},
		"bcrypt ignores the rest": {bcryptOf72, long + "y", false},
	} {
		got, err := login.PasswordMatches(tt.hash, tt.password)
		if err != nil || got != tt.want {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func TestHashPasswordMakesHashesThatMatch(t *testing.T) {
	hash, err := login.HashPassword("pässword " + strings.Repeat("z", 100))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(hash, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("the hash is %s", hash)
	}
	if ok, err := login.PasswordMatches(hash, "pässword "+strings.Repeat("z", 100)); err != nil || !ok {
		t.Errorf("does not match: %v", err)
	}
	if other, err := login.HashPassword("pässword " + strings.Repeat("z", 100)); err != nil || other == hash {
		t.Error("two hashes have the same salt")
	}
	if _, err := login.HashPassword(""); err == nil {
		t.Error("an empty password is hashed")
	}
}

func TestSignInsWaitForTheirTurnAndNotForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		if busy, err := login.CheckPasswordWhileBusy(t.Context()); !busy {
			t.Errorf("the answer is %v", err)
		}
		if waited := time.Since(begun); waited != 2*time.Second {
			t.Errorf("waited %v", waited)
		}
	})
}

func FuzzPasswordHash(f *testing.F) {
	f.Add(argonOfCorrectHorse)
	f.Add(bcryptOfCorrectHorse)
	f.Add("$argon2id$v=19$m=8,t=1,p=1$$")
	f.Fuzz(func(t *testing.T, text string) {
		if err := login.ParseHash(text); err == nil && len(text) > 400 {
			t.Errorf("%d bytes are taken for a hash", len(text))
		}
	})
}

func FuzzAccounts(f *testing.F) {
	f.Add([]byte(cheapUsers))
	f.Add([]byte("users: [{username: a, password_hash: b}]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if n, err := login.ParseAccounts(data); (n > 0) == (err != nil) {
			t.Errorf("%d users and %v", n, err)
		}
	})
}
