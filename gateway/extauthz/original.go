package extauthz

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"

	"github.com/sallyport/sallyport/gateway/frontend"
	"github.com/sallyport/sallyport/gateway/httperr"
)

// PolicyExtension is the key of context_extensions that is understood: the name of a
// policy that must allow besides that of the route.
const PolicyExtension = "policy"

// original rebuilds the request. Who reads the log learns what was wrong with it.
func (s *Service) original(ctx context.Context, a *authv3.AttributeContext) (*http.Request, *httperr.Error) {
	if s.MaxTarget > 0 && len(a.GetRequest().GetHttp().GetPath()) > s.MaxTarget {
		return nil, frontend.TargetTooLong()
	}
	r, err := s.rebuilt(ctx, a)
	if err != nil {
		return nil, frontend.BadOriginal(err)
	}
	return r, nil
}

// rebuilt takes Envoy's word and the client's; which is which is written in
// envoy/service/auth/v3/attribute_context.proto. Errors are *frontend.OriginalError.
func (s *Service) rebuilt(ctx context.Context, a *authv3.AttributeContext) (*http.Request, error) {
	asked := a.GetRequest().GetHttp()
	if asked == nil {
		return nil, &frontend.OriginalError{Field: "request", Problem: "is missing: only HTTP is judged, so ask from an HTTP filter"}
	}
	ctx, err := s.entrance(ctx, a.GetContextExtensions())
	if err != nil {
		return nil, err
	}
	o := frontend.Original{Method: asked.GetMethod(), Scheme: asked.GetScheme(), Host: asked.GetHost(), Target: asked.GetPath()}
	if query := asked.GetQuery(); query != "" && !strings.HasSuffix(o.Target, "?"+query) || asked.GetFragment() != "" {
		return nil, &frontend.OriginalError{Field: "target", Problem: "has a query or a fragment beside it: both are read in path alone"}
	}
	if o.Peer, err = peerOf(a.GetSource().GetAddress()); err != nil {
		return nil, err
	}
	if o.Header, err = s.header(asked); err != nil {
		return nil, err
	}
	r, err := o.Request(ctx)
	if err != nil {
		return nil, err
	}
	if asked.GetSize() > 0 || len(o.Header["Transfer-Encoding"]) > 0 || strings.Trim(strings.Join(o.Header["Content-Length"], ""), "0") != "" {
		r.ContentLength = -1 // there is a body, which is not for us
	}
	return r, nil
}

// entrance puts the policy into the context that Envoy's configuration asks for.
// Extensions can be for others as well, but one that looks like ours refuses: as a
// misspelt one it would let in more than was meant.
func (s *Service) entrance(ctx context.Context, extensions map[string]string) (context.Context, error) {
	for key := range extensions {
		if lower := strings.ToLower(key); key != PolicyExtension && (strings.HasPrefix(lower, "pol") || strings.Contains(lower, PolicyExtension)) {
			return nil, &frontend.OriginalError{Field: "context_extensions", Problem: "hold a key that looks like " + PolicyExtension + " and is not"}
		}
	}
	name, asked := extensions[PolicyExtension]
	if !asked {
		return ctx, nil
	}
	e := s.Policies[name]
	if e == nil {
		return nil, &frontend.OriginalError{Field: "context_extensions", Problem: "name a policy that the configuration of the gateway does not have"}
	}
	return e.In(ctx), nil
}

// peerOf is who sent the request to Envoy, as a RemoteAddr. It must be an address:
// what can't be read would be taken for a peer on a unix socket.
func peerOf(a *corev3.Address) (string, error) {
	if pipe := a.GetPipe(); pipe != nil {
		return "@", nil
	}
	socket := a.GetSocketAddress()
	addr, err := netip.ParseAddr(socket.GetAddress())
	if err != nil {
		return "", &frontend.OriginalError{Field: "source", Problem: "is missing, or no address"}
	}
	return net.JoinHostPort(addr.String(), strconv.FormatUint(uint64(socket.GetPortValue()), 10)), nil
}

// header takes the client's header in either of the two forms. Pseudo headers and
// Host are in the attributes.
func (s *Service) header(asked *authv3.AttributeContext_HttpRequest) (http.Header, error) {
	list := asked.GetHeaderMap().GetHeaders()
	if len(list) > 0 && len(asked.GetHeaders()) > 0 {
		return nil, &frontend.OriginalError{Field: "headers", Problem: "are there in two forms"}
	}
	h := make(http.Header, len(list)+len(asked.GetHeaders())+1)
	for _, one := range list {
		if name, is := field(one.GetKey()); is {
			value := one.GetValue()
			if raw := one.GetRawValue(); len(raw) > 0 {
				value = string(raw)
			}
			h[name] = append(h[name], value)
		}
	}
	values := make([]string, 0, len(asked.GetHeaders()))
	for key, value := range asked.GetHeaders() {
		name, is := field(key)
		if !is {
			continue
		}
		if len(h[name]) > 0 {
			return nil, &frontend.OriginalError{Field: "headers", Problem: "hold one twice, in different letters"}
		}
		values = append(values, value)
		h[name] = values[len(values)-1 : len(values) : len(values)]
	}
	for _, line := range h["Cookie"] {
		if len(list) == 0 && s.merged(line) {
			return nil, &frontend.OriginalError{Field: "headers", Problem: "hold several Cookie lines in one, with a cookie of the gateway's in the middle"}
		}
	}
	return h, nil
}

// field is the canonical name of a header.
func field(key string) (name string, is bool) {
	if key == "" || key[0] == ':' {
		return "", false
	}
	name = http.CanonicalHeaderKey(key)
	return name, name != "Host"
}

// merged reports whether a cookie of the gateway's begins after a comma. So Envoy
// joins several lines, while nobody who splits at semicolons finds the cookie there:
// it would come to the application.
func (s *Service) merged(line string) bool {
	_, rest, more := strings.Cut(line, ",")
	for more {
		name, _, _ := strings.Cut(rest, "=")
		if s.OwnCookie(strings.TrimSpace(name)) {
			return true
		}
		_, rest, more = strings.Cut(rest, ",")
	}
	return false
}
