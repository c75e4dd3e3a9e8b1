package gateway_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/policy"
	"github.com/sallyport/sallyport/policy/policytest"
)

// askedByEnvoy is the way in where Envoy asks by gRPC.
func (s *decisionSite) askedByEnvoy(t *testing.T, c *policytest.Case) decided {
	t.Helper()
	id := "grpc-" + strings.ReplaceAll(c.Name, " ", "-")
	a := about{method: c.Input.Request.Method, target: target(c), lines: []string{"Authorization: Bearer " + s.credential(t, &c.Input.Identity), "X-Request-Id: " + id}}
	for name, values := range c.Input.Request.Header {
		a.lines = append(a.lines, name+": "+values[0])
	}
	in := s.envoy.asking(t, a)
	if client := c.Input.Client.Address; client.IsValid() {
		in.Attributes.Source.Address = socketAddress(client.String(), 40000)
	}
	answer := answered(s.envoy.check(t, in))
	d := decided{effect: policy.Deny}
	switch answer.StatusCode {
	case http.StatusOK:
		d.effect = policy.Allow
	case http.StatusUnauthorized:
		d.effect = policy.NeedStepUp
		if challenge := answer.Header.Get("WWW-Authenticate"); !strings.Contains(challenge, `error="insufficient_user_authentication"`) {
			t.Errorf("%s: the challenge is %q", c.Name, challenge)
		}
	case http.StatusForbidden:
		var problem struct{ Reason, Detail string }
		if err := json.Unmarshal([]byte(answer.text), &problem); err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
		d.reason, d.message = problem.Reason, problem.Detail
	default:
		t.Errorf("%s: %d %s", c.Name, answer.StatusCode, answer.text)
	}
	d.shadow = s.shadow(t, id)
	return d
}
