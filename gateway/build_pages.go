package gateway

import (
	"fmt"
	"os"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/pages"
)

// buildPages reads the logo, where there is one of the operator's.
func buildPages(cfg *config.Config) (*pages.Renderer, error) {
	o := pages.Options{Prefix: cfg.Server.AuthPrefix, Name: cfg.Pages.Name, Colour: cfg.Pages.Color}
	if cfg.Pages.LogoFile != "" {
		var err error
		if o.Logo, err = os.ReadFile(cfg.Pages.LogoFile); err != nil {
			return nil, faultsAt(cfg, "pages.logo_file", fmt.Errorf("the logo can't be read: %w", err))
		}
		if err := pages.CheckLogo(o.Logo); err != nil {
			return nil, faultsAt(cfg, "pages.logo_file", err)
		}
	}
	return pages.New(o)
}
