package proxy

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/sallyport/sallyport/gateway/httperr"
)

// interim is the ResponseWriter that ReverseProxy gets. Informational answers
// (1xx) go round the hook that looks at the final one, so that an application
// could set the gateway's cookies in them: of those, only the Link of an early
// hint passes (RFC 8297).
type interim struct {
	http.ResponseWriter
	exchange *exchange
	length   int64 // of the answer's body, where it is known
	hints    int   // informational answers so far
}

// mostHints is how many informational answers of one exchange reach the client.
// ReverseProxy reads any number of them.
const mostHints = 16

// Unwrap lets http.ResponseController reach the connection.
func (w *interim) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Write implements http.ResponseWriter. What is there of an answer is not kept
// back until more comes. ReverseProxy itself sees to that where the length is
// unknown; an answer that is all there needs nothing.
func (w *interim) Write(b []byte) (int, error) {
	n, err := w.ResponseWriter.Write(b)
	if err == nil && w.length > 0 && int64(n) < w.length {
		err = http.NewResponseController(w.ResponseWriter).Flush()
	}
	return n, err
}

// WriteHeader implements http.ResponseWriter.
func (w *interim) WriteHeader(code int) {
	if code < 200 && code != http.StatusSwitchingProtocols {
		if w.hints++; w.hints > mostHints {
			return
		}
		h := w.Header()
		for name := range h {
			if name != "Link" {
				delete(h, name)
			}
		}
	}
	w.ResponseWriter.WriteHeader(code)
}

// handOver gives the client the header fields of an answer as they are; ReverseProxy
// would copy each of their values. Of an answer without trailers that is no stream,
// nobody looks at them afterwards.
func (x *exchange) handOver(res *http.Response) {
	h := x.writer.Header()
	for name, values := range res.Header {
		if has := h[name]; len(has) > 0 {
			values = append(slices.Clip(has), values...)
		}
		h[name] = values
	}
	res.Header = nil
}

var errNoStatus = errors.New("the application's final answer has a status below 200")

// response looks at the upstream's answer before the client gets it.
func (x *exchange) response(res *http.Response) error {
	if res.StatusCode < 200 && res.StatusCode != http.StatusSwitchingProtocols {
		return errNoStatus // net/http can't write it, and panics
	}
	x.event.UpstreamTime, x.answer = time.Since(x.start), res
	if err := x.appChallenge(res); err != nil {
		return err
	}
	x.verdict.Response(res.StatusCode, res.Header)
	delete(res.Header, httperr.DecisionHeader) // decisions are the gateway's word alone
	// One id for the request: the gateway's, which the application was told.
	// ReverseProxy clears it with the headers of an informational answer.
	delete(res.Header, httperr.RequestIDHeader)
	if h := x.writer.Header(); len(h[httperr.RequestIDHeader]) == 0 && x.event.RequestID != "" {
		h[httperr.RequestIDHeader] = []string{x.event.RequestID}
	}
	// What was made for one user must not come out of a shared cache for
	// another (RFC 9111, section 3.5).
	if !x.verdict.Route.Public && len(res.Header["Cache-Control"]) == 0 {
		res.Header["Cache-Control"] = []string{"private"}
	}
	x.announceTrailers(res)
	x.writer.length = res.ContentLength
	x.idle.moved()
	if x.body != nil && res.ProtoMajor == 2 {
		res.Body = &lastWord{ReadCloser: res.Body, request: x.body, client: x.writer.ResponseWriter}
	}
	switching := res.StatusCode == http.StatusSwitchingProtocols
	streams := switching || isStream(res.Header)
	if streams {
		if err := x.seated(); err != nil {
			return err
		}
	}
	switch {
	case switching:
		x.event.Status = res.StatusCode // ReverseProxy writes it past every ResponseWriter
		x.switched = res.Body           // for Hijack, if the switch comes about
		return nil
	case !streams && len(res.Trailer) == 0:
		x.handOver(res)
	case streams:
		f := &flow{ReadCloser: res.Body, client: x.writer.ResponseWriter}
		if isGRPC(res.Header) && x.request.ProtoMajor == 2 {
			f.grpc = res
		}
		res.Body = f
		x.open(f)
	}
	if x.idle != nil {
		res.Body = &movingBody{ReadCloser: res.Body, idle: x.idle}
	}
	return nil
}
