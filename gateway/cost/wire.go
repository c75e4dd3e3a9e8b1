package cost

import (
	"bytes"
	"io"
	"net/http"
	"strings"

	"golang.org/x/net/http2/hpack"
)

// Field is a request header: the name in its HTTP/1.1 form, and the value.
type Field struct{ Name, Value string }

// Bytes is what a credential adds to the requests that carry it.
type Bytes struct {
	// HTTP1 is the header line, its line end included.
	HTTP1 int `json:"http1"`
	// HTTP2First is for the first request of a connection, HTTP2Again for each
	// that follows, where the client lets the header be indexed (RFC 7541).
	HTTP2First int `json:"http2_first"`
	HTTP2Again int `json:"http2_again"`
	// HTTP2NeverIndexed is for every request of a client that does not.
	HTTP2NeverIndexed int `json:"http2_never_indexed"`
}

// Request is what a browser sends for a page, with one more header. Both what is
// judged and what is weighed is this request.
func Request(f Field) (*http.Request, error) {
	r, err := http.NewRequest(http.MethodGet, "https://app.example.com/projects/42/issues?page=2", nil) //nolint:noctx // nobody sends it
	if err != nil {
		return nil, err
	}
	for _, h := range browserFields() {
		r.Header.Set(h.Name, h.Value)
	}
	if f.Name != "" {
		r.Header.Set(f.Name, f.Value)
	}
	return r, nil
}

func browserFields() []Field {
	return []Field{
		{"Sec-Ch-Ua-Mobile", "?0"},
		{"Upgrade-Insecure-Requests", "1"},
		{"User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"},
		{"Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"},
		{"Sec-Fetch-Site", "same-origin"},
		{"Sec-Fetch-Mode", "navigate"},
		{"Sec-Fetch-Dest", "document"},
		{"Accept-Encoding", "gzip, deflate, br, zstd"},
		{"Accept-Language", "en-GB,en;q=0.9"},
	}
}

// measureBytes weighs whole requests with and without the field: a long one can
// push others out of the compression table, and that is its cost too.
func measureBytes(f Field) (Bytes, error) {
	with, err := http1Size(f)
	if err != nil {
		return Bytes{}, err
	}
	without, err := http1Size(Field{})
	if err != nil {
		return Bytes{}, err
	}
	bare, indexed, never := http2Sizes(nil), http2Sizes(&hpack.HeaderField{Name: f.Name, Value: f.Value}),
		http2Sizes(&hpack.HeaderField{Name: f.Name, Value: f.Value, Sensitive: true})
	return Bytes{
		HTTP1:      with - without,
		HTTP2First: indexed[0] - bare[0], HTTP2Again: indexed[1] - bare[1], HTTP2NeverIndexed: never[1] - bare[1],
	}, nil
}

func http1Size(f Field) (int, error) {
	r, err := Request(f)
	if err != nil {
		return 0, err
	}
	var n counter
	err = r.Write(&n)
	return int(n), err
}

type counter int

var _ io.Writer = (*counter)(nil)

// Write implements io.Writer.
func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// http2Sizes returns the sizes of the header blocks of two requests on one
// connection, for two pages, with the table of 4,096 bytes that a connection
// begins with.
func http2Sizes(extra *hpack.HeaderField) (sizes [2]int) {
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	write := func(f hpack.HeaderField) {
		f.Name = strings.ToLower(f.Name)
		_ = enc.WriteField(f) // a bytes.Buffer takes everything
	}
	for i, path := range []string{"/projects/42", "/projects/42/issues?page=2"} {
		block.Reset()
		for _, f := range []Field{{":method", "GET"}, {":authority", "app.example.com"}, {":scheme", "https"}, {":path", path}} {
			write(hpack.HeaderField{Name: f.Name, Value: f.Value})
		}
		for _, f := range browserFields() {
			write(hpack.HeaderField{Name: f.Name, Value: f.Value})
		}
		if extra != nil {
			write(*extra)
		}
		sizes[i] = block.Len()
	}
	return sizes
}
