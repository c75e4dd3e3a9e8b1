package config

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// headers checks the rules of a route. Names are compared as upstreams may fold
// them: on letters and digits only.
func (k *checker) headers(at string, headers []Header) {
	seen := map[string]string{}
	for i, h := range headers {
		path := item(at, i)
		folded := foldHeader(h.Name)
		switch other, twice := seen[folded]; {
		case h.Name == "":
			k.missing(path+".name", "is missing", "write the name of a header, such as X-Forwarded-Department")
		case twice:
			k.fault(path+".name", fmt.Sprintf("%s is the same header as %s: only letters and digits count", h.Name, other), "keep one of them")
		default:
			if k.headerName(path+".name", h.Name) {
				seen[folded] = h.Name
			}
		}
		if h.Claim == "" {
			k.missing(path+".claim", "is missing", "write the claim that it carries, such as sub, email, groups or realm_access.roles")
		}
		k.headerValue(path, h)
	}
}

// headerName reports a name that no identity can have.
func (k *checker) headerName(path, name string) bool {
	folded := foldHeader(name)
	switch {
	case !isToken(name) || folded == "":
		k.fault(path, fmt.Sprintf("%q is not a header name", shorten(name)), "write letters, digits and - only")
	case reservedHeader(folded):
		k.fault(path, name+" belongs to HTTP itself", "choose another name, such as X-"+name)
	default:
		return true
	}
	return false
}

// identityTrailers refuses trailer fields by the names of headers that the gateway
// sets on some route: whoever merges both would take a client's word for its own.
func (k *checker) identityTrailers(at string, r Route) {
	for i, name := range r.Trailers {
		folded := foldHeader(name)
		says := func(other string) bool { return other != "" && foldHeader(other) == folded }
		for _, other := range k.Routes {
			if says(other.ForwardIDToken) || slices.ContainsFunc(other.Headers, func(h Header) bool { return says(h.Name) }) {
				k.fault(item(at+".trailers", i), name+" tells applications who the user is", "remove it")
				break
			}
		}
	}
}

func (k *checker) headerValue(path string, h Header) {
	for i, claim := range h.Or {
		if claim == "" || claim == h.Claim || slices.Index(h.Or, claim) < i {
			k.fault(item(path+".or", i), fmt.Sprintf("%q is empty, or is looked for before", shorten(claim)), "write another claim, or remove it")
		}
	}
	for _, text := range [][2]string{{"join", h.Join}, {"default", h.Default}} {
		if !isPlainText(text[1]) {
			k.fault(path+"."+text[0], "holds control characters", "write one line of text")
		}
	}
	if _, err := regexp.Compile(h.Match); err != nil {
		k.fault(path+".match", "is wrong ("+excerpt(strings.TrimPrefix(err.Error(), "error parsing regexp: "))+")", "write it in Go's RE2 syntax, such as ^app-")
	}
	if h.Encoding == "json" {
		if k.given(path + ".join") {
			k.fault(path+".join", "does not apply to encoding: json, where lists are lists", "remove it")
		}
		if h.Default != "" && !json.Valid([]byte(h.Default)) {
			k.fault(path+".default", fmt.Sprintf("%q is not JSON, which the header is", shorten(h.Default)), `write JSON in quotes, such as "[]"`)
		}
	}
	k.oneOf(path+".encoding", h.Encoding, "percent", "utf8", "base64", "rfc2047", "json")
}

func foldHeader(name string) string {
	var b strings.Builder
	for _, c := range []byte(strings.ToLower(name)) {
		if isAlnum(c) {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// reservedHeader knows, folded, the headers that HTTP or the gateway itself
// lives by (RFC 9110, section 7.6.1).
func reservedHeader(folded string) bool {
	switch folded {
	case "connection", "keepalive", "proxyconnection", "proxyauthenticate", "proxyauthorization", "te", "trailer", "transferencoding", "upgrade",
		"host", "contentlength", "cookie", "authorization":
		return true
	}
	return false
}
