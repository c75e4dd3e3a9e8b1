package shield

// Finding is one weakness of an answer: a word of a closed list.
type Finding uint8

// The findings.
const (
	CookieWithoutSecure        Finding = iota
	CookieWithoutHTTPOnly              // scripts can read it
	CookieWithoutSameSite              // or with a value that browsers don't know
	CookieSameSiteNoneInsecure         // browsers refuse such a cookie
	CookieWideDomain                   // other hosts get it, and can set one in its place
	CookieNotRenamed                   // host_prefix is on, and the cookie can't have it
	MissingHSTS
	MissingNosniff
	MissingFrameAncestors
	MissingReferrerPolicy
	LeakedHeader
)

// String returns the word in metrics and reports.
func (f Finding) String() string {
	switch f {
	case CookieWithoutSecure:
		return "cookie_without_secure"
	case CookieWithoutHTTPOnly:
		return "cookie_without_httponly"
	case CookieWithoutSameSite:
		return "cookie_without_samesite"
	case CookieSameSiteNoneInsecure:
		return "cookie_samesite_none_insecure"
	case CookieWideDomain:
		return "cookie_wide_domain"
	case CookieNotRenamed:
		return "cookie_not_renamed"
	case MissingHSTS:
		return "missing_hsts"
	case MissingNosniff:
		return "missing_nosniff"
	case MissingFrameAncestors:
		return "missing_frame_ancestors"
	case MissingReferrerPolicy:
		return "missing_referrer_policy"
	case LeakedHeader:
		return "leaked_header"
	}
	return "unknown"
}
