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

// SystemdSocket is the Network of a listener whose sockets systemd has opened.
const SystemdSocket = "systemd"

// ListenAddress is where to listen.
type ListenAddress struct {
	Network string // tcp, unix or SystemdSocket
	Address string // host:port; /path; the FileDescriptorName, or "" for the only socket there is

	// Of a socket in the file system.
	Mode  fs.FileMode
	Group string // its owner; "" = the process's
}

// ParseListen reads a listen address: host:port, unix:///path?mode=0660&group=www
// (0660 unless written), systemd, or systemd:NAME.
func ParseListen(listen string) (ListenAddress, error) {
	if strings.HasPrefix(listen, "unix:") {
		return parseUnixListen(listen)
	}
	if listen == "systemd" {
		return ListenAddress{Network: SystemdSocket}, nil
	}
	// A port is a number, and those are no names, so that a host of this name
	// can still be listened on.
	if name, ok := strings.CutPrefix(listen, "systemd:"); ok && !isPort(name) {
		if !isDescriptorName(name) {
			return ListenAddress{}, errors.New("has no FileDescriptorName after systemd: (letters, digits and . _ -)")
		}
		return ListenAddress{Network: SystemdSocket, Address: name}, nil
	}
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return ListenAddress{}, errors.New("is not an address of the form host:port")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
		return ListenAddress{}, errors.New("has no port between 0 and 65535")
	}
	if host != "" && !isHost(host) {
		return ListenAddress{}, errors.New("has neither an IP address nor a host name before the port")
	}
	return ListenAddress{Network: "tcp", Address: listen}, nil
}

func parseUnixListen(listen string) (ListenAddress, error) {
	rest, ok := strings.CutPrefix(listen, "unix://")
	file, query, hasQuery := strings.Cut(rest, "?")
	if !ok || !isSocketPath(file) {
		return ListenAddress{}, errors.New("is not a socket of the form unix:///path (absolute, at most 107 bytes)")
	}
	a := ListenAddress{Network: "unix", Address: file, Mode: 0o660}
	if !hasQuery {
		return a, nil
	}
	errOptions := errors.New("has options other than mode=0660 and group=NAME")
	seen := map[string]bool{}
	for option := range strings.SplitSeq(query, "&") {
		key, value, _ := strings.Cut(option, "=")
		if seen[key] {
			return ListenAddress{}, errOptions
		}
		seen[key] = true
		switch n, err := strconv.ParseUint(value, 8, 32); {
		case key == "mode" && err == nil && 0 < n && n <= 0o777:
			a.Mode = fs.FileMode(n)
		case key == "group" && isDescriptorName(value):
			a.Group = value
		default:
			return ListenAddress{}, errOptions
		}
	}
	return a, nil
}

// isDescriptorName accepts names of sockets in systemd's units, and of groups.
func isDescriptorName(name string) bool {
	for _, c := range []byte(name) {
		if !isAlnum(c) && !strings.ContainsRune("._-", rune(c)) {
			return false
		}
	}
	return name != "" && len(name) <= 64
}

// isSocketPath accepts absolute clean paths that fit into a socket address.
func isSocketPath(file string) bool {
	return len(file) > 1 && file[0] == '/' && len(file) <= 107 && path.Clean(file) == file && !strings.ContainsAny(file, "?#\x00")
}

// localListen tells whether only this machine can reach a listen address. Of a
// socket that systemd opens nobody knows.
func localListen(listen string) bool {
	a, err := ParseListen(listen)
	if err != nil || a.Network == SystemdSocket {
		return false
	}
	if a.Network == "unix" {
		return true
	}
	host, _, _ := net.SplitHostPort(a.Address)
	return loopbackHost(host)
}

// ListensLocally tells whether only this machine can reach the listeners.
func (s Server) ListensLocally() bool {
	return !slices.ContainsFunc(s.AllListeners(), func(l Listener) bool { return !localListen(l.Listen) })
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
