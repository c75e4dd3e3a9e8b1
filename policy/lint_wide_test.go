package policy_test

import (
	"testing"

	"github.com/sallyport/sallyport/policy"
)

// wideCases are about rules that let in, or leave out, more than they seem to.
func wideCases(t *testing.T) map[string]lintCases {
	t.Helper()
	return map[string]lintCases{
		"public_mail_domain": {
			bad: []lintCase{
				{rules: rules{allow(match{EmailDomains: []string{"example.com", "Gmail.com"}})}},
				{rules: rules{allow(match{EmailDomains: []string{"yahoo.co.jp"}})}},
				{rules: rules{allow(match{From: values(t, "email_domains", "gmx.de")})}},
				{rules: rules{allowWhen(`identity.email.endsWith("@naver.com")`)}},
				{rules: rules{staff(), deny(match{Unless: `identity.email.endsWith("@outlook.com")`})}},
			},
			good: []lintCase{
				{rules: rules{allow(match{EmailDomains: []string{"example.com", "live.example", "yahoo.example.com"}})}},
				{rules: rules{allow(match{EmailDomains: []string{"gmail.com"}, Groups: []string{"friends"}})}},
				{rules: rules{allow(match{EmailDomains: []string{"gmail.com"}, Emails: []string{"bob@gmail.com"}})}},
				{rules: rules{staff(), deny(match{EmailDomains: []string{"gmail.com"}})}},
			},
		},
		"whole_internet": {
			bad: []lintCase{
				{rules: rules{allow(match{CIDR: []string{"10.0.0.0/8", "0.0.0.0/0"}, Groups: []string{"a"}})}},
				{rules: rules{allow(match{CIDR: []string{"0.0.0.0/1", "128.0.0.0/1"}, Groups: []string{"a"}})}},
				{rules: rules{allow(match{CIDR: []string{"2000::/3"}, Groups: []string{"a"}})}},
				{rules: rules{allow(match{From: values(t, "cidr", "::/0"), Groups: []string{"a"}})}},
				{rules: rules{staff(), deny(match{CIDR: []string{"0.0.0.0/0"}})}},
			},
			good: []lintCase{{rules: rules{allow(match{CIDR: []string{"10.0.0.0/8", "fc00::/7", "fe80::/10", "2001:db8::/32"}, Groups: []string{"a"}})}}},
		},
		"or_without_identity": {
			bad: []lintCase{
				{rules: rules{allowWhen(`"staff" in identity.groups || request.method == "GET"`)}},
				{rules: rules{allowWhen(`request.path == "/x" ? true : "staff" in identity.groups`)}},
			},
			good: []lintCase{
				{rules: rules{allowWhen(`"staff" in identity.groups || identity.subject == "bob"`)}},
				{rules: rules{allowWhen(`("a" in identity.groups && request.method == "GET") || "b" in identity.groups`)}},
				{rules: rules{allow(match{Groups: []string{"staff"}, When: `request.method == "GET" || "editors" in identity.groups`})}},
			},
		},
		"any_issuer": {
			bad: []lintCase{
				{use: twoSources(), rules: rules{staff()}},
				{use: twoSources(), rules: rules{allow(match{Subjects: []string{"bob"}})}},
				{use: twoSources(), rules: rules{allowWhen(`identity.claims.level == 3`)}},
				{use: twoSources(), rules: rules{allowWhen(`identity.groups.exists(g, g.startsWith("team-"))`)}},
			},
			good: []lintCase{
				{use: policy.Use{Route: "r", Sources: []string{"one"}}, rules: rules{staff()}},
				{use: twoSources(), rules: rules{allow(match{Groups: []string{"staff"}, Issuers: []string{"https://id.example.com"}})}},
				{use: twoSources(), rules: rules{{When: `identity.provider == "corp"`, Allow: &match{Groups: []string{"staff"}}}}},
				{use: twoSources(), rules: rules{allow(match{EmailDomains: []string{"example.com"}})}},
				{use: twoSources(), rules: rules{allow(match{Emails: []string{"a@example.com"}}), deny(match{Groups: []string{"suspended"}})}},
			},
		},
		"client_controlled": {
			bad: []lintCase{
				{rules: rules{allowWhen(`request.headers["x-internal"] == "1"`)}},
				{rules: rules{allow(match{Groups: []string{"a"}, When: `"x-internal" in request.headers`})}},
				{rules: rules{allow(match{Groups: []string{"a"}, Unless: `request.headers["user-agent"].contains("curl")`})}},
				{rules: rules{staff(), denyWhen(`request.headers[?"x-country"].orValue("") == "XX"`)}},
				{rules: rules{staff(), deny(match{Unless: `request.headers[?"x-key"].orValue("") == "k"`})}},
			},
			good: []lintCase{
				{rules: rules{allowWhen(`request.headers["x-tenant"] == identity.claims.tenant`)}},
				{rules: rules{staff(), denyWhen(`"x-debug" in request.headers`)}},
				{rules: rules{staff(), denyWhen(`request.headers[?"sec-fetch-site"].orValue("none") == "cross-site"`)}},
			},
		},
		"unverifiable_claim": {
			bad: []lintCase{
				{rules: rules{allowWhen(`identity.name == "Bob"`)}},
				{rules: rules{staff(), denyWhen(`identity.preferred_username == "bob"`)}},
				{rules: rules{allow(match{Claims: []policy.Claim{{Name: "nickname", Values: []string{"bob"}}}})}},
				{rules: rules{allowWhen(`identity.claims.preferred_username == "bob"`)}},
			},
			good: []lintCase{{rules: rules{allowWhen(`identity.claims.department == "hr" && identity.claims.address_book == true`)}}},
		},
		"optional_claim": {
			bad: []lintCase{
				{rules: rules{staff(), denyWhen(`identity.claims.external == true`)}},
				{rules: rules{allow(match{Groups: []string{"a"}, Unless: `identity.claims.external == true`})}},
				{rules: rules{allowWhen(`identity.claims.department == "hr"`)}},
				{rules: rules{staff(), denyWhen(`has(identity.claims.realm.roles) && "x" in identity.claims.realm.roles`)}},
				{rules: rules{staff(), denyWhen(`request.query.role == "admin"`)}},
				{rules: rules{staff(), denyWhen(`has(identity.claims.a) || identity.claims.b == 1`)}},
			},
			good: []lintCase{
				{rules: rules{staff(), denyWhen(`has(identity.claims.external) && identity.claims.external == true`)}},
				{rules: rules{staff(), denyWhen(`identity.claims.external == true && has(identity.claims.external)`)}}, // && takes either order
				{rules: rules{staff(), denyWhen(`!has(identity.claims.level) || identity.claims.level < 3`)}},
				{rules: rules{staff(), denyWhen(`has(identity.claims.x) ? identity.claims.x == 1 : false`)}},
				{rules: rules{staff(), denyWhen(`identity.claims.?external.orValue(false) == true`)}},
				{rules: rules{staff(), denyWhen(`"role" in request.query && request.query["role"] == "admin"`)}},
				{rules: rules{staff(), denyWhen(`has(identity.claims.realm) && has(identity.claims.realm.roles) && "x" in identity.claims.realm.roles`)}},
				{rules: rules{staff(), deny(match{Claims: []policy.Claim{{Name: "external", Values: []string{"true"}}}})}},
			},
		},
		"loose_text": {
			bad: []lintCase{
				{rules: rules{allowWhen(`identity.email.endsWith("example.com")`)}},
				{rules: rules{allowWhen(`identity.email.contains("@example.com")`)}},
				{rules: rules{allowWhen(`identity.email.startsWith("admin")`)}},
				{rules: rules{allowWhen(`identity.email.startsWith("bob@example.com")`)}},
				{rules: rules{allowWhen(`identity.email.matches(".*@example.com")`)}},
				{rules: rules{allowWhen(`identity.email.matches(".*@example[.]com.*")`)}},
				{rules: rules{allowWhen(`request.path.startsWith("/pub") && "a" in identity.groups`)}},
				{rules: rules{allowWhen(`request.path.matches("/pub.*") && "a" in identity.groups`)}},
				{rules: rules{allowWhen(`request.path.contains("/pub/") && "a" in identity.groups`)}},
				{rules: rules{allowWhen(`request.path.endsWith(".css") && "a" in identity.groups`)}},
				{rules: rules{staff(), deny(match{Unless: `request.path.startsWith("/pub")`})}},
				{rules: rules{allowWhen(`identity.groups.exists(g, g.contains("admin"))`)}},
				{rules: rules{allowWhen(`identity.issuer.startsWith("https://id.example.com") && "a" in identity.groups`)}},
				{rules: rules{allowWhen(`client.address.startsWith("10.1") && "a" in identity.groups`)}},
				{rules: rules{allowWhen(`request.host.endsWith("example.com") && "a" in identity.groups`)}},
				{rules: rules{allowWhen(`identity.email.lowerAscii().endsWith("example.com")`)}},
				{rules: rules{allowWhen(`identity.subject.matches(".*")`)}},
			},
			good: []lintCase{
				{rules: rules{allowWhen(`identity.email.endsWith("@example.com")`)}},
				{rules: rules{allowWhen(`identity.email.endsWith(".example.com")`)}},
				{rules: rules{allowWhen(`identity.email.matches("[a-z]+@example[.]com")`)}},
				{rules: rules{allowWhen(`request.path.startsWith("/pub/") && "a" in identity.groups`)}},
				{rules: rules{allowWhen(`request.path.matches("/pub(/.*)?") && "a" in identity.groups`)}},
				{rules: rules{allowWhen(`request.path.matches("/pub/.*") && "a" in identity.groups`)}},
				{rules: rules{staff(), denyWhen(`request.path.startsWith("/admin")`)}}, // it keeps more out
				{rules: rules{allow(match{Groups: []string{"a"}, Unless: `identity.email != "" && identity.email.endsWith("example.com")`})}},
				{rules: rules{allowWhen(`identity.groups.exists(g, g.startsWith("team-"))`)}},
			},
		},
		"holds_when_unknown": {
			bad: []lintCase{
				{rules: rules{allow(match{Groups: []string{"a"}, When: `identity.email != "eve@example.com"`})}},
				{rules: rules{allow(match{Groups: []string{"a"}, When: `!identity.email.endsWith("@partner.example")`})}},
				{rules: rules{allow(match{Groups: []string{"a"}, Unless: `identity.email.endsWith("@partner.example")`})}},
				{rules: rules{allow(match{Groups: []string{"a"}, When: `identity.acr != "low"`})}},
				{rules: rules{staff(), denyWhen(`identity.acr == "low"`)}},
				{rules: rules{allowWhen(`identity.groups.all(g, g in ["a", "b"])`)}},
				{rules: rules{allowWhen(`identity.claims.?tenant == request.headers[?"x-tenant"]`)}},
				{rules: rules{allowWhen(`identity.claims.?tenant.orValue("") == request.headers[?"x-tenant"].orValue("")`)}},
			},
			good: []lintCase{
				{rules: rules{allow(match{EmailDomains: []string{"example.com"}, When: `identity.email != "eve@example.com"`})}},
				{rules: rules{allow(match{Groups: []string{"a"}, When: `identity.email != ""`})}},
				{rules: rules{staff(), denyWhen(`identity.acr != "mfa"`)}},
				{rules: rules{staff(), deny(match{Unless: `identity.email.endsWith("@example.com")`})}},
				{rules: rules{allowWhen(`size(identity.groups) > 0 && identity.groups.all(g, g in ["a", "b"])`)}},
				{rules: rules{allowWhen(`identity.claims.?tenant.orValue("") == request.headers[?"x-tenant"].orValue("-")`)}},
			},
		},
		"list_order": {
			bad: []lintCase{
				{rules: rules{allowWhen(`identity.groups == ["staff"]`)}},
				{rules: rules{allowWhen(`identity.groups[0] == "staff"`)}},
			},
			good: []lintCase{{rules: rules{allowWhen(`"staff" in identity.groups && identity.scopes == []`)}}, {rules: rules{allowWhen(`sets.contains(identity.groups, ["a", "b"])`)}}},
		},
		"evadable_deny": {
			bad: []lintCase{
				{rules: rules{staff(), deny(match{Emails: []string{"eve@example.com"}})}},
				{rules: rules{staff(), deny(match{EmailDomains: []string{"partner.example"}})}},
				{rules: rules{staff(), denyWhen(`identity.email.endsWith("@partner.example")`)}},
				{rules: rules{staff(), denyWhen(`identity.email == "eve@example.com"`)}},
			},
			good: []lintCase{
				{rules: rules{staff(), deny(match{Subjects: []string{"eve"}})}},
				{rules: rules{allow(match{EmailDomains: []string{"example.com"}}), deny(match{Emails: []string{"eve@example.com"}})}}, // who has none is not let in
				{rules: rules{staff(), deny(match{Emails: []string{"eve@example.com"}}), deny(match{Claims: []policy.Claim{{Name: "email_verified", Values: []string{"false"}}}})}},
				{rules: rules{staff(), deny(match{Emails: []string{"eve@example.com"}}), denyWhen(`identity.email == ""`)}},
				{rules: rules{staff(), deny(match{Unless: `identity.email.endsWith("@example.com")`})}},
			},
		},
	}
}
