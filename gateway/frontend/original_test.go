package frontend_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/frontend"
)

// FuzzOriginal: what can't be believed is no request at all, and what can is the
// request that was told of, to the byte.
func FuzzOriginal(f *testing.F) {
	f.Add("GET", "https", "app.example.test", "/x?y=1")
	f.Add("get", "https, http", "[::1", "//evil/%zz")
	f.Add("TRACE", "", "", "https://app.example.test/")
	f.Add("M-SEARCH", "wss", "a:1", "/#/\\\x00")
	f.Fuzz(func(t *testing.T, method, scheme, host, target string) {
		o := frontend.Original{Method: method, Scheme: scheme, Host: host, Target: target, Peer: "127.0.0.1:1"}
		r, err := o.Request(t.Context())
		if err != nil {
			e, ok := errors.AsType[*frontend.OriginalError](err)
			if r != nil || !ok || e.Field == "" {
				t.Fatalf("%v and %v", r, err)
			}
			if strings.Contains(err.Error(), target) && len(target) > 20 {
				t.Errorf("the error repeats the target: %v", err)
			}
			return
		}
		if r.Method != method || r.Host != host || r.RequestURI != target || r.URL.Host != "" || r.RemoteAddr != o.Peer {
			t.Errorf("%q %q %q became %v", method, host, target, r)
		}
		if r.TLS != nil || r.Body != http.NoBody || r.Header == nil || r.ContentLength != 0 || target[0] != '/' {
			t.Errorf("%q became %+v", target, r)
		}
	})
}
