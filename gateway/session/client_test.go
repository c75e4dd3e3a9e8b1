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
		"everything":                     {"Firefox", "Linux", "2001:db8::1", "Firefox", "Linux", "2001:db8::1"},
		"an address alone":               {"", "", "192.0.2.1", "", "", "192.0.2.1"},
		"words alone":                    {"curl", "", "", "curl", "", "invalid IP"},
		"nothing":                        {"", "", "", "", "", "invalid IP"},
		"an IPv4 address in IPv6":        {"", "", "::ffff:192.0.2.1", "", "", "192.0.2.1"},
		"an address with a zone":         {"", "", "fe80::1%eth0", "", "", "fe80::1"},
		"words that are not on the list": {strings.Repeat("b", 99), "<script>", "", "", "", "invalid IP"},
		"the longest that there can be":  {"Firefox", "Windows", "2001:db8:1111:2222:3333:4444:5555:6666", "Firefox", "Windows", "2001:db8:1111:2222:3333:4444:5555:6666"},
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
			if cost := len(with) - len(without); cost > 20 {
				t.Errorf("it takes %d bytes of the record", cost)
			}
		})
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
		if got, err := session.Unmarshal(s.Key(), data[:n]); err == nil {
			t.Errorf("cut to %d of %d bytes: %q", n, len(data), got.Client.Browser())
		}
	}
}
