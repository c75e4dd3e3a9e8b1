//go:build e2e

package e2e_test

import (
	"os"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/e2e/env"
)

// TestASecretThatAGatewayShowsFailsTheRun: a test plants secrets where a gateway tells of
// what it sees, in the log, in audit records and in spans, and passes; the run as a
// whole does not.
func TestASecretThatAGatewayShowsFailsTheRun(t *testing.T) {
	t.Parallel()
	const planting, self = "SALLYPORT_E2E_PLANT", "TestASecretThatAGatewayShowsFailsTheRun"
	where := map[string]string{"the log": "planted-in-a-path-of-the-run", "audit.log": "planted-id-of-a-request", "the spans": "planted-id-of-a-request"}
	if os.Getenv(planting) != "" {
		s := startSite(t, siteOptions{})
		for _, secret := range where {
			env.Secret("planted", secret)
		}
		g := s.gateways[0]
		send(t, client(t), "GET", g.URL+"/assets/"+where["the log"], "X-Request-Id", where["the spans"])
		send(t, client(t), "GET", g.AdminURL+"/api/v1/sessions", "X-Request-Id", where["audit.log"], "Authorization", "Bearer wrong")
		if code := g.Stop(); code != 0 { // which writes what waits
			t.Errorf("the gateway ended with %d:\n%s", code, g.Output())
		}
		return
	}
	code, output := env.RunAgain(t, sallyport, self, planting+"=1")
	if code == 0 {
		t.Error("the run has passed")
	}
	for place, secret := range where {
		found := false
		for line := range strings.Lines(output) {
			found = found || strings.HasPrefix(line, "a secret was seen: planted pla...") && strings.Contains(line, place+" of ")
		}
		if !found {
			t.Errorf("%s of %q is not told of in\n%s", secret, place, output)
		}
	}
}
