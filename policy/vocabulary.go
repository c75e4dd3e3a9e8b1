package policy

import (
	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// variable is a name of the vocabulary.
type variable struct {
	name string
	kind *cel.Type
	doc  string
	read func(*activation) ref.Val

	// The largest that it can be, for the estimate of costs: bytes of a text, items
	// of a list; item is what one of those has.
	size, item uint64
}

// Bounds on what requests and identities can hold; the largest that servers and
// providers let through.
const (
	worstText   = 2048
	worstPath   = 8192
	worstGroups = 1000
	worstItems  = 200
	worstItem   = 256
)

// The maps of the vocabulary, in which anything may be missing.
const (
	nameClaims  = "identity.claims"
	nameHeaders = "request.headers"
	nameQuery   = "request.query"
)

func mapOfTheVocabulary(name string) bool {
	return name == nameClaims || name == nameHeaders || name == nameQuery
}

// vocabulary is everything that an expression can name. The reference page is made
// from it, and a name never goes away.
func vocabulary() []variable {
	text := func(name, doc string, size uint64, read func(*Input) string) variable {
		return variable{name: name, kind: cel.StringType, doc: doc, size: size, read: func(a *activation) ref.Val { return types.String(read(&a.in)) }}
	}
	list := func(name, doc string, size uint64, read func(*Input) []string) variable {
		return variable{name: name, kind: cel.ListType(cel.StringType), doc: doc, size: size, item: worstItem, read: func(a *activation) ref.Val {
			return types.NewStringList(a.lang.env.CELTypeAdapter(), read(&a.in))
		}}
	}
	return []variable{
		text("request.method", "The method, as in `GET`.", 32, func(in *Input) string { return in.Request.Method }),
		text("request.host", "The host in lower case, without a port.", 255, func(in *Input) string { return in.Request.Host }),
		text("request.path", "The path by which the route was found: decoded once, without parameters and empty segments.", worstPath, func(in *Input) string { return in.Request.Path }),
		{
			name: nameQuery, kind: cel.MapType(cel.StringType, cel.StringType), size: worstItems, item: worstItem,
			doc:  "The parameters of the query, decoded. One that is there twice, in whatever letter case, is an error, and so is any in a query that is malformed or has more than 1,000.",
			read: func(a *activation) ref.Val { return a.query() },
		},
		{
			name: nameHeaders, kind: cel.MapType(cel.StringType, cel.StringType), size: worstItems, item: worstItem,
			doc:  "The header fields as the client sent them, by name in lower case, and with `-` for any other separator (`X_Tenant` counts as `x-tenant`, as some applications take it); several lines of one name are joined by `, `. Anybody can send anything. Credentials (`cookie`, `authorization`, `proxy-authorization`, `x-api-key`) are never there.",
			read: func(a *activation) ref.Val { return a.headers() },
		},
		text("identity.issuer", "Who vouches for the user: the `iss` of a provider or token.", worstText, func(in *Input) string { return in.Identity.Issuer }),
		text("identity.subject", "The user, unique together with the issuer.", worstText, func(in *Input) string { return in.Identity.Subject }),
		text("identity.email", "The e-mail address in lower case, or `\"\"` where the provider has not verified it.", 320, verifiedEmail),
		text("identity.name", "The name for people. Users can often change it.", worstText, func(in *Input) string { return in.Identity.Name }),
		text("identity.preferred_username", "The user name for people. Users can often change it.", worstText, func(in *Input) string { return in.Identity.PreferredUsername }),
		list("identity.groups", "The groups.", worstGroups, func(in *Input) []string { return in.Identity.Groups }),
		list("identity.scopes", "The scopes of a token: the words of its `scope` or, without one, of `scp`, which may be a list. A session has none, unless its claims say so.", worstItems, func(in *Input) []string { return scopes(in.Identity.Claims) }),
		{
			name: nameClaims, kind: cel.MapType(cel.StringType, cel.DynType), size: worstItems, item: worstItem,
			doc: "All claims, by name. Asking for one that is not there is an error; `has(identity.claims.x)` and `identity.claims.?x.orValue(\"\")` are not. `email` is not there unless it is verified.",
			read: func(a *activation) ref.Val {
				return claimsValue{claims: a.in.Identity.Claims, verified: a.in.Identity.EmailVerified}
			},
		},
		text("identity.acr", "The authentication context class of the sign-in, or `\"\"`.", worstText, func(in *Input) string { return in.Identity.ACR }),
		list("identity.amr", "How the user proved himself (RFC 8176).", worstItems, func(in *Input) []string { return in.Identity.AMR }),
		{
			name: "identity.auth_time", kind: cel.TimestampType,
			doc:  "When the user last proved himself; 1970 where that is not known.",
			read: func(a *activation) ref.Val { return timestamp(a.in.Identity.AuthTime) },
		},
		text("identity.provider", "The name of the login provider, or of what else proved the user.", worstText, func(in *Input) string { return in.Identity.Provider }),
		text("identity.credential", "The kind of credential that came with the request: `session`, `bearer`, `introspection`, `api_key`, `basic` or `client_cert`.", 32, func(in *Input) string { return in.Identity.Credential }),
		text("client.address", "The address of the client as far as trusted proxies tell, or `\"\"`. `cidr('10.0.0.0/8').containsIP(client.address)` looks for its network.", 64, clientAddress),
		text("route.name", "The name of the route.", worstText, func(in *Input) string { return in.Route }),
		{name: "now", kind: cel.TimestampType, doc: "The time of the decision.", read: func(a *activation) ref.Val { return timestamp(a.in.Now) }},
	}
}

func verifiedEmail(in *Input) string { return in.Identity.VerifiedEmail() }

func clientAddress(in *Input) string { return in.Client.String() }
