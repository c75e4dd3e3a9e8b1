package gateway

import (
	"slices"
	"strings"

	"github.com/sallyport/sallyport/gateway/config"
)

// fixed are the keys, and the sections, that only a start can change: what they name is
// open for as long as the process.
func fixed() []string {
	return []string{
		"session.store", "session.embedded", "session.valkey", "session.cache",
		"assertions.keys_files", "assertions.algorithm",
		"admin.listen", "ext_authz.listen", "log", "tracing",
	}
}

// free are the exceptions from fixed.
func free() []string { return []string{"log.level"} }

// onlyByRestart finds every key that a reload can't change and that was changed.
func onlyByRestart(was, is *config.Config) config.Faults {
	var faults config.Faults
	for _, key := range config.Changed(was, is) {
		if within(key, fixed()) && !within(key, free()) {
			faults = append(faults, restartFault(is, key))
		}
	}
	// What is there can change, and not whether it is.
	for key, given := range map[string][2]bool{
		"ext_authz.tls.cert_file": {was.ExtAuthz.TLS.CertFile != "", is.ExtAuthz.TLS.CertFile != ""},
		"admin.tls.cert_file":     {was.Admin.TLS.CertFile != "", is.Admin.TLS.CertFile != ""},
		"session.keys_files":      {len(was.Session.KeysFiles) > 0, len(is.Session.KeysFiles) > 0},
	} {
		if given[0] != given[1] {
			faults = append(faults, restartFault(is, key))
		}
	}
	if needs := longestSigned(is); needs > longestSigned(was) {
		// Keys are published for as long as anything that they signed can be valid.
		for _, key := range []string{"assertions.lifetime", "tokens.exchange.enabled", "tokens.exchange.lifetime"} {
			if slices.Contains(config.Changed(was, is), key) {
				faults = append(faults, restartFault(is, key))
			}
		}
	}
	return faults
}

func restartFault(c *config.Config, key string) config.Fault {
	return c.Fault(key, "only a restart can change this", "restart the gateway, or put back what was there")
}

func within(key string, sections []string) bool {
	return slices.ContainsFunc(sections, func(section string) bool {
		return key == section || strings.HasPrefix(key, section+".") || strings.HasPrefix(key, section+"[")
	})
}
