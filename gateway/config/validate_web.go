package config

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// web checks what a route does for people's browsers.
func (k *checker) web(at string, r *Route) {
	k.shield(at+".shield", &r.Shield)
	k.oneOf(at+".cross_site.mode", r.CrossSite.Mode, ModeOff, ModeReport, ModeEnforce)
	k.oneOf(at+".cross_site.websocket", r.CrossSite.WebSocket, ModeOff, ModeReport, ModeEnforce)
	for i, origin := range r.CrossSite.Origins {
		k.crossSiteOrigin(item(at+".cross_site.origins", i), origin)
	}
}

// crossSiteOrigin wants an origin exactly as browsers write it, since it is
// compared as text (RFC 6454, section 6.2).
func (k *checker) crossSiteOrigin(at, origin string) {
	const fix = "write an origin such as https://app.example.com"
	if origin == "*" || origin == "null" {
		k.fault(at, origin+" stands for the pages of anybody", fix+", or turn the check off")
		return
	}
	u, problem := urlShape{schemes: []string{"https", "http"}}.parse(origin)
	switch {
	case problem != "":
		k.fault(at, problem, fix)
	case exactOrigin(u) != origin:
		k.fault(at, fmt.Sprintf("%q is not how browsers write it", shorten(origin)), "write "+excerpt(exactOrigin(u)))
	case u.Scheme == "http" && !loopbackHost(u.Hostname()):
		k.fault(at, "is plain http, so that anybody on the way could put his page in its place", "write https://")
	}
}

func (k *checker) shield(at string, s *Shield) {
	k.oneOf(at+".mode", s.Mode, ModeOff, ModeReport, ModeEnforce)
	k.oneOf(at+".same_site", s.SameSite, "lax", "strict")
	switch {
	case s.HSTS < 0:
		k.fault(at+".hsts", "is negative", "write how long browsers remember to use https, such as 8760h, or 0 for no such header")
	case s.HSTS > 0 && s.HSTS < time.Second:
		k.atLeastSecond(at+".hsts", s.HSTS)
	}
	if s.HostPrefix && !k.Server.Secure() && !k.lost.touches("server.public_url") {
		k.fault(at+".host_prefix", "browsers refuse a __Host- cookie where public_url is plain http", "remove it, or serve by https")
	}
	if s.HostPrefix && s.KeepDomain {
		k.fault(at+".host_prefix", "a __Host- cookie cannot have a domain, and keep_domain leaves it", "remove one of the two, or write keep_domain: true beside the cookies that need theirs")
	}
	if !isHeaderPart(s.FrameAncestors) {
		k.fault(at+".frame_ancestors", fmt.Sprintf("%q is not a list of sources", shorten(s.FrameAncestors)), "write 'self', 'none' or origins with spaces between them, or \"\" for no such header")
	}
	if s.ReferrerPolicy != "" {
		k.oneOf(at+".referrer_policy", s.ReferrerPolicy, "no-referrer", "no-referrer-when-downgrade", "origin", "origin-when-cross-origin",
			"same-origin", "strict-origin", "strict-origin-when-cross-origin", "unsafe-url")
	}
	k.shieldCookies(at+".cookies", s)
	for i, name := range s.RemoveHeaders {
		k.removedHeader(item(at+".remove_headers", i), name)
	}
}

// isHeaderPart accepts what can stand in a directive of a policy.
func isHeaderPart(s string) bool {
	return isPlainText(s) && !strings.ContainsAny(s, ";,") && s == strings.TrimSpace(s)
}

func (k *checker) shieldCookies(at string, s *Shield) {
	seen := map[string]int{}
	for i, c := range s.Cookies {
		path := item(at, i)
		first, twice := seen[c.Name]
		switch {
		case c.Name == "":
			k.missing(path+".name", "is missing", "write the name of a cookie, or how names begin, with a * behind it")
		case !isToken(strings.TrimSuffix(c.Name, "*")) && c.Name != "*" || strings.Contains(strings.TrimSuffix(c.Name, "*"), "*"):
			k.fault(path+".name", fmt.Sprintf("%q is not a cookie name", shorten(c.Name)), "write it as the application sets it; a * may stand at the end alone")
		case twice:
			k.fault(path+".name", fmt.Sprintf("%q is that of %s already", shorten(c.Name), item("cookies", first)), "keep one of them")
		default:
			seen[c.Name] = i
		}
		if c.SameSite != "" {
			k.oneOf(path+".same_site", c.SameSite, "lax", "strict", "none")
		}
		if c.SameSite == "none" && c.Insecure {
			k.fault(path+".insecure", "browsers refuse a cookie that is SameSite=None and not Secure", "remove one of the two")
		}
		if c.SameSite == "none" && !k.Server.Secure() && !k.lost.touches("server.public_url") {
			k.fault(path+".same_site", "browsers refuse a cookie that is SameSite=None and not Secure, and public_url is plain http", "remove it, or serve by https")
		}
		if c.Untouched && (c.Script || c.Insecure || c.KeepDomain || c.SameSite != "") {
			k.fault(path+".untouched", "nothing of the cookie is changed, and what stands beside it has no effect", "keep one of the two")
		}
	}
}

// removedHeader refuses fields without which an answer means something else.
func (k *checker) removedHeader(at, name string) {
	kept := []string{
		"contentlength", "contenttype", "contentencoding", "contentrange", "setcookie", "location", "date", "vary", "wwwauthenticate", "cachecontrol",
	}
	switch folded := foldHeader(name); {
	case !isToken(name) || folded == "":
		k.fault(at, fmt.Sprintf("%q is not a header name", shorten(name)), "write letters, digits and - only")
	case reservedHeader(folded), slices.Contains(kept, folded):
		k.fault(at, name+" is what browsers need to read the answer", "remove it: this is for fields such as Server and X-Powered-By")
	}
}
