package proxy

import (
	"errors"
	"io"
	"net/http"
	"net/http/httputil"
	"slices"
	"strings"
)

// mayTrail reports whether a trailer field of this name passes: those that the
// route lists and, in answers, everything that gRPC says after a call. None may
// stand for a header field that was judged (RFC 9110, section 6.5.1).
func (x *exchange) mayTrail(name string, grpc bool) bool {
	return x.verdict.MayTrail(name) && (grpc || slices.ContainsFunc(x.target.Settings.Trailers, func(listed string) bool { return strings.EqualFold(listed, name) }))
}

// trailRequest passes on the announced trailer fields of a request that the route
// lists. Their values arrive after the body, when the headers are long judged.
func (x *exchange) trailRequest(pr *httputil.ProxyRequest) {
	pr.Out.Trailer = nil
	for name := range pr.In.Trailer {
		if !x.mayTrail(name, false) {
			continue
		}
		if pr.Out.Trailer == nil {
			pr.Out.Trailer = http.Header{}
		}
		pr.Out.Trailer[name] = nil
	}
	if pr.Out.Trailer != nil && pr.Out.Body != nil {
		pr.Out.Body = &trailingBody{ReadCloser: pr.Out.Body, from: pr.In, to: pr.Out.Trailer}
	}
}

// announceTrailers leaves of an answer's announced trailer fields those that pass.
func (x *exchange) announceTrailers(res *http.Response) {
	grpc := isGRPC(res.Header)
	for name := range res.Trailer {
		if !x.mayTrail(name, grpc) {
			delete(res.Trailer, name)
		}
	}
}

// endTrailers removes from the trailer fields that ReverseProxy has set, after the
// body, those that don't pass. Those that were announced went through
// announceTrailers; others stand under a prefix.
func (x *exchange) endTrailers() {
	if x.answer == nil || len(x.answer.Trailer) == 0 {
		return
	}
	grpc := isGRPC(x.answer.Header)
	h := x.writer.Header()
	for key := range h {
		if name, ok := strings.CutPrefix(key, http.TrailerPrefix); ok && !x.mayTrail(name, grpc) {
			delete(h, key)
		}
	}
}

// trailingBody is the body of a request with trailer fields that pass.
type trailingBody struct {
	io.ReadCloser
	from *http.Request
	to   http.Header
}

// Read implements io.Reader. net/http has the trailer fields when it reports the
// end of the body, and the transport wants them then.
func (b *trailingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		for name := range b.to {
			b.to[name] = b.from.Trailer[name]
		}
	}
	return n, err
}
