package config

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

func (k *checker) server() {
	s := k.Server
	k.listeners()
	k.publicURL()
	k.authPrefix()
	k.tls()
	k.hsts()
	for i, entry := range s.TrustedProxies {
		k.trustedProxy(item("server.trusted_proxies", i), entry)
	}
	k.limits()
	k.admin()
}

func (k *checker) admin() {
	a := k.Admin
	if a.Listen == "" {
		return
	}
	k.listen("admin.listen", a.Listen)
	for i, l := range k.Server.AllListeners() {
		if sameListen(a.Listen, l.Listen) {
			k.fault("admin.listen", "is the same address as "+k.listenPath(i), "give the operators' listener an address of its own, or \"\" to turn it off")
		}
	}
	if _, err := ParseListen(a.Listen); err == nil && !localListen(a.Listen) && a.TokenFile == "" && a.TLS.ClientCAFile == "" {
		k.fault("admin.token_file", "is missing, though admin.listen can be reached from other machines",
			"write token_file: FILE (and tls: {cert_file, key_file}), or listen on 127.0.0.1")
	}
	for i, host := range a.Hosts {
		if !isHostName(host) || host != strings.ToLower(host) {
			k.fault(item("admin.hosts", i), fmt.Sprintf("%q is not a host name in lower case", shorten(host)), "write the name without a port, such as gateway.internal.example.com")
		}
	}
	k.listenerTLS("admin.tls", a.TLS)
	k.secret("admin", "token", "", a.TokenFile)
}

func (k *checker) log() {
	k.oneOf("log.level", k.Log.Level, "debug", "info", "warn", "error")
	k.oneOf("log.format", k.Log.Format, "json", "console")
}

func (k *checker) listen(path, listen string) {
	if _, err := ParseListen(listen); err != nil {
		k.fault(path, fmt.Sprintf("%q %s", shorten(listen), err), listenFix)
	}
}

func (k *checker) publicURL() {
	const path = "server.public_url"
	u, problem := urlShape{schemes: []string{"http", "https"}}.parse(k.Server.PublicURL)
	switch {
	case problem != "":
		k.fault(path, problem, "write what browsers type, such as https://app.example.com or http://localhost:8080, without a / at the end")
	case u.Scheme == "http" && !loopbackHost(u.Hostname()):
		k.fault(path, "is plain http on a host that is not loopback, where browsers refuse Secure cookies",
			"write https://"+strings.ToLower(u.Hostname()))
	}
}

func (k *checker) authPrefix() {
	if !isCleanPrefix(k.Server.AuthPrefix) {
		k.fault("server.auth_prefix", fmt.Sprintf("%q is not a path of plain segments", shorten(k.Server.AuthPrefix)),
			"write /.auth or another path of letters, digits and . _ - without a / at the end")
	}
}

// isCleanPrefix accepts /a or /a/b of characters that no URL escapes.
func isCleanPrefix(prefix string) bool {
	rest, ok := strings.CutPrefix(prefix, "/")
	if !ok {
		return false
	}
	for segment := range strings.SplitSeq(rest, "/") {
		if segment == "" || segment == "." || segment == ".." {
			return false
		}
		for _, c := range []byte(segment) {
			if !isAlnum(c) && !strings.ContainsRune("._-~", rune(c)) {
				return false
			}
		}
	}
	return true
}

// trustedProxy accepts an address, a network, or the word unix. Believing
// everybody, or a network that is not the one that was meant, lets anyone
// choose their address and their identity headers.
func (k *checker) trustedProxy(path, entry string) {
	const fix = "write an address such as 10.0.0.1, a network such as 10.0.0.0/8, or unix"
	if entry == "unix" {
		return
	}
	addr, addrErr := netip.ParseAddr(entry)
	prefix, prefixErr := netip.ParsePrefix(entry)
	ip, bits, isNetwork := strings.Cut(entry, "/")
	switch {
	case addrErr == nil && addr.Zone() == "" && !addr.IsUnspecified():
	case addrErr == nil && addr.IsUnspecified():
		k.fault(path, fmt.Sprintf("%q stands for any address", shorten(entry)), fix)
	case prefixErr == nil && everybody(prefix):
		k.fault(path, fmt.Sprintf("%q trusts every client", entry), "write only the addresses of your own proxies")
	case prefixErr == nil && prefix != prefix.Masked():
		k.fault(path, fmt.Sprintf("%q names an address inside the network %s", entry, prefix.Masked()),
			fmt.Sprintf("write %s for the network, or %s for the one address", prefix.Masked(), prefix.Addr()))
	case prefixErr == nil:
	case isNetwork && isAddress(ip):
		k.fault(path, fmt.Sprintf("%q has a bad mask /%s", shorten(entry), excerpt(bits)), fix)
	case isHostName(entry):
		k.fault(path, fmt.Sprintf("%q is a host name, and names can be made to point anywhere", shorten(entry)), fix)
	default:
		k.fault(path, fmt.Sprintf("%q is neither an address nor a network", shorten(entry)), fix)
	}
}

func isAddress(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil
}

// everybody knows 0.0.0.0/0 and ::/0, and the former written as IPv6.
func everybody(p netip.Prefix) bool {
	return p.Bits() == 0 || p.Addr().Is4In6() && p.Bits() <= 96
}

func (k *checker) notNegative(path string, n int64) {
	if n < 0 {
		k.fault(path, "is negative", "write 0 for no limit, or a positive value")
	}
}

func (k *checker) atLeastSecond(path string, d time.Duration) {
	if d < time.Second {
		k.fault(path, fmt.Sprintf("%s is too short", d), "write 1s or more")
	}
}

// item is the path of an entry of a list.
func item(list string, i int) string { return list + "[" + strconv.Itoa(i) + "]" }
