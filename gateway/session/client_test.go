package session_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/session"
)

func TestClientsComeBackAsTheyWerePacked(t *testing.T) {
	for name, c := range map[string]struct {
		browser, system, address             string
		wantBrowser, wantSystem, wantAddress string
	}{
		"everything":                    {"Firefox", "Linux", "2001:db8::1", "Firefox", "Linux", "2001:db8::1"},
		"an address alone":              {"", "", "192.0.2.1", "", "", "192.0.2.1"},
		"words alone":                   {"curl", "", "", "curl", "", "invalid IP"},
		"nothing":                       {"", "", "", "", "", "invalid IP"},
		"an IPv4 address in IPv6":       {"", "", "::ffff:192.0.2.1", "", "", "192.0.2.1"},
		"an address with a zone":        {"", "", "fe80::1%eth0", "", "", "fe80::1"},
		"words that would not fit":      {strings.Repeat("b", 99), strings.Repeat("s", 99), "", "bbbbbbbb", "ssssssss", "invalid IP"},
		"words that look like two":      {"a/b", "c/d", "", "ab", "cd", "invalid IP"},
		"the longest that there can be": {"Firefox1", "Windows1", "2001:db8:1111:2222:3333:4444:5555:6666", "Firefox1", "Windows1", "2001:db8:1111:2222:3333:4444:5555:6666"},
	} {
		t.Run(name, func(t *testing.T) {
			a, _ := netip.ParseAddr(c.address)
			s := typical()
			without, err := session.Marshal(s)
			if err != nil {
				t.Fatal(err)
			}
			s.Client = session.NewClient(c.browser, c.system, a)
			with, err := session.Marshal(s)
			if err != nil {
				t.Fatal(err)
			}
			got := roundTrip(t, s).Client
			if got.Browser() != c.wantBrowser || got.System() != c.wantSystem || got.Address().String() != c.wantAddress {
				t.Errorf("got %q on %q at %s", got.Browser(), got.System(), got.Address())
			}
			if cost := len(with) - len(without); cost >= 40 {
				t.Errorf("it takes %d bytes of the record", cost)
			}
		})
	}
}

func TestDamagedClientsSayNothing(t *testing.T) {
	for _, c := range []session.Client{"", "\x00", "\x04abc", "\xff", "\x03abcx/y", "\x10"} {
		if c.Address().IsValid() {
			t.Errorf("%q has the address %s", string(c), c.Address())
		}
		_, _ = c.Browser(), c.System()
	}
}

// TestACutFieldOfARecordIsDamage: a session with half of what is known about it
// is not given out.
func TestACutFieldOfARecordIsDamage(t *testing.T) {
	s := typical()
	bare, err := session.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	s.Client = session.NewClient("Firefox", "Linux", netip.MustParseAddr("192.0.2.1"))
	data, err := session.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	for n := len(bare) + 1; n < len(data); n++ {
		if got, err := session.Unmarshal(s.Key, data[:n]); err == nil {
			t.Errorf("cut to %d of %d bytes: %q", n, len(data), string(got.Client))
		}
	}
}
