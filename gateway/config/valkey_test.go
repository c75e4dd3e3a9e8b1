package config_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/gateway/config"
)

func TestAddressesOfValkey(t *testing.T) {
	tcp := func(address string, database int) config.ValkeyAddress {
		return config.ValkeyAddress{Network: "tcp", Address: address, Database: database}
	}
	tests := map[string]struct {
		urls   string
		master string
		want   []config.ValkeyAddress
	}{
		"one server":                {"valkey://127.0.0.1:6379", "", []config.ValkeyAddress{tcp("127.0.0.1:6379", 0)}},
		"the usual port":            {"valkey://valkey.internal", "", []config.ValkeyAddress{tcp("valkey.internal:6379", 0)}},
		"a final slash":             {"valkey://valkey.internal/", "", []config.ValkeyAddress{tcp("valkey.internal:6379", 0)}},
		"a database":                {"valkey://valkey.internal:7000/2", "", []config.ValkeyAddress{tcp("valkey.internal:7000", 2)}},
		"one spelling of the host":  {"VALKEY://Valkey.Internal:06379", "", []config.ValkeyAddress{tcp("valkey.internal:6379", 0)}},
		"one spelling of addresses": {"valkey://[0:0::0001]", "", []config.ValkeyAddress{tcp("[::1]:6379", 0)}},
		"TLS":                       {"valkeys://valkey.internal/1", "", []config.ValkeyAddress{{Network: "tcp", Address: "valkey.internal:6379", TLS: true, Database: 1}}},
		"a socket":                  {"unix:///run/valkey.sock", "", []config.ValkeyAddress{{Network: "unix", Address: "/run/valkey.sock"}}},
		"a socket with a database":  {"unix:///run/valkey@6379.sock?db=2", "", []config.ValkeyAddress{{Network: "unix", Address: "/run/valkey@6379.sock", Database: 2}}},
		"a cluster":                 {"valkey://a valkey://b valkey://a:7000", "", []config.ValkeyAddress{tcp("a:6379", 0), tcp("b:6379", 0), tcp("a:7000", 0)}},
		"sentinels":                 {"valkey://a/3 valkey://b:6379/3", "main", []config.ValkeyAddress{tcp("a:26379", 3), tcp("b:6379", 3)}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := config.Valkey{URLs: strings.Fields(test.urls), SentinelMaster: test.master}.Addresses()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAddressesOfValkeyAreRefusedWhereTheyCannotBeMeant(t *testing.T) {
	tests := map[string]struct{ urls, master, want string }{
		"none":                       {"", "", "urls: is empty"},
		"no scheme":                  {"127.0.0.1:6379", "", "does not begin with"},
		"another scheme":             {"http://127.0.0.1", "", "does not begin with"},
		"another product":            {"redis://127.0.0.1", "", "write valkey://"},
		"another product with TLS":   {"rediss://127.0.0.1", "", "write valkeys://"},
		"no host":                    {"valkey://", "", "host"},
		"a port alone":               {"valkey://:6379", "", "host"},
		"port 0":                     {"valkey://a:0", "", "port"},
		"no port after the colon":    {"valkey://a:", "", "port"},
		"a password":                 {"valkey://:hunter2@a", "", "password"},
		"a password with a slash":    {"valkey://default:hun/ter2@a", "", "password"},
		"a password for a socket":    {"unix://default:hunter2@/run/valkey.sock", "", "password"},
		"a query":                    {"valkey://a?password=hunter2", "", "query"},
		"a fragment":                 {"valkey://a#1", "", "fragment"},
		"a path":                     {"valkey://a/sessions", "", "database"},
		"a negative database":        {"valkey://a/-1", "", "database"},
		"a database with a sign":     {"valkey://a/+1", "", "database"},
		"a database with a zero":     {"valkey://a/01", "", "database"},
		"an escaped database":        {"valkey://a/%31", "", "database"},
		"two databases":              {"valkey://a/1/2", "", "database"},
		"a huge database":            {"valkey://a/2147483648", "", "database"},
		"a relative socket":          {"unix://run/valkey.sock", "", "socket"},
		"a socket without slashes":   {"unix:/run/valkey.sock", "", "socket"},
		"an option of a socket":      {"unix:///run/valkey.sock?mode=0600", "", "database"},
		"a socket among others":      {"valkey://a unix:///run/valkey.sock", "", "socket"},
		"a socket as a sentinel":     {"unix:///run/valkey.sock", "main", "socket"},
		"TLS for some":               {"valkey://a valkeys://b", "", "TLS"},
		"a database of a cluster":    {"valkey://a/1 valkey://b/1", "", "cluster"},
		"databases of sentinels":     {"valkey://a/1 valkey://b", "main", "database"},
		"the same server":            {"valkey://a valkey://b valkey://A:6379/", "", "same server as urls[0]"},
		"the same sentinel":          {"valkey://a valkey://a:26379", "main", "same server as urls[0]"},
		"something after the good":   {"valkey://a nonsense", "", "urls[1]"},
		"an address with a zone":     {"valkey://[fe80::1%25eth0]", "", "host"},
		"an address that has a typo": {"valkey://10.0.0.256", "", "host"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := config.Valkey{URLs: strings.Fields(test.urls), SentinelMaster: test.master}.Addresses()
			if got != nil || err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %v, %v", got, err)
			}
			if text := err.Error(); strings.Contains(text, "hun") || strings.Contains(text, "ter2") {
				t.Errorf("prints a part of the password: %s", text)
			}
		})
	}
}

func FuzzValkeyAddresses(f *testing.F) {
	for _, seed := range []string{
		"valkey://127.0.0.1:6379", "valkeys://a/2", "unix:///run/valkey.sock?db=2", "redis://:p@a", "valkey://[::1]:1 valkey://b",
		"valkey://a@b", "unix:/x", "://", "valkey://a:6379/0 valkey://A",
	} {
		f.Add(seed, "")
		f.Add(seed, "main")
	}
	f.Fuzz(func(t *testing.T, urls, master string) {
		v := config.Valkey{URLs: strings.Split(urls, " "), SentinelMaster: master}
		addrs, err := v.Addresses()
		if err != nil {
			if addrs != nil {
				t.Fatalf("addresses %v with error %v", addrs, err)
			}
			if strings.ContainsAny(err.Error(), "\n\r\x1b\x00") {
				t.Fatalf("a message breaks its line: %q", err)
			}
			return
		}
		if len(addrs) != len(v.URLs) {
			t.Fatalf("%d addresses of %d urls", len(addrs), len(v.URLs))
		}
		// What was understood is written as a URL again and read the same.
		for i, a := range addrs {
			if slices.Contains(addrs[:i], a) || a.TLS != addrs[0].TLS || a.Database != addrs[0].Database || a.Database < 0 {
				t.Fatalf("addresses do not agree: %v", addrs)
			}
			v.URLs[i] = urlOf(a)
		}
		again, err := v.Addresses()
		if diff := cmp.Diff(addrs, again); err != nil || diff != "" {
			t.Fatalf("%v, (-first +again):\n%s", err, diff)
		}
	})
}

func urlOf(a config.ValkeyAddress) string {
	database := strconv.Itoa(a.Database)
	switch {
	case a.Network == "unix":
		return "unix://" + a.Address + "?db=" + database
	case a.TLS:
		return "valkeys://" + a.Address + "/" + database
	}
	return "valkey://" + a.Address + "/" + database
}
