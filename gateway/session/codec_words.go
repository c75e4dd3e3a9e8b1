package session

// words are the strings that records hold so often that one byte stands for
// each: claim names (OpenID Connect Core 1.0, section 5.1, and the large
// providers' own), methods (RFC 8176) and kinds of providers.
//
// The place in the list is part of the format. New words go to the end, in a
// release after the one that first knows them: an older release cannot read a
// word beyond its list.
//
//nolint:gochecknoglobals // a constant table
var words = [...]string{
	"sub", "iss", "aud", "azp", "exp", "nbf", "iat", "jti", "nonce", "sid", "auth_time", "acr", "amr",
	"at_hash", "c_hash", "s_hash", "session_state", "typ", "ver", "client_id", "scope",
	"name", "given_name", "family_name", "middle_name", "nickname", "preferred_username", "profile", "picture",
	"website", "email", "email_verified", "gender", "birthdate", "zoneinfo", "locale", "phone_number",
	"phone_number_verified", "address", "updated_at",
	"groups", "roles", "permissions", "entitlements", "realm_access", "resource_access", "tenant", "tid", "oid",
	"upn", "unique_name", "idp", "hd", "org", "org_id", "organization", "organizations", "department", "title",
	"employee_id", "login", "id", "uid", "avatar_url", "html_url", "company", "node_id", "type", "country",
	"formatted", "street_address", "locality", "region", "postal_code",
	"pwd", "otp", "mfa", "hwk", "swk", "pin", "sms", "mca", "fpt", "face", "kba", "rba", "sc", "tel", "user", "wia",
	"oidc", "oauth2", "github", "google", "kakao", "naver", "users", "dev",
	"admin", "true", "false", "en", "ko", "0", "1",
}

// wordIndex is words turned around.
//
//nolint:gochecknoglobals // as constant as words
var wordIndex = func() map[string]byte {
	index := make(map[string]byte, len(words))
	for i, word := range words {
		index[word] = byte(i)
	}
	return index
}()

// The index has to fit beside wordFlag.
var _ [wordLimit - len(words)]struct{}
