package config_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/config"
)

// generateSchema makes a JSON Schema from the types of the configuration: its keys,
// the comments beside them, the defaults, and the closed lists of values.
func generateSchema(t *testing.T) []byte {
	t.Helper()
	g := &generator{comments: commentsOf(t), defaults: map[string]any{}, lists: closedLists()}
	g.defaultsOf(reflect.ValueOf(*config.Default()), "")
	schema := g.section(reflect.TypeFor[config.Config](), "")
	schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	schema["title"] = "Sallyport"
	schema["description"] = "The configuration of Sallyport, an authentication gateway."
	data, err := json.MarshalIndent(schema, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(data, '\n')
}

type generator struct {
	comments map[string]string // by Type.Field, and by Type
	defaults map[string]any    // by path
	lists    map[string]closedList
}

// closedList are the values that a key can have, and a configuration that has VALUE
// there.
type closedList struct {
	values []string
	file   string
}

func closedLists() map[string]closedList {
	const provider, route = "login: {providers: [{name: corp, type: oidc, issuer: https://id.example.com, client_id: a, KEY}]}\n", "routes: [{name: app, upstream: builtin:echo, public: true, KEY}]\n"
	at := func(in, key string) string { return strings.ReplaceAll(in, "KEY", key) }
	levels := []string{"off", "report", "enforce"}
	algorithms := []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "HS256", "HS384", "HS512"}
	return map[string]closedList{
		"server.tls.min_version":              {[]string{"1.2", "1.3"}, "server: {tls: {min_version: VALUE}}"},
		"server.tls.client_subject":           {[]string{"cn", "dn", "uri", "dns", "email"}, "server: {tls: {client_subject: VALUE}}"},
		"session.store":                       {[]string{"embedded", "valkey"}, "session: {store: VALUE}"},
		"session.when_full":                   {[]string{"oldest_out", "refuse"}, "session: {when_full: VALUE}"},
		"session.cookie.same_site":            {[]string{"lax", "strict", "none"}, "session: {cookie: {same_site: VALUE}}"},
		"assertions.algorithm":                {[]string{"ES256", "EdDSA"}, "assertions: {algorithm: VALUE}"},
		"forward_auth.enabled[]":              {[]string{"nginx", "traefik", "caddy", "haproxy", "envoy"}, "forward_auth: {enabled: [VALUE]}"},
		"log.level":                           {[]string{"debug", "info", "warn", "error"}, "log: {level: VALUE}"},
		"log.format":                          {[]string{"json", "console"}, "log: {format: VALUE}"},
		"audit.output":                        {[]string{"log", "stdout", "file", "syslog"}, "audit: {output: VALUE}"},
		"audit.pii":                           {[]string{"full", "hash", "none"}, "audit: {output: stdout, pii: VALUE}"},
		"tracing.protocol":                    {[]string{"http", "grpc"}, "tracing: {endpoint: 'http://127.0.0.1:4318', protocol: VALUE}"},
		"login.providers[].type":              {[]string{"oidc", "oauth2", "github", "gitlab", "google", "microsoft", "kakao", "naver", "dev", "users"}, "login: {providers: [{name: a, type: VALUE}]}"},
		"login.providers[].client_auth":       {[]string{"none", "client_secret_basic", "client_secret_post", "private_key_jwt"}, at(provider, "client_auth: VALUE")},
		"tokens.introspection[].client_auth":  {[]string{"client_secret_basic", "client_secret_post", "private_key_jwt"}, "tokens: {introspection: [{name: a, endpoint: https://a.example.com, client_id: a, client_auth: VALUE}]}"},
		"tokens.issuers[].algorithms[]":       {algorithms, "tokens: {issuers: [{issuer: https://a.example.com, audiences: [a], algorithms: [VALUE]}]}"},
		"policies[].mode":                     {[]string{"enforce", "shadow"}, "policies: [{name: a, mode: VALUE, rules: [{allow: {groups: [a]}}]}]"},
		"policies[].rules[].mode":             {[]string{"enforce", "shadow"}, "policies: [{name: a, rules: [{mode: VALUE, allow: {groups: [a]}}]}]"},
		"routes[].auth[]":                     {[]string{"session", "bearer", "introspection", "api_key", "basic", "client_cert"}, "routes: [{name: app, upstream: builtin:echo, auth: [VALUE], policy: authenticated}]"},
		"routes[].balance.method":             {[]string{"round_robin", "least_loaded"}, at(route, "balance: {method: VALUE}")},
		"routes[].shield.mode":                {levels, at(route, "shield: {mode: VALUE}")},
		"routes[].shield.same_site":           {[]string{"lax", "strict"}, at(route, "shield: {same_site: VALUE}")},
		"routes[].shield.cookies[].same_site": {[]string{"lax", "strict", "none"}, at(route, "shield: {cookies: [{name: a, same_site: VALUE}]}")},
		"routes[].shield.referrer_policy":     {append([]string{"no-referrer", "no-referrer-when-downgrade", "origin", "origin-when-cross-origin", "same-origin", "strict-origin"}, "strict-origin-when-cross-origin", "unsafe-url"), at(route, "shield: {referrer_policy: VALUE}")},
		"routes[].cross_site.mode":            {levels, at(route, "cross_site: {mode: VALUE}")},
		"routes[].cross_site.websocket":       {levels, at(route, "cross_site: {websocket: VALUE}")},
		"routes[].headers[].encoding":         {[]string{"percent", "utf8", "base64", "rfc2047", "json"}, at(strings.ReplaceAll(route, "public: true", "policy: authenticated"), "headers: [{name: X-A, claim: sub, encoding: VALUE}]")},
	}
}

// required are the keys without which an entry of a list is nothing.
func required(path string) []any {
	switch path {
	case "login.providers[]":
		return []any{"name", "type"}
	case "routes[]", "policies[]", "tokens.introspection[]":
		return []any{"name"}
	case "tokens.issuers[]":
		return []any{"issuer"}
	case "lint.ignore[]":
		return []any{"code", "reason"}
	}
	return nil
}

func (g *generator) section(kind reflect.Type, path string) map[string]any {
	keys := map[string]any{}
	g.keys(keys, kind, path)
	schema := map[string]any{"type": "object", "additionalProperties": false, "properties": keys}
	if names := required(path); names != nil {
		schema["required"] = names
	}
	return schema
}

func (g *generator) keys(keys map[string]any, kind reflect.Type, path string) {
	for f := range kind.Fields() {
		name, ok := f.Tag.Lookup("mapstructure")
		if name == ",squash" {
			g.keys(keys, f.Type, path)
			continue
		}
		if !ok {
			continue
		}
		at := strings.TrimPrefix(path+"."+name, ".")
		schema := g.value(f.Type, at, f.Tag.Get("unit") == "bytes")
		// What a key has no comment for, its type may have.
		comment := g.comments[kind.Name()+"."+f.Name]
		if comment == "" && f.Type.Kind() == reflect.Struct {
			comment = g.comments[f.Type.Name()]
		}
		if comment != "" {
			schema["description"] = comment
		}
		if v, ok := g.defaults[at]; ok {
			schema["default"] = v
		}
		if f.Type.Kind() == reflect.Struct {
			schema["type"] = []any{"object", "null"} // a section whose keys are all switched off
		}
		keys[name] = schema
	}
}

func (g *generator) value(kind reflect.Type, path string, size bool) map[string]any {
	switch {
	case size:
		return map[string]any{"type": []any{"integer", "string"}, "pattern": `^(0|[1-9][0-9]*) *(B|KiB|MiB|GiB)$`}
	case kind == reflect.TypeFor[config.Upstreams]():
		return map[string]any{"type": []any{"string", "array"}, "items": map[string]any{"type": "string"}}
	case kind == reflect.TypeFor[time.Duration]():
		return map[string]any{"type": "string", "pattern": `^(0|([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+)$`}
	}
	switch kind.Kind() {
	case reflect.Pointer:
		return g.value(kind.Elem(), path, false)
	case reflect.Struct:
		return g.section(kind, path)
	case reflect.Slice:
		return map[string]any{"type": "array", "items": g.value(kind.Elem(), path+"[]", false)}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.String:
		schema := map[string]any{"type": "string"}
		if list, ok := g.lists[path]; ok {
			schema["enum"] = list.values
			if path == "routes[].shield.referrer_policy" { // "" adds no such header
				schema["enum"] = append(slices.Clone(list.values), "")
			}
		}
		return schema
	default:
		return map[string]any{"type": "integer"}
	}
}

// defaultsOf collects the values that an empty file has.
func (g *generator) defaultsOf(section reflect.Value, path string) {
	for i := range section.NumField() {
		name, ok := section.Type().Field(i).Tag.Lookup("mapstructure")
		if !ok {
			continue
		}
		at, v := strings.TrimPrefix(path+"."+name, "."), section.Field(i)
		switch d, isDuration := reflect.TypeAssert[time.Duration](v); {
		case v.Kind() == reflect.Struct:
			g.defaultsOf(v, at)
		case v.IsZero():
		case isDuration:
			g.defaults[at] = shortDuration(d)
		default:
			g.defaults[at] = v.Interface()
		}
	}
}

func shortDuration(d time.Duration) string {
	s := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(s, zero) {
			s = s[:len(s)-2]
		}
	}
	return s
}

// commentsOf reads the comments of the package's types and their fields. What they
// call by the name of a Go field is called by its key.
func commentsOf(t *testing.T) map[string]string {
	t.Helper()
	comments, keys := map[string]string{}, []string{"see ParseListen", "host:port, unix:///path?mode=0660&group=NAME, or systemd", "see Dialects", "nginx, traefik, caddy, haproxy, envoy"}
	for _, name := range glob(t, "*.go") {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, declaration := range file.Decls {
			types, ok := declaration.(*ast.GenDecl)
			if !ok || types.Tok != token.TYPE {
				continue
			}
			for _, spec := range types.Specs {
				one := spec.(*ast.TypeSpec)
				comments[one.Name.Name] = sentences(types.Doc, one.Name.Name)
				fields, ok := one.Type.(*ast.StructType)
				if !ok {
					continue
				}
				for _, f := range fields.Fields.List {
					for _, n := range f.Names {
						comments[one.Name.Name+"."+n.Name] = strings.TrimSpace(sentences(f.Doc, n.Name) + " " + oneLine(f.Comment))
						if key := keyOf(f); strings.Contains(key, "_") {
							keys = append(keys, n.Name, key)
						}
					}
				}
			}
		}
	}
	named := strings.NewReplacer(keys...)
	for name, text := range comments {
		comments[name] = named.Replace(text)
	}
	return comments
}

func keyOf(f *ast.Field) string {
	if f.Tag == nil {
		return ""
	}
	return reflect.StructTag(strings.Trim(f.Tag.Value, "`")).Get("mapstructure")
}

func oneLine(c *ast.CommentGroup) string { return strings.Join(strings.Fields(c.Text()), " ") }

var says = regexp.MustCompile(`^[a-z]+s? `)

// sentences is a comment above a type or a field, without the name that it begins
// with. A heading of several fields is none.
func sentences(c *ast.CommentGroup, name string) string {
	text := oneLine(c)
	rest, ok := strings.CutPrefix(text, name+" ")
	switch {
	case !strings.HasSuffix(text, "."):
		return ""
	case !ok || !says.MatchString(rest) || strings.HasPrefix(rest, "must "):
		return text
	}
	rest = strings.TrimPrefix(strings.TrimPrefix(rest, "is "), "are ")
	return strings.ToUpper(rest[:1]) + rest[1:]
}
