package sealing_test

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/gateway/sealing"
	"github.com/sallyport/sallyport/gateway/session"
)

func TestNoKeySealsBeforeEveryGatewayKnowsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		one, two := start(t, m, "one", "a"), start(t, m, "two", "a")
		pass(10 * time.Second)
		one.write("b", "a")
		pass(10 * time.Minute)
		one.wantSeals("a")
		two.wantSeals("a")
		if s := one.Status(t.Context()); len(s.Keys) != 2 || s.Keys[1].State != sealing.StateNext || s.Keys[1].Name != nameOf(t, "b") {
			t.Errorf("%+v", s.Keys)
		}
		two.write("b", "a")
		pass(10 * time.Second)
		one.wantSeals("b")
		two.wantSeals("b")
		if one.reseals.Load() != 1 || two.reseals.Load() != 1 {
			t.Errorf("%d and %d were told", one.reseals.Load(), two.reseals.Load())
		}
		s := two.Status(t.Context())
		if len(s.Keys) != 2 || s.Keys[0].State != sealing.StateCurrent || s.Keys[1].State != sealing.StateOld || s.Keys[1].Until.Sub(s.Keys[1].Stopped) != 12*time.Hour {
			t.Errorf("%+v", s.Keys)
		}
		if len(s.Gateways) != 2 || !slices.Equal(s.Gateways[0].Knows, s.Gateways[1].Knows) || s.Gateways[0].Self == s.Gateways[1].Self {
			t.Errorf("%+v", s.Gateways)
		}
	})
}

// TestEveryGatewaySealsWithANewKeyOnceTheLastHasTakenIt: those that were told of it
// don't wait for their next look.
func TestEveryGatewaySealsWithANewKeyOnceTheLastHasTakenIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		var all []*gateway
		for _, name := range []string{"one", "two", "three"} {
			all = append(all, start(t, m, name, "a"))
		}
		m.onTold(func() {
			for _, g := range all {
				g.Wake()
			}
		})
		pass(10*time.Second + time.Millisecond)
		for _, g := range all[:2] {
			g.write("b", "a")
		}
		pass(time.Minute)
		all[0].wantSeals("a")
		saves := m.count()
		all[2].write("b", "a")
		pass(2 * time.Second) // the file is settled
		for _, g := range all {
			g.wantSeals("b")
		}
		pass(5 * time.Second)
		if n := m.count() - saves; n > 6 {
			t.Errorf("they told one another of it %d times", n)
		}
	})
}

func TestNobodyWaitsForAGatewayThatIsGone(t *testing.T) {
	for name, crash := range map[string]bool{"in order": false, "by a crash": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &memory{}
				one, two := start(t, m, "one", "a"), start(t, m, "two", "a")
				pass(10 * time.Second)
				if crash {
					m.fail(errDown) // so that it can't say goodbye
				}
				two.stop()
				m.fail(nil)
				one.write("b", "a")
				pass(10 * time.Second)
				if crash {
					one.wantSeals("a")
					pass(time.Minute)
				}
				one.wantSeals("b")
			})
		})
	}
}

func TestAGatewayThatCanNotOpenWhatOthersSealIsNotReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		first := start(t, m, "first", "a")
		pass(10 * time.Second)
		second := start(t, m, "second", "b")
		pass(10 * time.Second)
		if err := first.Ready(); err != nil {
			t.Errorf("the one that was there first: %v", err)
		}
		if err := second.Ready(); !errors.Is(err, sealing.ErrUnknownKey) {
			t.Errorf("the other: %v", err)
		}
		second.write("b", "a")
		pass(10 * time.Second)
		second.wantSeals("a")
		if err := second.Ready(); err != nil {
			t.Error(err)
		}
	})
}

func TestFilesThatCanNotBeTakenChangeNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := start(t, &memory{}, "one", "a")
		for name, text := range map[string]string{"empty": "", "half a key": secret("b")[:20], "the same twice": secret("a") + "\n" + secret("a")} {
			if err := os.WriteFile(g.file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			pass(5 * time.Second)
			if got := g.Keyring().Names(); len(got) != 1 || got[0] != nameOf(t, "a") {
				t.Errorf("%s: %v", name, got)
			}
		}
		g.write("b", "a")
		pass(5 * time.Second)
		g.wantSeals("b")
	})
}

func TestAKeyIsRetiredWhenNothingNeedsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := start(t, &memory{}, "one", "a")
		old := nameOf(t, "a")
		if _, err := g.Retire(t.Context(), old, true); !errors.Is(err, sealing.ErrSeals) {
			t.Errorf("the key that seals: %v", err)
		}
		if _, err := g.Retire(t.Context(), "0011223344", true); !errors.Is(err, sealing.ErrUnknownKey) {
			t.Errorf("an unknown key: %v", err)
		}
		g.write("b", "a")
		pass(5 * time.Second)
		end := time.Now().Add(11 * time.Hour)
		g.users.use = session.KeyUse{Sessions: 3, Until: end}
		_, err := g.Retire(t.Context(), old, false)
		if needed, ok := errors.AsType[*sealing.NeededError](err); !ok || needed.Use.Sessions != 3 || !needed.Until.Equal(end) || len(g.users.released) != 0 {
			t.Errorf("with sessions: %v", err)
		}
		// Sign-ins under way need it as well, which nobody can count.
		g.users.use = session.KeyUse{}
		_, err = g.Retire(t.Context(), old, false)
		if needed, ok := errors.AsType[*sealing.NeededError](err); !ok || time.Until(needed.Until) < 29*time.Minute {
			t.Errorf("with sign-ins under way: %v", err)
		}
		pass(31 * time.Minute)
		if _, err := g.Retire(t.Context(), old, false); err != nil || len(g.users.released) != 1 {
			t.Errorf("%v, released %v", err, g.users.released)
		}
	})
}

func TestTheStoreKeepsARingThatRotates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		g := start(t, m, "one")
		first := g.Keyring().Sealing()
		sealed := g.Keyring().Seal(session.PurposeTokens, []byte("x"), nil)
		if err := g.Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
		second := g.Keyring().Sealing()
		if second == first || g.reseals.Load() != 1 {
			t.Errorf("%s seals after %s, told %d times", second, first, g.reseals.Load())
		}
		if _, err := g.Keyring().Open(session.PurposeTokens, sealed, nil); err != nil {
			t.Error(err)
		}
		g.stop()

		again := start(t, m, "one")
		if names := again.Keyring().Names(); !slices.Equal(names, []session.KeyName{second, first}) || again.Keyring().Sealing() != second {
			t.Errorf("after a restart: %v", names)
		}
		if s := again.Status(t.Context()); len(s.Files) > 0 || len(s.Gateways) != 1 || s.Keys[1].State != sealing.StateOld || s.Keys[0].Since.IsZero() {
			t.Errorf("%+v", s)
		}
		if _, err := again.Retire(t.Context(), first, true); err != nil {
			t.Fatal(err)
		}
		if names := again.Keyring().Names(); !slices.Equal(names, []session.KeyName{second}) {
			t.Errorf("%v", names)
		}
	})
}

func TestAnOldKeyOfTheStoreGoesByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := start(t, &memory{}, "one")
		if err := g.Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
		pass(11 * time.Hour)
		if n := len(g.Keyring().Names()); n != 2 {
			t.Fatalf("%d keys before the last session is over", n)
		}
		pass(3 * time.Hour)
		if n := len(g.Keyring().Names()); n != 1 {
			t.Errorf("%d keys", n)
		}
	})
}

func TestARingOfTheFirstReleaseIsRead(t *testing.T) {
	m := &memory{}
	raw := []byte(strings.Repeat("a.", 16))
	if _, err := m.SaveRecord(t.Context(), sealing.Kind, sealing.Name, 0, raw, time.Time{}); err != nil {
		t.Fatal(err)
	}
	g := start(t, m, "one")
	g.wantSeals("a")
	if err := g.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if names := g.Keyring().Names(); len(names) != 2 || names[1] != nameOf(t, "a") {
		t.Errorf("%v", names)
	}
}

func TestTheLedgerHoldsNoSecret(t *testing.T) {
	m := &memory{}
	start(t, m, "one", "a", "b")
	record, err := m.LoadRecord(t.Context(), sealing.Kind, "ledger")
	if err != nil {
		t.Fatal(err)
	}
	for _, letter := range []string{"a", "b"} {
		if !strings.Contains(string(record.Value), string(nameOf(t, letter))) || strings.Contains(string(record.Value), secret(letter)) {
			t.Errorf("%s", record.Value)
		}
	}
}

func TestAnOutageOfTheStoreStopsNoGateway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{down: errDown}
		g := start(t, m, "one", "b", "a")
		g.wantSeals("b")
		if err := g.Ready(); err != nil {
			t.Error(err)
		}
		m.fail(nil)
		pass(5 * time.Second)
		if s := g.Known(); len(s.Gateways) != 1 || s.Keys[0].Since.IsZero() {
			t.Errorf("%+v", s)
		}
	})
}
