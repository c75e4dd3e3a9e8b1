package gateway

import (
	"testing"

	"github.com/sallyport/sallyport/gateway/config"
)

func TestRoutesWithTheSameHeaderRulesShareTheirValues(t *testing.T) {
	sets := newHeaderSets(&config.Config{})
	compile := func(rules ...config.Header) any {
		t.Helper()
		set, err := sets.of(&config.Route{Headers: rules})
		if err != nil {
			t.Fatal(err)
		}
		return set
	}
	rule := config.Header{Name: "X-Roles", Claim: "roles"}
	if compile() != compile() || compile(rule) != compile(rule) {
		t.Error("the same rules were compiled twice: a session would make its values anew at every change of the route")
	}
	if compile() == compile(rule) || compile(rule) == compile(config.Header{Name: "X-Roles", Claim: "groups"}) {
		t.Error("different rules share a set")
	}
}
