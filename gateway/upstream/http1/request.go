package http1

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"golang.org/x/net/http/httpguts"
)

var (
	errNoHost = errors.New("http1: no Host in the request")
	errTarget = errors.New("http1: the request's target has a control character or a space")
)

// appendRequest writes a request as net/http does (http.Request.Write), and refuses
// what that refuses: names and values that would not be one header line.
func appendRequest(b []byte, r *http.Request) ([]byte, error) {
	target := r.URL.RequestURI()
	for i := range len(target) {
		if target[i] <= ' ' || target[i] == 0x7f {
			return b, errTarget
		}
	}
	if host(r) == "" {
		return b, errNoHost
	}
	b = append(b, r.Method...)
	b = append(b, ' ')
	b = append(b, target...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, host(r)...)
	b = append(b, "\r\n"...)
	agent := false
	for name, values := range r.Header {
		if !httpguts.ValidHeaderFieldName(name) {
			return b, fmt.Errorf("http1: %q is no name of a header field", name)
		}
		for _, value := range values {
			if !httpguts.ValidHeaderFieldValue(value) {
				// Without the value, which may be a secret.
				return b, fmt.Errorf("http1: the value of %s is no value of a header field", name)
			}
		}
		switch name {
		case "Host", "Content-Length", "Transfer-Encoding", "Trailer":
			continue // net/http writes these of its own knowledge, and there is no body
		case "User-Agent":
			agent = true
			if len(values) == 0 || values[0] == "" {
				continue
			}
			values = values[:1]
		}
		for _, value := range values {
			b = append(b, name...)
			b = append(b, ": "...)
			b = append(b, trim(value)...)
			b = append(b, "\r\n"...)
		}
	}
	if !agent {
		b = append(b, "User-Agent: Go-http-client/1.1\r\n"...)
	}
	return append(b, "\r\n"...), nil
}

func trim(s string) string {
	if s == "" || s[0] > ' ' && s[len(s)-1] > ' ' {
		return s
	}
	return strings.Trim(s, " \t")
}

// plainHost reports whether a host can be sent as it is: names and addresses in ASCII.
func plainHost(host string) bool {
	for i := range len(host) {
		c := host[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-._:[]~!$&'()*+,;=", c) >= 0:
		default:
			return false
		}
	}
	return true
}
