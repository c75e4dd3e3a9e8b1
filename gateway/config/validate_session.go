package config

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/net/publicsuffix"
)

func (k *checker) session() {
	s := k.Session
	k.oneOf("session.store", s.Store, StoreEmbedded, StoreValkey)
	if s.Store == StoreValkey {
		k.valkey()
	}
	k.cookie()

	k.atLeastSecond("session.idle_timeout", s.IdleTimeout)
	k.atLeastSecond("session.absolute_timeout", s.AbsoluteTimeout)
	if s.IdleTimeout > s.AbsoluteTimeout && s.AbsoluteTimeout >= time.Second {
		at := "session.idle_timeout"
		if !k.given(at) {
			at = "session.absolute_timeout"
		}
		k.fault(at, fmt.Sprintf("the idle timeout %s is longer than the absolute timeout %s", s.IdleTimeout, s.AbsoluteTimeout),
			"lower idle_timeout, or raise absolute_timeout")
	}
	if s.KeysWarnAge < 0 {
		k.fault("session.keys_warn_age", "is negative", "write keys_warn_age: 4320h, which is 180 days, or 0 to be told of no age")
	}
	for i, name := range s.KeysFiles {
		at := item("session.keys_files", i)
		if name == "" {
			k.fault(at, "is empty", "name a key file, or remove the entry")
		}
		k.file(at, name)
	}
}

func (k *checker) cookie() {
	c := k.Session.Cookie
	k.oneOf("session.cookie.same_site", c.SameSite, "lax", "strict", "none")
	if c.SameSite == "none" && !k.Server.Secure() {
		k.fault("session.cookie.same_site", "none needs Secure cookies, and public_url is not https", "write lax, or serve by https")
	}
	if c.Name != "" {
		k.cookieName()
	}
	if c.Domain != "" {
		k.cookieDomain()
	}
}

// cookieName keeps the prefixes of RFC 6265bis, section 4.1.3: with them a
// browser itself refuses a cookie that another host or plain http has set.
func (k *checker) cookieName() {
	const at = "session.cookie.name"
	name := k.Session.Cookie.Name
	hostOnly := strings.HasPrefix(name, "__Host-")
	prefixed := hostOnly || strings.HasPrefix(name, "__Secure-")
	folded := strings.ToLower(name)
	switch {
	case !isToken(name):
		k.fault(at, fmt.Sprintf("%q is not a cookie name", shorten(name)), "write letters, digits, - and _ only")
	case !prefixed && (strings.HasPrefix(folded, "__host-") || strings.HasPrefix(folded, "__secure-")):
		k.fault(at, "has its prefix in the wrong case", "write __Host- or __Secure- exactly so")
	case hostOnly && k.Session.Cookie.Domain != "":
		k.fault(at, "a __Host- cookie cannot have a domain", "write __Secure-"+strings.TrimPrefix(name, "__Host-")+", or remove cookie.domain")
	case k.Server.Secure() && !prefixed:
		k.fault(at, "does not begin with __Host- or __Secure-, so that other hosts could plant it", "write __Host-"+name)
	case !k.Server.Secure() && prefixed:
		k.fault(at, "browsers refuse a __Host- or __Secure- cookie where public_url is plain http", "remove it, or serve by https")
	}
}

func (k *checker) cookieDomain() {
	const at = "session.cookie.domain"
	domain := strings.ToLower(k.Session.Cookie.Domain)
	host := k.Server.URL().Hostname()
	_, ipErr := netip.ParseAddr(domain)
	switch {
	case strings.HasPrefix(domain, "."):
		k.fault(at, "begins with a dot", "write "+excerpt(strings.TrimLeft(domain, ".")))
	case ipErr == nil:
		k.fault(at, "is an address", "remove it: a cookie of an address belongs to that address alone")
	case !isHostName(domain):
		k.fault(at, fmt.Sprintf("%q is not a domain", shorten(domain)), "write a domain such as example.com, without a final dot")
	case isPublicSuffix(domain):
		k.fault(at, fmt.Sprintf("%q is shared by everybody who registers a name below it", domain), "write your own domain, such as example.com")
	case host != domain && !strings.HasSuffix(host, "."+domain):
		k.fault(at, fmt.Sprintf("%q does not cover the host of public_url, %q", domain, shorten(host)), "write a domain that ends that host")
	}
}

// isPublicSuffix knows the Public Suffix List, and takes for one what has no dot. A
// browser refuses such a domain where its own list is as new as this one.
func isPublicSuffix(domain string) bool {
	suffix, _ := publicsuffix.PublicSuffix(domain)
	return suffix == domain
}
