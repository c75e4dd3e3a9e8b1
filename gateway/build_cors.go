package gateway

import (
	"net/http"

	"github.com/sallyport/sallyport/gateway/httperr"
	"github.com/sallyport/sallyport/gateway/login"
)

// shared wraps the endpoints whose answers pages of login.cors_origins may read.
// All others stay closed to them.
func shared(signIn *login.Service, endpoints map[string]httperr.HandlerFunc) map[string]httperr.HandlerFunc {
	for path, method := range map[string]string{
		"/me":       http.MethodGet,
		"/sessions": http.MethodGet,
		tokenPath:   http.MethodPost,
	} {
		if serve, ok := endpoints[path]; ok {
			endpoints[path] = signIn.CORS(serve, method)
		}
	}
	return endpoints
}
