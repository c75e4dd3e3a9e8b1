package jose

// maxUsual is how far the closing quote of a usual name can be.
const maxUsual = len("preferred_username") + 1

// usualName returns the registered claims and header parameters that tokens
// carry most, as constants.
func usualName(b []byte) (string, bool) {
	switch string(b) { // allocates nothing
	case "alg":
		return "alg", true
	case "kid":
		return "kid", true
	case "typ":
		return "typ", true
	case "iss":
		return "iss", true
	case "sub":
		return "sub", true
	case "aud":
		return "aud", true
	case "exp":
		return "exp", true
	case "nbf":
		return "nbf", true
	case "iat":
		return "iat", true
	case "jti":
		return "jti", true
	case "azp":
		return "azp", true
	case "sid":
		return "sid", true
	case "acr":
		return "acr", true
	case "amr":
		return "amr", true
	case "scope":
		return "scope", true
	case "scp":
		return "scp", true
	case "email":
		return "email", true
	case "email_verified":
		return "email_verified", true
	case "name":
		return "name", true
	case "preferred_username":
		return "preferred_username", true
	case "given_name":
		return "given_name", true
	case "family_name":
		return "family_name", true
	case "groups":
		return "groups", true
	case "roles":
		return "roles", true
	case "client_id":
		return "client_id", true
	case "auth_time":
		return "auth_time", true
	case "nonce":
		return "nonce", true
	case "at_hash":
		return "at_hash", true
	case "realm_access":
		return "realm_access", true
	case "resource_access":
		return "resource_access", true
	case "session_state":
		return "session_state", true
	case "locale":
		return "locale", true
	case "tid":
		return "tid", true
	case "oid":
		return "oid", true
	case "ver":
		return "ver", true
	}
	return "", false
}
