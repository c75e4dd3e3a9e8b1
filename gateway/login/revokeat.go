package login

var (
	_ tokenRevoker = (*oidc)(nil)
	_ tokenRevoker = (*api)(nil)
)

// revocation implements tokenRevoker.
func (o *oidc) revocation() (string, postForm, error) { return revocationAt(o) }

// revocation implements tokenRevoker.
func (a *api) revocation() (string, postForm, error) { return revocationAt(a) }

func revocationAt(p authorized) (endpoint string, post postForm, err error) {
	server, err := p.server()
	if err != nil {
		return "", nil, err
	}
	return server.revocation, server.auth.post, nil
}
