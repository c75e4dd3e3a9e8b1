package login

import (
	"context"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/session"
)

var _ refresher = (*api)(nil)

// refresh redeems the refresh token and asks the API anew who the user is.
func (p *api) refresh(ctx context.Context, old *providerTokens, who *identity.Identity) (*session.Refreshed, error) {
	token, err := p.srv.redeemRefreshToken(ctx, old.RefreshToken)
	if err != nil {
		return nil, refreshError(p.log, err)
	}
	fresh, err := p.whoIs(ctx, token.AccessToken)
	switch {
	case err == nil && !sameUser(fresh, who):
		return nil, session.ErrAnotherSubject
	case err != nil:
		if end := endsSession(err); end != nil {
			return nil, end
		}
		p.log.Warn(leftAside, zap.Error(err))
	}
	return refreshed(p.cfg.Name, old, token, fresh)
}
