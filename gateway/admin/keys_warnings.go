package admin

import (
	"fmt"
	"time"
)

// oldKey is the age at which the overview warns of a key that is in use.
const oldKey = 365 * 24 * time.Hour

// KeyWarnings are what the overview says of keys: of old ones, and of gateways that
// can't open what others seal.
func KeyWarnings(keys *AllKeys, now time.Time) []string {
	var out []string
	if keys.Trouble != "" {
		out = append(out, "The signing keys: "+keys.Trouble)
	}
	for _, k := range keys.Keys {
		if k.State == "current" && k.PublishedAt != nil && now.Sub(*k.PublishedAt) > oldKey {
			out = append(out, fmt.Sprintf("The signing key %s is %s old: sallyport keys rotate.", k.ID, span(now.Sub(*k.PublishedAt))))
		}
	}
	for _, k := range keys.Sealing.Keys {
		if k.State == "current" && k.Since != nil && now.Sub(*k.Since) > oldKey {
			out = append(out, fmt.Sprintf("The sealing key %s is %s old: sallyport keys rotate sealing.", k.ID, span(now.Sub(*k.Since))))
		}
		if len(k.Unknown) > 0 {
			out = append(out, fmt.Sprintf("%d gateways do not know the sealing key %s.", len(k.Unknown), k.ID))
		}
	}
	return out
}
