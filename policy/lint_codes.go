package policy

// LintCode is one kind of finding. Severity is the usual one; docs/policy-lint.md
// says what each is about.
type LintCode struct {
	Code     string
	Severity Severity
}

// The codes of findings. They never change.
const (
	lintNeverMatches     = "never_matches"
	lintImpossibleValue  = "impossible_value"
	lintContradiction    = "contradiction"
	lintShadowedByDeny   = "shadowed_by_deny"
	lintRequireNotAsked  = "require_never_asked"
	lintAllowsNobody     = "allows_nobody"
	lintRedundant        = "redundant"
	lintAlwaysTrue       = "always_true"
	lintDeadValue        = "dead_value"
	lintEmptyFile        = "empty_file"
	lintExpired          = "expired"
	lintShadowInShadow   = "shadow_in_shadow"
	lintPublicMail       = "public_mail_domain"
	lintWholeInternet    = "whole_internet"
	lintHalfIdentity     = "or_without_identity"
	lintClientControlled = "client_controlled"
	lintUnverifiable     = "unverifiable_claim"
	lintOptionalClaim    = "optional_claim"
	lintLooseText        = "loose_text"
	lintHoldsWhenUnknown = "holds_when_unknown"
	lintListOrder        = "list_order"
	lintEvadableDeny     = "evadable_deny"
	lintAnyIssuer        = "any_issuer"
	lintUnreachable      = "unreachable"
	lintAnyoneSignedIn   = "anyone_signed_in"
	lintRequireInMatch   = "require_in_match"
	lintRedundantValue   = "redundant_value"
	lintPathByText       = "path_by_text"
	lintHostByText       = "host_by_text"
	lintMethodsLeftOut   = "methods_left_out"
	lintHoursInUTC       = "hours_in_utc"
	lintMaxAgeShort      = "max_age_short"
	lintNoPage           = "step_up_without_page"
	lintNotEnforced      = "not_enforced"
	lintRequireSkipped   = "require_may_be_skipped"
)

// LintCodes are all kinds of findings that Lint has, the worst first.
func LintCodes() []LintCode {
	return []LintCode{
		{lintNeverMatches, LintError},
		{lintImpossibleValue, LintError},
		{lintContradiction, LintError},
		{lintShadowedByDeny, LintError},
		{lintRequireNotAsked, LintError},
		{lintAllowsNobody, LintError},

		{lintUnreachable, LintWarning},
		{lintRedundant, LintWarning},
		{lintAlwaysTrue, LintWarning},
		{lintDeadValue, LintWarning},
		{lintEmptyFile, LintWarning},
		{lintExpired, LintWarning},
		{lintShadowInShadow, LintWarning},
		{lintPublicMail, LintWarning},
		{lintWholeInternet, LintWarning},
		{lintHalfIdentity, LintWarning},
		{lintAnyIssuer, LintWarning},
		{lintClientControlled, LintWarning},
		{lintUnverifiable, LintWarning},
		{lintOptionalClaim, LintWarning},
		{lintLooseText, LintWarning},
		{lintHoldsWhenUnknown, LintWarning},
		{lintListOrder, LintWarning},
		{lintEvadableDeny, LintWarning},

		{lintAnyoneSignedIn, LintNote},
		{lintRequireInMatch, LintNote},
		{lintRequireSkipped, LintNote},
		{lintRedundantValue, LintNote},
		{lintPathByText, LintNote},
		{lintHostByText, LintNote},
		{lintMethodsLeftOut, LintNote},
		{lintHoursInUTC, LintNote},
		{lintMaxAgeShort, LintNote},
		{lintNoPage, LintNote},
		{lintNotEnforced, LintNote},
	}
}

// lintSeverity is the usual severity of a code.
func lintSeverity(code string) Severity {
	for _, c := range LintCodes() {
		if c.Code == code {
			return c.Severity
		}
	}
	return LintNote
}
