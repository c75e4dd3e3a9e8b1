//go:build !race

package echo_test

import (
	"net/http"
	"testing"

	"github.com/sallyport/sallyport/gateway/echo"
)

// The race detector makes sync.Pool, which encoding/json uses, forget at random.

func TestJSONTakesFewAllocations(t *testing.T) {
	h, w, r := echo.New("/.auth"), discard{http.Header{}}, proxied(t)
	if n := testing.AllocsPerRun(100, func() { h.ServeHTTP(w, r) }); n > 12 {
		t.Errorf("%.0f allocations a request, want 12 at most", n)
	}
}
