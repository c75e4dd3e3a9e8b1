// Package echo is the upstream that is built in: "builtin:echo". It answers
// with the request it was given, so that anybody can see what an application
// behind the gateway receives. It proves nothing and trusts nothing: what the
// headers say was settled before the request came here.
package echo

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"

	"github.com/sallyport/sallyport/gateway/httperr"
)

// maxBody is how much of a request body is read. It is read at all so that a
// client that writes first and reads later gets its answer.
const maxBody = 1 << 20

// Reply is the request as the upstream received it. Bytes that are not UTF-8
// come back as U+FFFD.
type Reply struct {
	Method  string      `json:"method"`
	URL     string      `json:"url"` // the request target, untouched
	Host    string      `json:"host"`
	Headers [][2]string `json:"headers"` // by name; the values of one name in the order they came
}

// New returns the handler; prefix is that of the gateway's own endpoints, to
// which its page links. It is safe for concurrent use. Programs get a Reply
// as JSON; people whose browser loads a page get the same as a page.
func New(prefix string) http.Handler {
	p := newPage(prefix)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body != nil && r.Body != http.NoBody {
			_, _ = io.CopyN(io.Discard, r.Body, maxBody) // a broken body changes nothing about the answer
		}
		reply := replyTo(r)
		write := writeJSON
		if wantsPage(r) {
			write = p.write
		}
		if err := write(w, r, reply); err != nil {
			http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		}
	})
}

func replyTo(r *http.Request) Reply {
	names := make([]string, 0, len(r.Header))
	n := 0
	for name, values := range r.Header {
		names = append(names, name)
		n += len(values)
	}
	slices.Sort(names)
	headers := make([][2]string, 0, n)
	for _, name := range names {
		for _, v := range r.Header[name] {
			headers = append(headers, [2]string{name, v})
		}
	}
	target := r.RequestURI
	if target == "" {
		target = r.URL.RequestURI()
	}
	return Reply{Method: r.Method, URL: target, Host: r.Host, Headers: headers}
}

// wantsPage reports whether a browser is loading a page, also by sending a form.
func wantsPage(r *http.Request) bool {
	return httperr.AcceptsHTML(r.Header) && (httperr.IsNavigation(r) || r.Header.Get("Sec-Fetch-Mode") == "navigate")
}

func writeJSON(w http.ResponseWriter, r *http.Request, reply Reply) error {
	body, err := json.Marshal(reply)
	if err != nil {
		return fmt.Errorf("echo: %w", err)
	}
	send(w, r, "application/json", append(body, '\n'))
	return nil
}

func send(w http.ResponseWriter, r *http.Request, contentType string, body []byte) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the client may be gone; the answer is given
	}
}
