package httperr_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/httperr"
)

// secret stands for what only the operator may read.
const secret = "dial tcp 10.1.2.3:5432: password hunter2"

func serve(edge *httperr.Edge, r *http.Request, err error) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	w.Header().Set(httperr.RequestIDHeader, "req-1")
	edge.Handle(func(http.ResponseWriter, *http.Request) error { return err }).ServeHTTP(w, r)
	return w
}

func TestProgramsGetAProblemDocument(t *testing.T) {
	err := fmt.Errorf("looking up: %w", &httperr.Error{
		Code: http.StatusServiceUnavailable, Reason: "unavailable", Public: "Try again.", Err: errors.New(secret),
		Header: http.Header{"Retry-After": {"5"}}, LoginURL: "/.auth/login",
	})
	w := serve(&httperr.Edge{}, request("GET", nil), err)
	var got map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{
		"type": "about:blank", "title": "Service Unavailable", "status": 503.0, "detail": "Try again.",
		"reason": "unavailable", "request_id": "req-1", "login_url": "/.auth/login",
	} {
		if got[name] != want {
			t.Errorf("%s = %v, want %v", name, got[name], want)
		}
	}
	for name, want := range map[string]string{
		"Content-Type": "application/problem+json", "Cache-Control": "no-store", "Retry-After": "5", "X-Content-Type-Options": "nosniff",
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestInternalTextNeverReachesAClient(t *testing.T) {
	page := func(w http.ResponseWriter, _ *http.Request, e *httperr.Error, _ string) error {
		w.WriteHeader(e.Code)
		_, err := io.WriteString(w, e.Public)
		return err
	}
	for name, err := range map[string]error{
		"an error of ours":      &httperr.Error{Code: 502, Reason: "x", Public: "Down.", Err: errors.New(secret)},
		"any other error":       errors.New(secret),
		"an error around it":    fmt.Errorf("%s: %w", secret, &httperr.Error{Code: 400, Reason: "x"}),
		"a cancelled operation": fmt.Errorf("%s: %w", secret, context.Canceled),
	} {
		for client, headers := range map[string]map[string]string{
			"program": nil, "browser": {"Accept": "text/html"}, "gRPC": {"Content-Type": "application/grpc"},
		} {
			t.Run(name+" to a "+client, func(t *testing.T) {
				w := serve(&httperr.Edge{Page: page}, request("GET", headers), err)
				if all := fmt.Sprint(w.Header(), w.Body); strings.Contains(all, "hunter2") {
					t.Errorf("the client reads %s", all)
				}
				if w.Code == http.StatusOK && client != "gRPC" {
					t.Error("an error became a success")
				}
			})
		}
	}
}

func TestPeopleGetThePage(t *testing.T) {
	edge := &httperr.Edge{Page: func(w http.ResponseWriter, _ *http.Request, e *httperr.Error, id string) error {
		w.WriteHeader(e.Code)
		_, err := fmt.Fprintf(w, "page for %s", id)
		return err
	}}
	broken := &httperr.Edge{Page: func(http.ResponseWriter, *http.Request, *httperr.Error, string) error {
		return errors.New("template")
	}}
	type h = map[string]string
	for name, c := range map[string]struct {
		edge *httperr.Edge
		r    *http.Request
		want string
	}{
		"a navigation":              {edge, request("GET", h{"Sec-Fetch-Mode": "navigate"}), "page for req-1"},
		"a form":                    {edge, request("POST", h{"Sec-Fetch-Mode": "navigate", "Accept": "text/html"}), "page for req-1"},
		"a form of an old browser":  {edge, request("POST", h{"Accept": "text/html"}), "page for req-1"},
		"fetch by POST":             {edge, request("POST", h{"Sec-Fetch-Mode": "cors", "Accept": "text/html"}), `"reason":"x"`},
		"a page that can't be made": {broken, request("GET", h{"Sec-Fetch-Mode": "navigate"}), `"reason":"x"`},
	} {
		t.Run(name, func(t *testing.T) {
			w := serve(c.edge, c.r, &httperr.Error{Code: 404, Reason: "x"})
			if w.Code != 404 || !strings.Contains(w.Body.String(), c.want) {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		})
	}
}

func TestGRPCGetsAStatusInTheHeaderBlock(t *testing.T) {
	for code, want := range map[int]string{401: "16", 403: "7", 503: "14", 502: "14", 504: "14", 400: "3", 404: "12", 429: "8", 500: "2"} {
		r := request("POST", map[string]string{"Content-Type": "application/grpc+proto"})
		r.ProtoMajor = 2
		w := serve(&httperr.Edge{GRPC: true}, r, &httperr.Error{Code: code, Reason: "why"})
		if w.Code != 200 || w.Header().Get("Grpc-Status") != want || w.Header().Get("Content-Type") != "application/grpc" || w.Body.Len() > 0 {
			t.Errorf("%d became %d, grpc-status %s", code, w.Code, w.Header().Get("Grpc-Status"))
		}
	}
}

// TestNobodyGets200ForARefusalByAHeader: a proxy that asks whether to let a
// request in passes the client's Content-Type on, and takes 200 for a yes.
func TestNobodyGets200ForARefusalByAHeader(t *testing.T) {
	for name, c := range map[string]struct {
		edge   *httperr.Edge
		method string
		proto  int
	}{
		"an edge that knows no gRPC": {&httperr.Edge{}, "POST", 2},
		"a GET":                      {&httperr.Edge{GRPC: true}, "GET", 2},
		"HTTP/1.1":                   {&httperr.Edge{GRPC: true}, "POST", 1},
	} {
		r := request(c.method, map[string]string{"Content-Type": "application/grpc"})
		r.ProtoMajor = c.proto
		if w := serve(c.edge, r, &httperr.Error{Code: 401, Reason: "why"}); w.Code != 401 {
			t.Errorf("%s: %d", name, w.Code)
		} else if name == "HTTP/1.1" && w.Header().Get("Grpc-Status") != "16" {
			t.Errorf("%s: a gateway in between can't translate %v", name, w.Header())
		}
	}
}

func TestClientThatWentAwayIsNoFailureOfOurs(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var seen *httperr.Error
	edge := &httperr.Edge{Observe: func(_ http.ResponseWriter, _ *http.Request, e *httperr.Error) { seen = e }}
	w := serve(edge, request("GET", nil).WithContext(ctx), fmt.Errorf("store: %w", ctx.Err()))
	if seen == nil || seen.Code != httperr.StatusClientClosed {
		t.Errorf("recorded %v", seen)
	}
	if w.Body.Len() > 0 {
		t.Errorf("wrote %s to a client that left", w.Body)
	}
}

func TestHeadHasNoBody(t *testing.T) {
	w := serve(&httperr.Edge{}, request("HEAD", nil), &httperr.Error{Code: 404, Reason: "x"})
	if w.Code != 404 || w.Body.Len() > 0 {
		t.Errorf("%d with %d bytes", w.Code, w.Body.Len())
	}
}
