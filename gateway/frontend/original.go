package frontend

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Original is what a proxy says of the request that it asks about. Nothing in it
// has been looked at.
type Original struct {
	Method string
	Scheme string // http or https; ws and wss count as them
	Host   string
	Target string // path and query, as the client sent them
	// Header is the client's, besides what the proxy has put in. X-Forwarded-For
	// counts as far as Peer is trusted.
	Header http.Header
	Peer   string // who sent the request to the proxy, or the proxy, as a RemoteAddr
}

// maxTarget bounds what is rebuilt, whatever the configuration allows.
const maxTarget = 64 << 10

// OriginalError says what of an Original can't be believed. Field is one of its
// fields, in lower case; the value is never in the text.
type OriginalError struct{ Field, Problem string }

// Error names the field.
func (e *OriginalError) Error() string {
	return fmt.Sprintf("the original %s %s", e.Field, e.Problem)
}

// Request rebuilds the request. It has no body, and no connection of the client's:
// what is known of that between this proxy and the gateway is not about the client.
// Errors are *OriginalError. What is left to judge (whether the host is served,
// whether the path can be read in two ways) is judged with every request.
func (o *Original) Request(ctx context.Context) (*http.Request, error) {
	// Registered methods are in capitals, and method names are told apart by letter
	// case (RFC 9110, section 9.1): what is not a proxy's to send may be read as
	// another one by the application.
	if o.Method == "" || strings.Trim(o.Method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-_") != "" {
		return nil, &OriginalError{"method", "is missing or not in capitals"}
	}
	if o.Method == http.MethodTrace || o.Method == http.MethodConnect {
		return nil, &OriginalError{"method", "is one that nothing is asked about"}
	}
	switch o.Scheme {
	case "http", "https", "ws", "wss":
	default:
		return nil, &OriginalError{"scheme", "is missing, or neither http nor https"}
	}
	if o.Host == "" {
		return nil, &OriginalError{"host", "is missing"}
	}
	if len(o.Target) > maxTarget {
		return nil, &OriginalError{"target", "is too long"}
	}
	if o.Target == "" || o.Target[0] != '/' {
		return nil, &OriginalError{"target", "is missing, or does not begin with a slash"}
	}
	if strings.ContainsAny(o.Target, " \t") {
		return nil, &OriginalError{"target", "holds a space, as two values have that were joined"}
	}
	u, err := url.ParseRequestURI(o.Target)
	if err != nil {
		return nil, &OriginalError{"target", "can't be parsed"}
	}
	if o.Header == nil {
		o.Header = http.Header{}
	}
	r := new(http.Request).WithContext(ctx)
	r.Method, r.URL, r.RequestURI, r.Host, r.Header, r.RemoteAddr = o.Method, u, o.Target, o.Host, o.Header, o.Peer
	r.Proto, r.ProtoMajor, r.ProtoMinor, r.Body = "HTTP/1.1", 1, 1, http.NoBody
	return r, nil
}
