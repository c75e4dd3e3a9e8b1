package policy_test

import (
	"testing"
	"time"

	"github.com/sallyport/sallyport/policy"
)

// oddCases are about the rest.
func oddCases(t *testing.T) map[string]lintCases {
	t.Helper()
	mfa := policy.StepUp{ACR: []string{"mfa"}}
	leavers, none := values(t, "emails", "eve@example.com"), values(t, "emails", "# nobody")
	return map[string]lintCases{
		"empty_file": {
			bad:  []lintCase{{rules: rules{allow(match{From: none})}}, {rules: rules{allow(match{From: none, Emails: []string{"bob@example.com"}})}}},
			good: []lintCase{{rules: rules{allow(match{From: leavers})}}},
		},
		"expired": {
			bad: []lintCase{
				{rules: rules{staff(), allow(match{Subjects: []string{"ann"}, When: `now < timestamp("2025-12-31T00:00:00Z")`})}},
				{rules: rules{staff(), {Unless: `timestamp("2025-12-31T00:00:00Z") <= now`, Deny: &match{Subjects: []string{"ann"}}}}},
			},
			good: []lintCase{
				{rules: rules{staff(), allow(match{Subjects: []string{"ann"}, When: `now < timestamp("2026-12-31T00:00:00Z")`})}},
				{rules: rules{staff(), allow(match{Subjects: []string{"ann"}, When: `now > timestamp("2025-12-31T00:00:00Z")`})}},
			},
		},
		"shadow_in_shadow": {
			bad:  []lintCase{{mode: policy.Shadow, rules: rules{staff(), inShadow(deny(match{Subjects: []string{"a"}}))}}},
			good: []lintCase{{mode: policy.Shadow, rules: rules{staff(), deny(match{Subjects: []string{"a"}})}}, {rules: rules{staff(), inShadow(deny(match{Subjects: []string{"a"}}))}}},
		},
		"not_enforced": {
			bad:  []lintCase{{mode: policy.Shadow, rules: rules{staff()}}},
			good: []lintCase{{rules: rules{staff()}}},
		},
		"anyone_signed_in": {
			bad: []lintCase{
				{rules: rules{allow(match{Methods: []string{"GET"}}), allow(match{Groups: []string{"staff"}, Methods: []string{"POST"}})}},
				{rules: rules{allow(match{CIDR: []string{"10.0.0.0/8"}})}},
				{rules: rules{allow(match{Unless: `"guests" in identity.groups`})}},
				{rules: rules{allow(match{ACR: []string{"mfa"}})}},
			},
			good: []lintCase{
				{rules: rules{allow(match{Methods: []string{"GET"}, EmailDomains: []string{"example.com"}})}},
				{rules: rules{allow(match{Methods: []string{"GET"}})}, auth: yes{}}, // which asks somebody else
			},
		},
		"require_in_match": {
			bad: []lintCase{
				{rules: rules{allow(match{Groups: []string{"a"}, ACR: []string{"mfa"}})}},
				{rules: rules{allow(match{Groups: []string{"a"}, AMR: []string{"otp"}})}},
				{rules: rules{allow(match{Groups: []string{"a"}, MaxAge: time.Hour})}},
			},
			good: []lintCase{{rules: rules{requiring(staff(), mfa)}}, {rules: rules{staff(), deny(match{ACR: []string{"low"}})}}},
		},
		"require_may_be_skipped": {
			bad: []lintCase{
				{rules: rules{requiring(staff(), mfa), allow(match{Groups: []string{"audit"}})}},
				{rules: rules{requiring(allow(match{Groups: []string{"admin"}, Paths: []string{"/admin"}}), mfa), staff()}},
			},
			good: []lintCase{
				{rules: rules{requiring(staff(), mfa), requiring(allow(match{Groups: []string{"audit"}}), mfa)}},
				{rules: rules{requiring(allow(match{Groups: []string{"admin"}, Paths: []string{"/admin"}}), mfa), {Unless: `request.path.matches("/admin(/.*)?")`, Allow: &match{Groups: []string{"staff"}, Methods: []string{"GET"}}}}},
				{rules: rules{requiring(staff(), mfa), allow(match{Groups: []string{"audit"}, CIDR: []string{"10.0.0.0/8"}})}},
			},
		},
		"redundant_value": {
			bad: []lintCase{
				{rules: rules{allow(match{Groups: []string{"a", "b", "a"}})}},
				{rules: rules{allow(match{Emails: []string{"bob@example.com", "Bob@Example.com"}})}},
				{rules: rules{allow(match{Groups: []string{"a"}, CIDR: []string{"10.1.0.0/16", "10.0.0.0/8"}})}},
				{rules: rules{allow(match{Groups: []string{"a"}, Paths: []string{"/a/b", "/a"}})}},
				{rules: rules{allow(match{Groups: []string{"a"}, Hours: []string{"mon-fri 08:00-18:00 UTC", "mon 09:00-10:00 UTC"}})}},
			},
			good: []lintCase{
				{rules: rules{allow(match{Groups: []string{"a", "A"}, CIDR: []string{"10.0.0.0/8", "192.168.0.0/16"}, Paths: []string{"/a", "/b"}})}},
				{rules: rules{allow(match{Groups: []string{"a"}, Hours: []string{"mon-fri 08:00-18:00 UTC", "mon 17:00-20:00 UTC"}})}},
			},
		},
		"path_by_text": {
			bad: []lintCase{
				{rules: rules{staff(), denyWhen(`request.path.startsWith("/admin/")`)}},
				{rules: rules{staff(), denyWhen(`request.path == "/admin"`)}},
			},
			good: []lintCase{
				{rules: rules{staff(), deny(match{Paths: []string{"/admin"}})}},
				{rules: rules{staff(), denyWhen(`request.path.startsWith("/admin")`)}},
				{rules: rules{staff(), deny(match{Unless: `request.path.startsWith("/pub/")`})}},
			},
		},
		"host_by_text": {
			bad:  []lintCase{{rules: rules{staff(), denyWhen(`request.host == "admin.example.com"`)}}},
			good: []lintCase{{rules: rules{allowWhen(`request.host == identity.claims.tenant + ".example.com"`)}}},
		},
		"methods_left_out": {
			bad: []lintCase{
				{rules: rules{staff(), deny(match{Methods: []string{"GET"}, Paths: []string{"/x"}})}},
				{rules: rules{staff(), deny(match{Methods: []string{"POST", "PUT", "DELETE"}})}},
				{rules: rules{staff(), denyWhen(`request.method in ["PUT", "DELETE"]`)}},
			},
			good: []lintCase{
				{rules: rules{staff(), deny(match{Methods: []string{"GET", "HEAD"}, Paths: []string{"/x"}})}},
				{rules: rules{staff(), deny(match{Methods: []string{"POST", "PUT", "PATCH", "DELETE"}})}},
				{rules: rules{staff(), deny(match{Methods: []string{"DELETE"}})}},
				{rules: rules{allow(match{Methods: []string{"GET"}, Groups: []string{"a"}})}},
			},
		},
		"hours_in_utc": {
			bad:  []lintCase{{rules: rules{allowWhen(`"a" in identity.groups && now.getHours() >= 8`)}}},
			good: []lintCase{{rules: rules{allowWhen(`"a" in identity.groups && now.getHours("Europe/Berlin") >= 8`)}}},
		},
		"max_age_short": {
			bad:  []lintCase{{rules: rules{requiring(staff(), policy.StepUp{MaxAge: 10 * time.Second})}}},
			good: []lintCase{{rules: rules{requiring(staff(), policy.StepUp{MaxAge: time.Minute})}}},
		},
		"step_up_without_page": {
			bad:  []lintCase{{use: policy.Use{Route: "r", NoPage: true}, rules: rules{requiring(staff(), mfa)}}},
			good: []lintCase{{use: policy.Use{Route: "r"}, rules: rules{requiring(staff(), mfa)}}, {use: policy.Use{Route: "r", NoPage: true}, rules: rules{staff()}}},
		},
	}
}
