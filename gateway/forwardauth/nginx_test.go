package forwardauth

import (
	"errors"
	"net/http"
	"testing"
)

// FuzzOriginalURL: the parts are those of the URL, with nothing lost between them.
func FuzzOriginalURL(f *testing.F) {
	for _, seed := range []string{"https://app.example.test/x?y=1", "http://a", "://", "http://a?b", "http://a#b/c", "http://u@a:1//x://y", "/x", ""} {
		f.Add(seed, "GET")
	}
	f.Fuzz(func(t *testing.T, address, method string) {
		r := &http.Request{Header: http.Header{"X-Original-Url": {address}, "X-Original-Method": {method}, "Accept": {"*/*"}}}
		o, err := originalURL(r, "")
		if err != nil {
			if _, ok := errors.AsType[*HeaderError](err); !ok {
				t.Fatal(err)
			}
			return
		}
		if o.Scheme+"://"+o.Host+o.Target != address || o.Method != method {
			t.Errorf("%q became %+v", address, o)
		}
		if len(r.Header) != 1 {
			t.Errorf("%v is left", r.Header)
		}
	})
}
