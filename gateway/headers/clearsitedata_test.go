package headers_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/gateway/headers"
)

func TestUpstreamCannotClearTheGatewaysCookies(t *testing.T) {
	for name, c := range map[string]struct{ sent, want []string }{
		"none":               {nil, nil},
		"cookies alone":      {[]string{`"cookies"`}, nil},
		"cookies among more": {[]string{`"cache", "cookies", "storage"`}, []string{`"cache", "storage"`}},
		"two lines":          {[]string{`"cache"`, `"cookies"`}, []string{`"cache"`}},
		"everything":         {[]string{`"*"`}, []string{`"cache", "storage", "executionContexts"`}},
		"storage":            {[]string{`"storage"`}, []string{`"storage"`}},
	} {
		t.Run(name, func(t *testing.T) {
			h := http.Header{}
			if c.sent != nil {
				h["Clear-Site-Data"] = c.sent
			}
			headers.KeepCookies(h)
			if diff := cmp.Diff(c.want, h["Clear-Site-Data"]); diff != "" {
				t.Error(diff)
			}
		})
	}
}
