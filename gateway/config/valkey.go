package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// ValkeyAddress is one entry of session.valkey.urls, parsed.
type ValkeyAddress struct {
	Network  string // tcp | unix
	Address  string // host:port in canonical form, or /path
	TLS      bool
	Database int
}

// The ports of URLs that have none.
const (
	valkeyPort   = "6379"
	sentinelPort = "26379"
)

// Addresses returns the entries of urls, parsed and in their order. All agree
// in TLS and, with sentinels, in the database; a unix socket stands alone. On a
// Config from Load whose store is valkey, it is never empty and has no error.
func (v Valkey) Addresses() ([]ValkeyAddress, error) {
	if len(v.URLs) == 0 {
		return nil, errors.New("session.valkey.urls: is empty")
	}
	addrs, faults := v.parse()
	if len(faults) > 0 {
		f := faults[0]
		return nil, fmt.Errorf("%s: %s: %s", item("session.valkey.urls", f.entry), f.problem, f.fix)
	}
	return addrs, nil
}

// A urlFault is something wrong with one entry of urls. Its texts repeat
// nothing of the entry but what is known to be no secret.
type urlFault struct {
	entry        int
	problem, fix string
}

// parse returns an address for every entry, with the zero value for one that is
// faulty, and everything that is wrong with them.
func (v Valkey) parse() (addrs []ValkeyAddress, faults []urlFault) {
	port := valkeyPort
	if v.SentinelMaster != "" {
		port = sentinelPort
	}
	first := -1 // the first sound entry, with which all others must agree
	for i, raw := range v.URLs {
		a, problem, fix := parseValkeyURL(raw, port)
		if problem == "" {
			problem, fix = v.misfit(a, addrs, first)
		}
		if problem != "" {
			addrs = append(addrs, ValkeyAddress{})
			faults = append(faults, urlFault{i, problem, fix})
			continue
		}
		addrs = append(addrs, a)
		if first < 0 {
			first = i
		}
	}
	return addrs, faults
}

// misfit words what is wrong with a sound entry beside those before it.
func (v Valkey) misfit(a ValkeyAddress, before []ValkeyAddress, first int) (problem, fix string) {
	several, sentinels := len(v.URLs) > 1, v.SentinelMaster != ""
	switch {
	case a.Network == "unix" && sentinels:
		return "is a unix socket, and sentinels are found by host and port", "write the sentinels as valkey://HOST:" + sentinelPort + ", or remove sentinel_master"
	case a.Network == "unix" && several:
		return "is a unix socket beside other entries", "write the socket alone, or the nodes of a cluster as valkey://HOST:" + valkeyPort
	case a.Database != 0 && several && !sentinels:
		return fmt.Sprintf("names database %d, and a cluster (several entries) has database 0 alone", a.Database), "remove the path, or write sentinel_master if these are sentinels"
	case first < 0:
		return "", ""
	case a.TLS != before[first].TLS:
		return fmt.Sprintf("differs from %s in TLS", item("urls", first)), "write valkeys:// in every entry, or valkey:// in every entry"
	case a.Database != before[first].Database:
		return fmt.Sprintf("names database %d, and %s names database %d", a.Database, item("urls", first), before[first].Database), "write the same database in every entry"
	}
	if twin := slices.Index(before, a); twin >= 0 {
		return "is the same server as " + item("urls", twin), "keep one of them"
	}
	return "", ""
}

// parseValkeyURL parses one entry, or words what is wrong with it.
func parseValkeyURL(raw, port string) (a ValkeyAddress, problem, fix string) {
	scheme, rest, _ := strings.Cut(raw, "://")
	scheme = strings.ToLower(scheme)
	example := "valkey://HOST:" + port
	fix = "write " + example + ", valkeys://HOST:" + port + " for TLS, or unix:///run/valkey.sock"
	switch {
	case raw == "":
		return a, "is empty", "write " + example + ", or remove the entry"
	case scheme == "unix" || strings.HasPrefix(scheme, "unix:"):
		return parseValkeySocket(rest)
	case scheme == "redis" || scheme == "rediss":
		known := strings.Replace(scheme, "redis", "valkey", 1)
		if strings.Contains(rest, "@") {
			return a, "begins with " + scheme + ":// and holds a user name or password", "write " + known + "://HOST:" + port + ", with username and password_file beside urls"
		}
		return a, "begins with " + scheme + "://", "write " + known + "://, with the rest as it is"
	case scheme != "valkey" && scheme != "valkeys":
		return a, "does not begin with valkey://, valkeys:// or unix://", fix
	case strings.Contains(rest, "@"): // no host, port or database has one, and url.Parse fails at passwords that have a / or #
		return a, "must not hold a user name or password", "write " + scheme + "://HOST:" + port + ", with username and password_file beside urls"
	case strings.Contains(rest, "?"):
		return a, "must not have a query (?)", "write the database as the path: " + example + "/2; other settings are keys of session.valkey"
	case strings.Contains(rest, "#"):
		return a, "must not have a fragment (#)", fix
	}

	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return a, "is not a URL", fix
	case !isHost(u.Hostname()):
		return a, "has no valid host", fix
	case !isPort(u.Port()) || strings.HasSuffix(u.Host, ":"):
		return a, "has no valid port", fix
	}
	if u.Port() != "" {
		n, _ := strconv.ParseUint(u.Port(), 10, 16)
		port = strconv.FormatUint(n, 10)
	}
	host := strings.ToLower(u.Hostname())
	if addr, err := netip.ParseAddr(host); err == nil {
		host = addr.String()
	}
	a = ValkeyAddress{Network: "tcp", Address: net.JoinHostPort(host, port), TLS: scheme == "valkeys"}
	if path := u.EscapedPath(); path != "" && path != "/" {
		database, ok := parseDatabase(path[1:])
		if !ok {
			return ValkeyAddress{}, "has a path that is no database number", "write " + example + "/2 for database 2, or no path for database 0"
		}
		a.Database = database
	}
	return a, "", ""
}

// parseValkeySocket parses what follows unix://.
func parseValkeySocket(rest string) (a ValkeyAddress, problem, fix string) {
	file, query, hasQuery := strings.Cut(rest, "?")
	authority, _, _ := strings.Cut(file, "/")
	switch {
	case strings.Contains(authority, "@"):
		return a, "must not hold a user name or password", "write unix:///run/valkey.sock, with username and password_file beside urls"
	case !isSocketPath(file):
		return a, "is not a socket of the form unix:///path (absolute, at most 107 bytes)", "write unix:///run/valkey.sock"
	}
	a = ValkeyAddress{Network: "unix", Address: file}
	if hasQuery {
		number, named := strings.CutPrefix(query, "db=")
		database, ok := parseDatabase(number)
		if !named || !ok {
			return ValkeyAddress{}, "has options other than a database number", "write unix:///run/valkey.sock?db=2 for database 2, or no query for database 0"
		}
		a.Database = database
	}
	return a, "", ""
}

func parseDatabase(s string) (database int, ok bool) {
	n, err := strconv.ParseUint(s, 10, 31)
	return int(n), err == nil && strconv.FormatUint(n, 10) == s
}
