package login_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/login"
)

func lockedFor(err error) time.Duration {
	if locked, ok := errors.AsType[*login.LockedOut](err); ok {
		return locked.Wait
	}
	return 0
}

func TestAccountIsClosedForAWindowAfterTooManyWrongPasswords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := login.NewLockout(config.Lockout{Attempts: 3, Window: time.Minute})
		for range 3 {
			if err := l.Try("alice", "192.0.2.1", login.ErrWrongPassword); err != nil {
				t.Fatal(err)
			}
			<-time.After(time.Second)
		}
		if wait := lockedFor(l.Try("alice", "198.51.100.1", nil)); wait != 59*time.Second {
			t.Errorf("the right password from elsewhere has to wait %v", wait)
		}
		if err := l.Try("bob", "192.0.2.1", nil); err != nil {
			t.Errorf("another account: %v", err)
		}
		<-time.After(59 * time.Second)
		for range 3 { // a whole new window
			if err := l.Try("alice", "", login.ErrWrongPassword); err != nil {
				t.Errorf("after the wait: %v", err)
			}
		}
		if lockedFor(l.Try("alice", "", nil)) == 0 {
			t.Error("the second window is open without end")
		}
	})
}

func TestWrongPasswordsSlideOutOfTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := login.NewLockout(config.Lockout{Attempts: 4, Window: time.Minute})
		for range 30 { // two in any minute, for ever
			<-time.After(30 * time.Second)
			if err := l.Try("alice", "", login.ErrWrongPassword); err != nil {
				t.Fatal(err)
			}
		}
		// Across the border of two windows it is as many as within one.
		l = login.NewLockout(config.Lockout{Attempts: 4, Window: time.Minute})
		_ = l.Try("bob", "", login.ErrWrongPassword)
		<-time.After(59 * time.Second)
		for range 2 {
			_ = l.Try("bob", "", login.ErrWrongPassword)
		}
		<-time.After(2 * time.Second)
		refused := 0
		for range 4 {
			if l.Try("bob", "", login.ErrWrongPassword) != nil {
				refused++
			}
		}
		if refused < 2 {
			t.Errorf("%d of four were refused after three within seconds", refused)
		}
	})
}

func TestSuccessClearsTheAccountAndNotTheAddress(t *testing.T) {
	l := login.NewLockout(config.Lockout{Attempts: 3, PerAddress: 5, Window: time.Minute})
	for i := range 4 {
		if err := l.Try("alice", "192.0.2.1", login.ErrWrongPassword); err != nil {
			t.Fatalf("attempt %d: %v", i, err)
		}
		if err := l.Try("alice", "192.0.2.1", nil); err != nil {
			t.Fatalf("success %d: %v", i, err)
		}
	}
	_ = l.Try("bob", "192.0.2.1", login.ErrWrongPassword)
	if lockedFor(l.Try("alice", "192.0.2.1", nil)) == 0 {
		t.Error("five wrong passwords from one address left it open")
	}
	if err := l.Try("alice", "192.0.2.2", nil); err != nil {
		t.Errorf("the account is closed to others too: %v", err)
	}
}

// TestManyGuessesAtOnceAreNotMoreThanInTurn: all would otherwise be let through
// before the first is known to be wrong.
func TestManyGuessesAtOnceAreNotMoreThanInTurn(t *testing.T) {
	l := login.NewLockout(config.Lockout{Attempts: 5, Window: time.Minute})
	begun := 0
	for range 50 {
		if l.Begin("alice", "") == nil {
			begun++
		}
	}
	if begun != 5 {
		t.Errorf("%d began", begun)
	}
	// What could not be judged is no wrong password.
	l = login.NewLockout(config.Lockout{Attempts: 2, PerAddress: 2, Window: time.Minute})
	for range 10 {
		if err := l.Try("alice", "192.0.2.1", errors.New("an outage")); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAddressesOfOneNetworkAreOne(t *testing.T) {
	for name, c := range map[string]struct {
		first, second string
		same          bool
	}{
		"IPv6 of one /64":             {"2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true},
		"IPv6 of two":                 {"2001:db8:1:2::1", "2001:db8:1:3::1", false},
		"IPv4 and the same in IPv6":   {"192.0.2.1", "::ffff:192.0.2.1", true},
		"IPv4 neighbours":             {"192.0.2.1", "192.0.2.2", false},
		"no address is nobody's":      {"", "", false},
		"what is none is nobody's":    {"@", "@", false},
		"a zone is no other":          {"fe80::1%eth0", "fe80::1%eth1", true},
		"mapped neighbours in IPv6":   {"::ffff:192.0.2.1", "::ffff:192.0.2.2", false},
		"the same, of course, twice.": {"2001:db8::1", "2001:db8::1", true},
	} {
		l := login.NewLockout(config.Lockout{PerAddress: 1, Window: time.Minute})
		_ = l.Try("a", c.first, login.ErrWrongPassword)
		if got := l.Try("b", c.second, nil) != nil; got != c.same {
			t.Errorf("%s: counted together = %v", name, got)
		}
	}
}

// TestFloodOfNamesDoesNotWashAwayWhatWasCounted: the memory is bounded, and who
// fills it must not clear the account that he guesses at.
func TestFloodOfNamesDoesNotWashAwayWhatWasCounted(t *testing.T) {
	l := login.NewLockout(config.Lockout{Attempts: 3, Window: time.Hour})
	for range 3 {
		_ = l.Try("alice", "", login.ErrWrongPassword)
	}
	_ = l.Try("bob", "", login.ErrWrongPassword)
	_ = l.Try("bob", "", login.ErrWrongPassword)
	for i := range 2 * login.MaxTallies {
		_ = l.Try(fmt.Sprint("name", i), "", login.ErrWrongPassword)
	}
	if n := l.Remembered(); n > login.MaxTallies {
		t.Errorf("%d are remembered", n)
	}
	if l.Try("alice", "", nil) == nil {
		t.Error("alice's account is open again")
	}
	if _ = l.Try("bob", "", login.ErrWrongPassword); l.Try("bob", "", nil) == nil {
		t.Error("bob's wrong passwords were forgotten")
	}
}

// TestAskingWhetherItIsClosedAllocatesNothing: programs with a remembered
// password ask at each request.
func TestAskingWhetherItIsClosedAllocatesNothing(t *testing.T) {
	g := lockedGateway(t)
	if n := testing.AllocsPerRun(100, func() { g.Service.LockedOut("alice", "2001:db8::1") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestLockoutIsOffAtZero(t *testing.T) {
	l := login.NewLockout(config.Lockout{Window: time.Minute})
	for range 1000 {
		if err := l.Try("alice", "192.0.2.1", login.ErrWrongPassword); err != nil {
			t.Fatal(err)
		}
	}
}

func lockedGateway(t *testing.T) *gateway {
	t.Helper()
	return newGatewayWith(t, options{providers: []config.Provider{usersProvider(t, cheapUsers)}, change: func(o *login.Options) {
		o.Lockout = config.Lockout{Attempts: 3, PerAddress: 20, Window: time.Minute}
		o.ClientAddr = func(r *http.Request) string { return r.Header.Get("X-Test-Address") }
	}})
}

// TestLockoutTellsNothing: the answers to an account that exists and to one that
// does not are the same, before and after, whatever the password.
func TestLockoutTellsNothing(t *testing.T) {
	g := lockedGateway(t)
	b := g.browser(t)
	try := func(username, password string) string {
		got := b.post("/.auth/login", url.Values{"username": {username}, "password": {password}}, "Origin", g.URL, "X-Test-Address", "192.0.2.1")
		if b.session() != "" {
			t.Errorf("%s is signed in", username)
		}
		if got.StatusCode == http.StatusTooManyRequests {
			if n, err := strconv.Atoi(got.Header.Get("Retry-After")); err != nil || n < 1 || n > 60 {
				t.Errorf("Retry-After is %q", got.Header.Get("Retry-After"))
			}
		}
		return fmt.Sprint(got.StatusCode, " ", got.body)
	}
	for i := range 5 {
		known, unknown := try("alice", "wrong"), try("nobody", "wrong")
		if known != unknown {
			t.Errorf("attempt %d: %s\nand %s", i, known, unknown)
		}
		if want := "401"; i >= 3 && !strings.HasPrefix(known, "429") || i < 3 && !strings.HasPrefix(known, want) {
			t.Errorf("attempt %d: %s", i, known)
		}
	}
	if right, wrong := try("alice", "correct horse"), try("alice", "wrong"); right != wrong || !strings.Contains(right, login.ReasonLockedOut) {
		t.Errorf("the right password: %s\na wrong one: %s", right, wrong)
	}
	page := b.post("/.auth/login", url.Values{"username": {"alice"}, "password": {"x"}}, "Origin", g.URL, "Accept", "text/html")
	if page.StatusCode != http.StatusTooManyRequests || !strings.Contains(page.body, "<h1") {
		t.Errorf("a person reads %d %s", page.StatusCode, page.body)
	}
	if !strings.Contains(fmt.Sprint(g.auditLog()), login.ReasonLockedOut) {
		t.Error("the audit log does not know")
	}
	if strings.Contains(g.everythingLogged(), "correct horse") {
		t.Error("a password is in the log")
	}
}

func TestPasswordsOfProgramsAndFormsAreCountedTogether(t *testing.T) {
	g := lockedGateway(t)
	for range 3 {
		if _, err := g.Service.VerifyAccount(t.Context(), "alice", "wrong", "192.0.2.1"); !errors.Is(err, login.ErrWrongPassword) {
			t.Fatal(err)
		}
	}
	got := g.browser(t).post("/.auth/login", url.Values{"username": {"alice"}, "password": {"correct horse"}}, "Origin", g.URL)
	if got.StatusCode != http.StatusTooManyRequests {
		t.Errorf("the form: %d", got.StatusCode)
	}
	if id, err := g.Service.VerifyAccount(t.Context(), "alice", "correct horse", ""); id != nil || lockedFor(err) == 0 {
		t.Errorf("a program: %v, %v", id, err)
	}
	if g.Service.LockedOut("alice", "") == 0 || g.Service.LockedOut("bob", "") != 0 {
		t.Error("LockedOut tells otherwise")
	}
}

// TestSprayOfPasswordsIsStoppedByAddress: one password for each of many accounts
// stays below every account's limit.
func TestSprayOfPasswordsIsStoppedByAddress(t *testing.T) {
	g := lockedGateway(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	wrong := 0
	for i := range 60 {
		wg.Go(func() {
			_, err := g.Service.VerifyAccount(t.Context(), fmt.Sprint("user", i), "Spring2026", "2001:db8::"+strconv.Itoa(i))
			if errors.Is(err, login.ErrWrongPassword) {
				mu.Lock()
				wrong++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if wrong > 20 {
		t.Errorf("%d passwords were judged", wrong)
	}
	if _, err := g.Service.VerifyAccount(t.Context(), "alice", "correct horse", "198.51.100.7"); err != nil {
		t.Errorf("somebody else: %v", err)
	}
}
