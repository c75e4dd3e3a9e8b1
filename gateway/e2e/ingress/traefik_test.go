//go:build e2e

package ingress_test

import (
	"bytes"
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/textproto"
	"net/url"
	"strings"
	"testing"
	"time"
)

// traefik does with a request what Traefik documents for the middlewares and routers
// of dynamic.yml. It is the replay of a proxy that there is no package of.
type traefik struct {
	config  traefikDynamic
	replace *strings.Replacer // of the addresses in the file
	ask     *http.Client
	forward http.RoundTripper
}

func runTraefik(t *testing.T, a addresses) {
	t.Helper()
	p := &traefik{
		replace: strings.NewReplacer("sallyport:8080", a.sallyport, "app:3000", a.application),
		ask: &http.Client{
			Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		forward: &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64},
	}
	strictly(t, deployed(t, "traefik", "dynamic.yml"), &p.config)
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", a.listen)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: p, ReadHeaderTimeout: patience}
	go func() { _ = srv.Serve(l) }() // until Close
	t.Cleanup(func() {
		_ = srv.Close()
		p.ask.CloseIdleConnections()
		p.forward.(*http.Transport).CloseIdleConnections()
	})
}

// ServeHTTP routes to the longest prefix and passes the middlewares in order.
func (p *traefik) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var found traefikRouter
	longest := ""
	for _, router := range p.config.HTTP.Routers {
		if prefix, _ := router.prefix(); strings.HasPrefix(r.URL.Path, prefix) && len(prefix) > len(longest) {
			found, longest = router, prefix
		}
	}
	if longest == "" {
		http.NotFound(w, r)
		return
	}
	// An entry point that trusts nobody.
	for name := range r.Header {
		if strings.HasPrefix(name, "X-Forwarded-") && (name != "X-Forwarded-User" && name != "X-Forwarded-Email" && name != "X-Forwarded-Groups" && name != "X-Forwarded-Preferred-Username") {
			r.Header.Del(name)
		}
	}
	for _, name := range found.Middlewares {
		if !p.pass(w, r, p.config.HTTP.Middlewares[name]) {
			return
		}
	}
	target, err := url.Parse(p.replace.Replace(p.config.HTTP.Services[found.Service].LoadBalancer.Servers[0].URL))
	if err != nil {
		panic(err) // another test parses it
	}
	(&httputil.ReverseProxy{Transport: p.forward, FlushInterval: -1, ErrorLog: log.New(io.Discard, "", 0), Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = target.Scheme, target.Host, r.In.Host
		r.Out.URL.RawQuery = r.In.URL.RawQuery // as it is written
		for name := range r.In.Header {        // httputil takes them out of Out
			if strings.HasPrefix(name, "X-Forwarded-") {
				r.Out.Header[name] = r.In.Header[name]
			}
		}
		setForwarded(r.Out.Header, r.In)
	}}).ServeHTTP(w, r)
}

// pass tells whether a request goes on, after what the middleware did to it.
func (p *traefik) pass(w http.ResponseWriter, r *http.Request, m traefikMiddleware) bool {
	switch {
	case m.Headers != nil:
		for name, value := range m.Headers.CustomRequestHeaders {
			if r.Header.Del(name); value != "" {
				r.Header.Set(name, value)
			}
		}
		return true
	case m.IPAllowList != nil:
		peer := netip.MustParseAddrPort(r.RemoteAddr).Addr()
		for _, source := range m.IPAllowList.SourceRange {
			if netip.MustParsePrefix(source).Contains(peer) {
				return true
			}
		}
		w.WriteHeader(m.IPAllowList.RejectStatusCode)
		return false
	}
	return p.allowed(w, r, m.ForwardAuth)
}

// allowed is the middleware ForwardAuth: a GET with the headers of the client but
// those of the connection; a status from 200 to 299 is a yes, of which the headers
// that are listed replace the client's; anything else is the client's, and no answer
// is 500.
func (p *traefik) allowed(w http.ResponseWriter, r *http.Request, m *traefikForwardAuth) bool {
	ctx, cancel := context.WithTimeout(r.Context(), 30*time.Second)
	defer cancel()
	check, err := http.NewRequestWithContext(ctx, http.MethodGet, p.replace.Replace(m.Address), http.NoBody)
	if err != nil {
		panic(err)
	}
	check.Header = r.Header.Clone()
	for _, line := range r.Header["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			check.Header.Del(textproto.TrimString(name))
		}
	}
	for _, name := range []string{"Connection", "Keep-Alive", "Te", "Trailers", "Transfer-Encoding", "Upgrade", "Content-Length"} {
		check.Header.Del(name)
	}
	setForwarded(check.Header, r)
	check.Header.Set("X-Forwarded-Method", r.Method)
	check.Header.Set("X-Forwarded-Uri", r.URL.RequestURI())
	res, err := p.ask.Do(check)
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return false
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, m.MaxResponseBodySize+1))
	if err != nil || int64(len(body)) > m.MaxResponseBodySize {
		w.WriteHeader(http.StatusInternalServerError)
		return false
	}
	if res.StatusCode < 200 || res.StatusCode > 299 {
		for name, values := range res.Header {
			if name != "Connection" && name != "Transfer-Encoding" {
				w.Header()[name] = values
			}
		}
		w.WriteHeader(res.StatusCode)
		_, _ = io.Copy(w, bytes.NewReader(body))
		return false
	}
	for _, name := range m.AuthResponseHeaders {
		name = http.CanonicalHeaderKey(name)
		delete(r.Header, name)
		if values := res.Header[name]; len(values) > 0 {
			r.Header[name] = values
		}
	}
	return true
}

// setForwarded is what Traefik says of a client, in a check and to an application.
func setForwarded(h http.Header, r *http.Request) {
	peer, _, _ := net.SplitHostPort(r.RemoteAddr)
	h.Set("X-Forwarded-For", peer)
	h.Set("X-Forwarded-Host", r.Host)
	proto := "http"
	if strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		proto = "ws"
	}
	h.Set("X-Forwarded-Proto", proto)
}
