package gateway_test

import (
	"testing"

	"github.com/sallyport/sallyport/policy/policytest"
)

// askedByEnvoy is the way in where Envoy asks by gRPC.
func (s *decisionSite) askedByEnvoy(t *testing.T, c *policytest.Case) decided {
	t.Helper()
	id := s.requestID("grpc", c)
	in := s.envoy.asking(t, about{method: c.Input.Request.Method, target: target(c), lines: s.lines(t, c, id)})
	if client := c.Input.Client.Address; client.IsValid() {
		in.Attributes.Source.Address = socketAddress(client.String(), 40000)
	}
	return s.decided(t, c, answered(s.envoy.check(t, in)), id)
}
