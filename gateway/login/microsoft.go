package login

import (
	"errors"
	"strings"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/jose"
)

// tenantTemplate stands for the tenant in the issuer of a document that speaks
// for several.
const tenantTemplate = "{tenantid}"

// microsoft knows the issuers of Entra ID. A document of one tenant names it; one
// of several has a template, in which the claim tid of each token must be put to
// get the token's issuer. Which tenants may come in is up to organizations.
//
// E-mail addresses are not proven by Entra: whoever runs a tenant can write any
// into it. Only xms_edov says that the tenant owns the domain.
func microsoft(cfg *config.Provider) dialect {
	d := dialect{
		refine: func(claims map[string]any) {
			owner, _ := claims["xms_edov"].(bool)
			claims["email_verified"] = owner
		},
	}
	several := cfg.Tenant == config.TenantAny || cfg.Tenant == config.TenantOrganizations
	before, after := cfg.Issuer, ""
	if several {
		before, after, _ = strings.Cut(cfg.Issuer+"/", "/"+cfg.Tenant+"/")
		before, after = before+"/", strings.TrimSuffix("/"+after, "/")
		d.named = before + tenantTemplate + after
		d.issuerOf = func(issuer string) bool {
			_, ok := between(issuer, before, after)
			return ok
		}
	}
	d.accept = func(c *jose.Claims) error {
		tid, _ := c.Raw["tid"].(string)
		if several {
			if in, ok := between(c.Issuer, before, after); !ok || in != tid {
				return badIDToken(errors.New("tid is not the tenant of the issuer"))
			}
			if cfg.Tenant == config.TenantOrganizations && tid == config.PersonalTenant {
				return notMember("accounts of", []string{"an organization"})
			}
		}
		if len(cfg.Organizations) > 0 && !containsFold(cfg.Organizations, tid) {
			return notMember("accounts of the organization", cfg.Organizations)
		}
		return nil
	}
	return d
}

// between returns what stands for the tenant in an issuer: an id, which has no
// character that could lead to another one.
func between(issuer, before, after string) (tenant string, ok bool) {
	rest, ok := strings.CutPrefix(issuer, before)
	if !ok {
		return "", false
	}
	tenant, ok = strings.CutSuffix(rest, after)
	if !ok || tenant == "" || strings.Trim(tenant, "0123456789abcdef-") != "" {
		return "", false
	}
	return tenant, true
}
