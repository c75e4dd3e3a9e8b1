package gateway

import (
	"errors"

	"github.com/sallyport/sallyport/gateway/applogin"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/headers"
)

// appLogins are the gateway's logins at applications. Routes with the same entry
// share one.
type appLogins struct {
	cfg   *config.Config
	known map[appLoginKey]*applogin.Login
	files []*followedFile
}

type appLoginKey struct {
	entry          config.UpstreamCredential
	severalIssuers bool
}

// of returns the login of the route at path, nil where it has none.
func (a *appLogins) of(path string, r *config.Route) (headers.Credential, error) {
	key := appLoginKey{r.UpstreamCredential, len(a.cfg.IssuersOf(r)) > 1}
	key.entry.Optional = false // which changes nothing here
	if key.entry == (config.UpstreamCredential{}) {
		return nil, nil //nolint:nilnil // a nil Credential is one
	}
	if l := a.known[key]; l != nil {
		return l.Authorization, nil
	}
	l := applogin.New(key.entry, key.severalIssuers)
	field, name := key.entry.File()
	f := &followedFile{path: path + ".upstream_credential." + field, name: name, lies: a.cfg.FileName(name), take: l.Take}
	if err := f.load(); err != nil {
		return nil, credentialFaults("upstream_credential."+field, err)
	}
	if a.known == nil {
		a.known = map[appLoginKey]*applogin.Login{}
	}
	a.known[key] = l
	a.files = append(a.files, f)
	return l.Authorization, nil
}

// credentialFaults is one error for everything that is wrong in a file.
func credentialFaults(key string, err error) error {
	const fix = "mend the file; its form is in docs/upstream-credentials.md"
	if joined, ok := errors.AsType[interface {
		error
		Unwrap() []error
	}](err); ok {
		var all []error
		for _, one := range joined.Unwrap() {
			all = append(all, &keyError{key, one.Error(), fix})
		}
		return errors.Join(all...)
	}
	return &keyError{key, err.Error(), fix}
}
