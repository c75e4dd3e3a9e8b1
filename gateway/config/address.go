package config

import (
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
)

// URL returns the parsed public_url with its host in lower case and without a
// default port, which is the form of a browser's Origin. It parses anew, so
// keep the result. On a Config from Load it is never nil nor empty.
func (s Server) URL() *url.URL {
	u, err := url.Parse(s.PublicURL)
	if err != nil {
		return new(url.URL)
	}
	u.Host = strings.ToLower(u.Host)
	if u.Scheme == "http" {
		u.Host = strings.TrimSuffix(u.Host, ":80")
	} else {
		u.Host = strings.TrimSuffix(u.Host, ":443")
	}
	return u
}

// Loopback tells whether public_url names this machine only: localhost, a name
// below it, 127.0.0.0/8 or [::1].
func (s Server) Loopback() bool { return loopbackHost(s.URL().Hostname()) }

// Secure tells whether browsers reach the gateway by https.
func (s Server) Secure() bool { return s.URL().Scheme == "https" }

// PublicHosts lists the hosts that public_url stands for: its own, in lower
// case and without a port or brackets, and where that is loopback also
// localhost, 127.0.0.1 and ::1.
func (s Server) PublicHosts() []string {
	own := s.URL().Hostname()
	hosts := []string{own}
	if loopbackHost(own) {
		for _, h := range []string{"localhost", "127.0.0.1", "::1"} {
			if !slices.Contains(hosts, h) {
				hosts = append(hosts, h)
			}
		}
	}
	return hosts
}

// ParseListen splits a listen address for net.Listen: ("tcp", "host:port", 0)
// or ("unix", "/path", mode). The mode is 0660 where the address has none.
func ParseListen(listen string) (network, address string, mode fs.FileMode, err error) {
	if strings.HasPrefix(listen, "unix:") {
		return parseUnixListen(listen)
	}
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", "", 0, errors.New("is not an address of the form host:port")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
		return "", "", 0, errors.New("has no port between 0 and 65535")
	}
	if host != "" && !isHost(host) {
		return "", "", 0, errors.New("has neither an IP address nor a host name before the port")
	}
	return "tcp", listen, 0, nil
}

func parseUnixListen(listen string) (network, address string, mode fs.FileMode, err error) {
	rest, ok := strings.CutPrefix(listen, "unix://")
	file, query, hasQuery := strings.Cut(rest, "?")
	if !ok || !isSocketPath(file) {
		return "", "", 0, errors.New("is not a socket of the form unix:///path (absolute, at most 107 bytes)")
	}
	mode = 0o660
	if hasQuery {
		octal, ok := strings.CutPrefix(query, "mode=")
		n, err := strconv.ParseUint(octal, 8, 32)
		if !ok || err != nil || n > 0o777 || n == 0 {
			return "", "", 0, errors.New("has options other than mode=0660")
		}
		mode = fs.FileMode(n)
	}
	return "unix", file, mode, nil
}

// isSocketPath accepts absolute clean paths that fit into a socket address.
func isSocketPath(file string) bool {
	return len(file) > 1 && file[0] == '/' && len(file) <= 107 && path.Clean(file) == file && !strings.ContainsAny(file, "?#\x00")
}

// localListen tells whether only this machine can reach a listen address.
func localListen(listen string) bool {
	network, address, _, err := ParseListen(listen)
	if err != nil {
		return false
	}
	if network == "unix" {
		return true
	}
	host, _, _ := net.SplitHostPort(address)
	return loopbackHost(host)
}

// loopbackHost knows hosts without port, with or without brackets.
func loopbackHost(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Zone() == "" && addr.Unmap().IsLoopback()
}

// isHost accepts an IP address without zone and brackets, or a host name.
func isHost(s string) bool {
	if addr, err := netip.ParseAddr(s); err == nil {
		return addr.Zone() == ""
	}
	return isHostName(s)
}

// isHostName accepts DNS names without a final dot. A name whose last label is
// a number is a mistyped address to every browser, so it is refused.
func isHostName(s string) bool {
	if len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, c := range []byte(label) {
			if !isAlnum(c) && c != '-' && c != '_' {
				return false
			}
		}
	}
	_, last, _ := cutLast(s, ".")
	return strings.Trim(last, "0123456789") != ""
}

func isAlnum(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// urlShape says what an URL may have besides scheme, host and port.
type urlShape struct {
	schemes     []string
	path, query bool
	slash       bool // a path of "/" alone
}

// parse returns the URL, or words what is wrong with it. Passwords in URLs are
// refused, and never repeated in the message.
func (shape urlShape) parse(raw string) (u *url.URL, problem string) {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return nil, "is not a URL"
	case !slices.Contains(shape.schemes, u.Scheme) || u.Opaque != "":
		return nil, "is not a URL that begins with " + orList(schemePrefixes(shape.schemes))
	case u.User != nil:
		return nil, "must not hold a user name or password"
	case !isHost(u.Hostname()):
		return nil, "has no valid host"
	case !isPort(u.Port()) || strings.HasSuffix(u.Host, ":"):
		return nil, "has no valid port"
	case strings.Contains(raw, "#"):
		return nil, "must not have a fragment (#)"
	case !shape.query && strings.Contains(raw, "?"):
		return nil, "must not have a query (?)"
	case !shape.path && u.Path != "" && (u.Path != "/" || !shape.slash):
		return nil, "must not have a path"
	}
	return u, ""
}

func schemePrefixes(schemes []string) []string {
	prefixes := make([]string, len(schemes))
	for i, s := range schemes {
		prefixes[i] = s + "://"
	}
	return prefixes
}

func isPort(port string) bool {
	if port == "" {
		return true
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0
}

// isToken accepts the tokens of RFC 9110, section 5.6.2.
func isToken(s string) bool {
	for _, c := range []byte(s) {
		if !isAlnum(c) && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return s != ""
}

// isPlainText refuses what cannot stand in a header or in one line of a page.
func isPlainText(s string) bool {
	for _, c := range s {
		if c < ' ' || c == 0x7f {
			return false
		}
	}
	return true
}
