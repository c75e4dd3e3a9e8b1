package policy_test

import (
	"testing"
	"time"

	"github.com/sallyport/sallyport/policy"
)

// certainCases are about rules that do nothing.
func certainCases(t *testing.T) map[string]lintCases {
	t.Helper()
	mfa := policy.StepUp{ACR: []string{"mfa"}}
	leavers := values(t, "emails", "eve@example.com")
	return map[string]lintCases{
		"never_matches": {
			bad: []lintCase{
				{rules: rules{allow(match{Methods: []string{"GET"}, When: `request.method == "POST"`, Groups: []string{"staff"}})}},
				{rules: rules{{When: `"staff" in identity.groups`, Allow: &match{Unless: `"staff" in identity.groups`}}, staff()}},
				{rules: rules{allow(match{Emails: []string{"bob@example.com"}, EmailDomains: []string{"partner.example"}})}},
				{rules: rules{allow(match{Claims: []policy.Claim{{Name: "email_verified", Values: []string{"false"}}}, EmailDomains: []string{"example.com"}})}},
				{rules: rules{allowWhen(`identity.claims.team == "a" && identity.claims.team == "b"`)}},
				{rules: rules{allow(match{Paths: []string{"/a"}, When: `request.path == "/b" && "staff" in identity.groups`})}},
				{rules: rules{denyWhen(`cidr("10.0.0.0/8").containsIP("192.0.2.1")`), staff()}},
				{rules: rules{allowWhen(`identity.subject in []`)}},
			},
			good: []lintCase{
				{rules: rules{allowWhen(`"a" in identity.groups && "b" in identity.groups`)}}, // a list has several
				{rules: rules{allow(match{Groups: []string{"a"}, Claims: []policy.Claim{{Name: "groups", Values: []string{"b"}}}})}},
				{rules: rules{allow(match{CIDR: []string{"10.0.0.0/8", "192.168.0.0/16"}, Groups: []string{"a"}})}},
				{rules: rules{allow(match{Emails: []string{"bob@Example.com"}, EmailDomains: []string{"example.com"}})}},
				{rules: rules{allow(match{From: leavers, EmailDomains: []string{"partner.example"}})}}, // the file may change
			},
		},
		"impossible_value": {
			bad: []lintCase{
				{rules: rules{allowWhen(`identity.email == "Bob@example.com"`)}},
				{rules: rules{allowWhen(`identity.email.endsWith("@Example.com")`)}},
				{rules: rules{allowWhen(`request.host == "app.example.com:8443" && "a" in identity.groups`)}},
				{rules: rules{allowWhen(`request.headers["X-Tenant"] == identity.subject`), allowWhen(`"X_Tenant" in request.headers && "a" in identity.groups`)}},
				{rules: rules{denyWhen(`has(request.headers.Cookie)`), denyWhen(`"authorization" in request.headers`), staff()}},
				{rules: rules{denyWhen(`request.method == "delete"`), staff()}},
				{rules: rules{denyWhen(`request.path == "admin/"`), staff()}},
				{rules: rules{denyWhen(`request.path.startsWith("//admin/")`), staff()}},
				{rules: rules{denyWhen(`request.path.contains("/../")`), denyWhen(`request.path == "/a/../b"`), staff()}},
				{rules: rules{allowWhen(`identity.credential == "cookie"`)}},
				{rules: rules{allowWhen(`client.address == "10.0.0.0/8" && "a" in identity.groups`)}},
				{rules: rules{allow(match{Claims: []policy.Claim{{Name: "email_verified", Values: []string{"yes"}}}})}},
			},
			good: []lintCase{
				{rules: rules{allowWhen(`identity.email == "bob@example.com"`)}},
				{rules: rules{allowWhen(`identity.name == "Bob"`)}},
				{rules: rules{allowWhen(`request.headers["x-tenant"] == identity.subject`)}},
				{rules: rules{allowWhen(`client.address == "10.0.0.1" && "a" in identity.groups`)}},
				{rules: rules{denyWhen(`request.path.endsWith(".exe")`), staff()}},
			},
		},
		"contradiction": {
			bad: []lintCase{
				{rules: rules{staff(), deny(match{Groups: []string{"staff"}})}},
				{rules: rules{allow(match{Methods: []string{"POST"}, Groups: []string{"staff"}}), {When: `request.method == "POST"`, Deny: &match{Groups: []string{"staff"}}}}},
				{rules: rules{requiring(allow(match{Groups: []string{"staff"}, ACR: []string{"pwd"}}), mfa)}},
			},
			good: []lintCase{
				{rules: rules{staff(), inShadow(deny(match{Groups: []string{"staff"}}))}}, // a trial
				{rules: rules{requiring(allow(match{Groups: []string{"staff"}, ACR: []string{"pwd", "mfa"}}), mfa)}},
			},
		},
		"shadowed_by_deny": {
			bad: []lintCase{
				{rules: rules{deny(match{Groups: []string{"a", "b"}}), allow(match{Groups: []string{"a"}}), staff()}},
				{rules: rules{deny(match{Paths: []string{"/admin"}}), allow(match{Paths: []string{"/admin/x"}, Groups: []string{"admin"}}), staff()}},
				{rules: rules{deny(match{CIDR: []string{"10.0.0.0/8"}}), allow(match{CIDR: []string{"10.1.0.0/16"}, Groups: []string{"ops"}}), staff()}},
				{rules: rules{deny(match{Groups: []string{"a"}}), deny(match{Groups: []string{"b"}}), allow(match{Groups: []string{"b", "a"}}), staff()}}, // by both
				{rules: rules{deny(match{EmailDomains: []string{"example.com"}}), allow(match{Emails: []string{"bob@example.com"}}), staff()}},
			},
			good: []lintCase{
				{rules: rules{deny(match{Groups: []string{"a"}}), allow(match{Groups: []string{"a", "b"}})}},
				{rules: rules{deny(match{Groups: []string{"a"}, Methods: []string{"DELETE"}}), allow(match{Groups: []string{"a"}})}},
				{rules: rules{{Unless: `"root" in identity.groups`, Deny: &match{Paths: []string{"/admin"}}}, allow(match{Groups: []string{"root"}, Paths: []string{"/admin"}})}},
				{rules: rules{deny(match{From: leavers}), allow(match{Emails: []string{"eve@example.com"}})}}, // the file may change
			},
		},
		"require_never_asked": {
			bad: []lintCase{
				{rules: rules{requiring(staff(), mfa), allow(match{Groups: []string{"staff", "audit"}})}},
				{rules: rules{requiring(allow(match{Groups: []string{"staff"}, Paths: []string{"/admin"}}), mfa), staff()}},
				{rules: rules{requiring(staff(), policy.StepUp{ACR: []string{"mfa"}, MaxAge: time.Hour}), requiring(staff(), mfa)}},
				{rules: rules{requiring(allow(match{Groups: []string{"staff", "audit"}}), mfa), allow(match{Groups: []string{"audit"}})}}, // not of auditors
			},
			good: []lintCase{
				{rules: rules{requiring(staff(), mfa), allow(match{Groups: []string{"audit"}})}},
				{rules: rules{requiring(staff(), mfa), allow(match{Groups: []string{"staff"}, Methods: []string{"GET"}})}},
				{rules: rules{requiring(staff(), mfa), requiring(staff(), policy.StepUp{AMR: []string{"hwk"}})}},                                     // either will do
				{use: policy.Use{Route: "r", Require: mfa}, rules: rules{requiring(staff(), mfa), allow(match{Groups: []string{"staff", "audit"}})}}, // the route asks
			},
		},
		"allows_nobody": {
			bad: []lintCase{
				{rules: rules{deny(match{Groups: []string{"suspended"}})}},
				{rules: rules{inShadow(staff())}},
				{rules: rules{staff(), denyWhen(`1 + 1 == 2`)}},
			},
			good: []lintCase{
				{rules: rules{staff()}},
				{rules: rules{inShadow(staff())}, mode: policy.Shadow},
				{auth: yes{}},
			},
		},
		"unreachable": {
			bad: []lintCase{
				{use: policy.Use{Route: "r", NoScopes: true}, rules: rules{allow(match{Scopes: []string{"read"}})}},
				{use: policy.Use{Route: "r", NoScopes: true}, rules: rules{allowWhen(`"read" in identity.scopes`)}},
				{use: policy.Use{Route: "r", NoSignIns: true}, rules: rules{requiring(staff(), mfa)}},
				{use: policy.Use{Route: "r", Require: mfa}, rules: rules{allow(match{Groups: []string{"staff"}, ACR: []string{"pwd"}})}},
				{use: policy.Use{Route: "r", Credentials: []string{"session"}}, rules: rules{allowWhen(`identity.credential == "bearer"`)}},
				{use: policy.Use{Route: "r", Issuers: []string{"https://id.example.com"}}, rules: rules{allow(match{Issuers: []string{"https://id.example.com/"}})}},
				{use: policy.Use{Route: "r", Providers: []string{"corp"}}, rules: rules{allowWhen(`identity.provider == "crop"`)}},
				{use: policy.Use{Route: "r", Methods: []string{"GET"}}, rules: rules{allow(match{Methods: []string{"POST"}, Groups: []string{"a"}})}},
				{use: policy.Use{Route: "r", Hosts: []string{"a.test"}}, rules: rules{allowWhen(`request.host == "b.test" && "a" in identity.groups`)}},
				{use: policy.Use{Route: "r"}, rules: rules{allowWhen(`route.name == "app" && "a" in identity.groups`)}},
				{use: policy.Use{Route: "r", Reaches: below("/a")}, rules: rules{allow(match{Paths: []string{"/b"}, Groups: []string{"a"}})}},
				{use: policy.Use{Route: "r", Reaches: below("/a")}, rules: rules{allow(match{Paths: []string{"/a/x", "/b"}, Groups: []string{"a"}})}}, // the second
			},
			good: []lintCase{
				{use: policy.Use{Route: "r"}, rules: rules{allow(match{Scopes: []string{"read"}})}},
				{use: policy.Use{Route: "r", Credentials: []string{"session", "bearer"}}, rules: rules{allowWhen(`identity.credential == "bearer"`)}},
				{use: policy.Use{Route: "r", NoSignIns: true}, rules: rules{denyWhen(`identity.acr != "mfa"`), staff()}},
				{use: policy.Use{Route: "r", NoSignIns: true}, rules: rules{denyWhen(`identity.acr == ""`), staff()}},
				{use: policy.Use{Route: "r", Require: mfa}, rules: rules{staff(), deny(match{ACR: []string{"pwd"}})}},
				{use: policy.Use{Route: "r", Reaches: below("/a")}, rules: rules{allow(match{Paths: []string{"/a/x", "/a/y"}, Groups: []string{"a"}})}},
			},
		},
		"redundant": {
			bad: []lintCase{
				{rules: rules{staff(), staff()}},
				{rules: rules{staff(), allow(match{Groups: []string{"staff"}, Methods: []string{"GET"}})}},
				{rules: rules{requiring(staff(), mfa), requiring(staff(), policy.StepUp{ACR: []string{"mfa"}, MaxAge: 0})}},
				{rules: rules{allow(match{Groups: []string{"a"}}), allow(match{Groups: []string{"b"}}), allow(match{Groups: []string{"a", "b"}, Methods: []string{"GET"}})}},
				{rules: rules{staff(), deny(match{Subjects: []string{"a", "b"}}), said(deny(match{Subjects: []string{"b"}}), "never shown")}},
				{rules: rules{allow(match{EmailDomains: []string{"example.com"}}), allow(match{Emails: []string{"bob@example.com"}})}},
				{rules: rules{allow(match{AMR: []string{"otp"}, Groups: []string{"a"}}), allow(match{AMR: []string{"pwd", "otp"}, Groups: []string{"a"}})}},
				{rules: rules{allow(match{MaxAge: time.Hour, Groups: []string{"a"}}), allow(match{MaxAge: time.Minute, Groups: []string{"a"}})}},
				{rules: rules{allow(match{Hours: []string{"mon-fri 08:00-18:00 UTC"}, Groups: []string{"a"}}), allow(match{Hours: []string{"tue 09:00-10:00 UTC"}, Groups: []string{"a"}})}},
			},
			good: []lintCase{
				{rules: rules{staff(), allow(match{Groups: []string{"audit"}, Methods: []string{"GET"}})}},
				{rules: rules{staff(), said(deny(match{Subjects: []string{"b"}}), "Ask Ann."), deny(match{Subjects: []string{"a", "b"}})}}, // it speaks first
				{rules: rules{staff(), inShadow(allow(match{Groups: []string{"staff", "audit"}}))}},
				{rules: rules{allow(match{AMR: []string{"otp", "pwd"}, Groups: []string{"a"}}), allow(match{AMR: []string{"hwk"}, Groups: []string{"a"}})}},
				{rules: rules{allow(match{Hours: []string{"mon-fri 08:00-18:00 UTC"}, Groups: []string{"a"}}), allow(match{Hours: []string{"mon-fri 08:00-18:00 Europe/Berlin"}, Groups: []string{"a"}})}},
				{rules: rules{allow(match{Groups: []string{"a"}, Claims: []policy.Claim{{Name: "x.y", Values: []string{"b"}}}}), allow(match{Groups: []string{"a"}, When: `identity.claims.x.y == "b"`})}},
			},
		},
		"dead_value": {
			bad: []lintCase{
				{rules: rules{allow(match{Emails: []string{"bob@example.com", "ann@partner.example"}, EmailDomains: []string{"example.com"}})}},
				{rules: rules{allow(match{Emails: []string{"bob@example.com"}, EmailDomains: []string{"example.com", "partner.example"}})}},
				{rules: rules{{When: `request.method != "POST"`, Allow: &match{Methods: []string{"GET", "POST"}, Groups: []string{"a"}}}}},
			},
			good: []lintCase{
				{rules: rules{allow(match{Emails: []string{"bob@example.com", "ann@example.com"}, EmailDomains: []string{"example.com"}})}},
				{rules: rules{{When: `request.method != "POST"`, Allow: &match{Methods: []string{"GET", "HEAD"}, Groups: []string{"a"}}}}},
			},
		},
		"always_true": {
			bad: []lintCase{
				{rules: rules{allow(match{Groups: []string{"a"}, When: "1 < 2"})}},
				{rules: rules{allow(match{Groups: []string{"a"}, Unless: "false"})}},
				{rules: rules{allow(match{Groups: []string{"a"}, Hours: []string{"daily 00:00-24:00 UTC"}})}},
				{rules: rules{allow(match{Groups: []string{"a"}, Hours: []string{"daily 08:00-20:00 UTC", "daily 19:00-09:00 UTC"}})}},
				{rules: rules{allow(match{Groups: []string{"a"}, Paths: []string{"/"}})}},
				{rules: rules{allowWhen(`request.path.startsWith("/") && "a" in identity.groups`)}},
			},
			good: []lintCase{
				{rules: rules{allow(match{Groups: []string{"a"}, Hours: []string{"daily 00:00-23:59 UTC"}})}},
				{rules: rules{allow(match{Groups: []string{"a"}, Hours: []string{"daily 00:00-12:00 UTC", "daily 12:00-24:00 Europe/Berlin"}})}},
			},
		},
	}
}
