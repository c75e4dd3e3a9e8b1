package guard_test

import (
	"maps"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/guard"
	"github.com/sallyport/sallyport/gateway/headers"
)

// TestTrailersCarryNothingThatWasJudgedInTheHeader: what is stripped or set there
// would come back behind the body, and proxies and applications merge the two.
func TestTrailersCarryNothingThatWasJudgedInTheHeader(t *testing.T) {
	set, err := headers.Compile([]config.Header{{Name: "X-Department", Claim: "department", Join: ",", Encoding: "percent"}}, headers.Options{})
	if err != nil {
		t.Fatal(err)
	}
	v := guard.Verdict{Route: &guard.Route{Headers: set}}
	got := http.Header{}
	for _, name := range []string{
		"Set-Cookie", "Cookie", "Authorization", "Proxy-Authorization", "WWW-Authenticate", "X-API-Key", "DPoP",
		"X-Forwarded-User", "X_Forwarded_Groups", "x.forwarded.email", "X-Department", "x_department", "X-Forwarded-For", "Forwarded", "X-Real-IP", "X-Original-URL",
		"Sallyport-Assertion", "Sallyport-Decision", "sallyport_anything", "X-Request-Id",
		"Content-Length", "Transfer-Encoding", "Host", "Trailer", "Te", "Connection", "Upgrade", "Content-Type", "Content-Encoding", "Content-Range", "Location", "Cache-Control", "Vary", "Expect",
		"Strict-Transport-Security", "Content-Security-Policy", "Content-Security-Policy-Report-Only", "X-Frame-Options", "X-Content-Type-Options", "Referrer-Policy", "Clear-Site-Data",
		"Access-Control-Allow-Origin", "Cross-Origin-Opener-Policy", "If-Match", "set-cookie", "SET-COOKIE",
	} {
		got[name] = []string{"evil"} // also in spellings that net/http would correct
	}
	want := http.Header{"Grpc-Status": {"0"}, "Grpc-Message": {"fine"}, "Server-Timing": {"db;dur=1"}, "X-Checksum": {"1"}, "Digest": {"x"}, "Etag": {`"1"`}}
	maps.Copy(got, want)
	maps.DeleteFunc(got, func(name string, _ []string) bool { return !v.MayTrail(name) })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
