package lint

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// Complete makes a whole configuration of a part of one, such as the examples are:
// what it has stays as it stands, on its lines, and what it lacks follows.
func Complete(part string) string {
	var given map[string]yaml.Node
	_ = yaml.Unmarshal([]byte(part), &given) // what is no YAML stays so, and loading it says why
	var b strings.Builder
	b.WriteString(part)
	if part != "" && !strings.HasSuffix(part, "\n") {
		b.WriteByte('\n')
	}
	for _, rest := range [][2]string{
		{"server", `{public_url: "https://app.example.com", trusted_proxies: [127.0.0.1]}`},
		{"login", `{providers: [{name: corp, type: oidc, issuer: "https://id.example.com", client_id: app, client_secret_file: /run/secrets/oidc}]}`},
		{"routes", `[{name: app, upstream: "http://127.0.0.1:3000", policy: authenticated}]`},
	} {
		if _, ok := given[rest[0]]; !ok {
			b.WriteString(rest[0] + ": " + rest[1] + "\n")
		}
	}
	return b.String()
}
