package extauthz

import (
	"net/http"
	"strings"
	"unicode/utf8"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
)

// answer records what the gateway would write to the client.
type answer struct {
	header http.Header
	status int
	body   []byte
}

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 && status >= http.StatusOK {
		a.status = status
	}
}

// Write implements http.ResponseWriter.
func (a *answer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	a.body = append(a.body, b...)
	return len(b), nil
}

// response is what Envoy gets.
func (c *check) response() *authv3.CheckResponse {
	if c.allowed {
		return c.allow()
	}
	return c.deny()
}

// allow lets the request pass. Each identity header that any route knows is in the
// answer, to be set or to be removed, so that nothing of the client's stays.
func (c *check) allow() *authv3.CheckResponse {
	ok := &authv3.OkHttpResponse{HeadersToRemove: make([]string, 0, len(c.pass.Set)+len(c.pass.Remove))}
	set := newOverwriting(len(c.pass.Set))
	for name, values := range c.pass.Set {
		key := c.lower(name)
		switch value := values[0]; {
		case value == "":
			ok.HeadersToRemove = append(ok.HeadersToRemove, key)
		case (name == "Cookie" || name == "Authorization") && unchanged(c.sent[name], value):
			// It is the client's, and may be what a string of protobuf can't hold.
		default:
			set.add(key, value)
		}
	}
	ok.Headers = set.options
	for _, name := range c.pass.Remove {
		ok.HeadersToRemove = append(ok.HeadersToRemove, c.lower(name))
	}
	return &authv3.CheckResponse{
		Status:          &status.Status{Code: int32(codes.OK)},
		HttpResponse:    &authv3.CheckResponse_OkResponse{OkResponse: ok},
		DynamicMetadata: c.metadata(),
	}
}

func unchanged(sent []string, value string) bool { return len(sent) == 1 && sent[0] == value }

// deny sends the recorded answer to the client. This holds for outages as well: the
// call has succeeded and its status is not OK, so that every Envoy refuses, also
// with failure_mode_allow, which would let requests in after an error of gRPC or an
// error_response.
func (c *check) deny() *authv3.CheckResponse {
	code := c.answer.status
	if code < http.StatusMultipleChoices {
		code = http.StatusServiceUnavailable // nothing was written: the client, or Envoy, is gone
	}
	denied := &authv3.DeniedHttpResponse{
		Status: &typev3.HttpStatus{Code: typev3.StatusCode(code)},
		Body:   text(string(c.answer.body)),
	}
	set := newOverwriting(len(c.answer.header))
	for name, values := range c.answer.header {
		if len(values) == 0 || hop(name) {
			continue
		}
		value := strings.Join(values, ", ")
		if name == "Set-Cookie" {
			value = values[len(values)-1] // these can't be joined, and one is all that every proxy passes on
		}
		set.add(strings.ToLower(name), value)
	}
	denied.Headers = set.options
	return &authv3.CheckResponse{
		Status:          &status.Status{Code: int32(grpcCode(code))},
		HttpResponse:    &authv3.CheckResponse_DeniedResponse{DeniedResponse: denied},
		DynamicMetadata: c.metadata(),
	}
}

// panicked is the refusal where nothing else can be relied on.
func panicked() *authv3.CheckResponse {
	set := newOverwriting(1)
	set.add("cache-control", "no-store")
	return &authv3.CheckResponse{
		Status: &status.Status{Code: int32(codes.Internal)},
		HttpResponse: &authv3.CheckResponse_DeniedResponse{DeniedResponse: &authv3.DeniedHttpResponse{
			Status: &typev3.HttpStatus{Code: typev3.StatusCode_InternalServerError}, Headers: set.options,
		}},
	}
}

// hop reports whether a header is about a connection, or about a body that Envoy
// frames itself.
func hop(name string) bool {
	switch name {
	case "Connection", "Content-Length", "Transfer-Encoding", "Date":
		return true
	}
	return false
}

// grpcCode is the code of a refusal. Envoy tells OK from the others alone.
func grpcCode(status int) codes.Code {
	switch {
	case status >= http.StatusInternalServerError:
		return codes.Unavailable
	case status == http.StatusUnauthorized, status < http.StatusBadRequest:
		return codes.Unauthenticated
	}
	return codes.PermissionDenied
}

// overwriting is a list of headers each of which replaces whatever there is. Up to
// 1.36, Envoy looks at the deprecated append alone, which means overwriting where it
// is absent; newer ones look at append_action, whose zero value appends to what the
// client has sent.
type overwriting struct {
	options []*corev3.HeaderValueOption
	room    []replaced
}

type replaced struct {
	option corev3.HeaderValueOption
	header corev3.HeaderValue
}

// newOverwriting makes room for n of them.
func newOverwriting(n int) overwriting {
	return overwriting{options: make([]*corev3.HeaderValueOption, 0, n), room: make([]replaced, n)}
}

// add adds one of those that there is room for.
func (o *overwriting) add(name, value string) {
	one := &o.room[len(o.options)]
	one.header.Key, one.header.Value = name, text(value)
	one.option.Header, one.option.AppendAction = &one.header, corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD
	o.options = append(o.options, &one.option)
}

// text makes a string that protobuf can carry: an answer that can't be encoded would
// become an error of gRPC. The replacement is Envoy's own.
func text(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return strings.ToValidUTF8(s, "!")
}

func (c *check) lower(name string) string {
	if lower, known := c.names[name]; known {
		return lower
	}
	return text(strings.ToLower(name))
}
