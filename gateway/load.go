package gateway

import (
	"errors"

	"github.com/sallyport/sallyport/gateway/config"
)

// Load is config.Load, and where there are faults, it compiles the policies that have
// none as well: who mends what is misspelt elsewhere shall not be told of them only
// then. Everything else that building finds needs a configuration without faults.
func Load(file string, environ []string) (*config.Config, error) {
	return withPolicies(config.LoadDraft(file, environ))
}

// Parse is Load for bytes; name stands for the file in messages.
func Parse(name string, data []byte, environ []string) (*config.Config, error) {
	return withPolicies(config.ParseDraft(name, data, environ))
}

func withPolicies(draft *config.Config, err error) (*config.Config, error) {
	if err == nil {
		return draft, nil
	}
	faults, ok := errors.AsType[config.Faults](err)
	if draft == nil || !ok {
		return nil, err
	}
	_, more := compilePolicies(draft, standIns(nil), faults.Touched)
	return nil, draft.Together(err, more)
}
