package gateway_test

import (
	"bytes"
	"encoding"
	"encoding/json"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/openapi3gen"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"

	"github.com/sallyport/sallyport/gateway/admin"
)

var update = flag.Bool("update", false, "write the kept files anew")

// describe makes the description of the operators' API from its endpoints.
func describe(t *testing.T, endpoints []admin.Endpoint) *openapi3.T {
	t.Helper()
	doc := &openapi3.T{
		OpenAPI: "3.0.3",
		Info: &openapi3.Info{
			Title: "Sallyport: the operators' API", Version: "v1",
			Description: "On the admin listener alone. What it refuses is told as problem+json (RFC 9457).",
		},
		Servers:  openapi3.Servers{{URL: "/api/v1"}},
		Paths:    openapi3.NewPaths(),
		Security: openapi3.SecurityRequirements{{"token": {}}},
		Components: &openapi3.Components{
			Schemas: openapi3.Schemas{},
			SecuritySchemes: openapi3.SecuritySchemes{"token": {Value: &openapi3.SecurityScheme{
				Type: "http", Scheme: "bearer",
				Description: "The token of admin.token_file; a client certificate of admin.tls.client_ca_file is as good.",
			}}},
		},
	}
	given := map[reflect.Type]bool{}
	for _, e := range endpoints {
		given[reflect.TypeOf(e.Gives)] = true
	}
	for _, e := range endpoints {
		op := &openapi3.Operation{Summary: e.Summary, Responses: openapi3.NewResponses()}
		for _, m := range regexp.MustCompile(`\{([a-z_]+)\}`).FindAllStringSubmatch(e.Path, -1) {
			op.AddParameter(openapi3.NewPathParameter(m[1]).WithSchema(openapi3.NewStringSchema()))
		}
		for _, q := range e.Query {
			op.AddParameter(openapi3.NewQueryParameter(q.Name).WithDescription(q.Summary).WithSchema(openapi3.NewStringSchema()))
		}
		if e.Takes != nil {
			op.RequestBody = &openapi3.RequestBodyRef{Value: openapi3.NewRequestBody().WithRequired(true).
				WithContent(openapi3.NewContentWithJSONSchemaRef(schemaOf(t, doc, e.Takes, false, given[reflect.TypeOf(e.Takes)])))}
		}
		status := e.Status
		if status == 0 {
			status = http.StatusOK
		}
		answer := openapi3.NewResponse().WithDescription(http.StatusText(status))
		if e.Gives != nil {
			answer.Content = openapi3.NewContentWithJSONSchemaRef(schemaOf(t, doc, e.Gives, true, false))
		}
		op.Responses = openapi3.NewResponses(
			openapi3.WithStatus(status, &openapi3.ResponseRef{Value: answer}),
			openapi3.WithName("default", openapi3.NewResponse().WithDescription("A problem (RFC 9457).").
				WithContent(openapi3.NewContentWithSchemaRef(&openapi3.SchemaRef{Ref: "#/components/schemas/Problem", Value: problemSchema()}, []string{"application/problem+json"}))),
		)
		doc.AddOperation(e.Path, e.Method, op)
	}
	// What is a text in JSON is referred to, and left out of the components.
	doc.Components.Schemas["NetipAddr"] = openapi3.NewSchemaRef("", openapi3.NewStringSchema())
	doc.Components.Schemas["RotateSealing"] = openapi3.NewSchemaRef("", openapi3.NewObjectSchema()) // likewise: it is {}
	doc.Components.Schemas["Problem"] = &openapi3.SchemaRef{Value: problemSchema()}
	return doc
}

func problemSchema() *openapi3.Schema {
	s := openapi3.NewObjectSchema().
		WithProperty("type", openapi3.NewStringSchema()).WithProperty("title", openapi3.NewStringSchema()).
		WithProperty("status", openapi3.NewIntegerSchema()).WithProperty("detail", openapi3.NewStringSchema()).
		WithProperty("reason", openapi3.NewStringSchema()).WithProperty("request_id", openapi3.NewStringSchema())
	s.Required = []string{"type", "title", "status", "reason"}
	return s
}

// schemaOf describes a Go type as JSON has it. Of answers it says which members are
// always there; there are no others, of requests neither. asRequest keeps a type apart
// that is also given.
func schemaOf(t *testing.T, doc *openapi3.T, zero any, answer, asRequest bool) *openapi3.SchemaRef {
	t.Helper()
	text, stamp := reflect.TypeFor[encoding.TextMarshaler](), reflect.TypeFor[time.Time]()
	ref, err := openapi3gen.NewSchemaRefForValue(zero, doc.Components.Schemas,
		openapi3gen.CreateComponentSchemas(openapi3gen.ExportComponentSchemasOptions{ExportComponentSchemas: true, ExportTopLevelSchema: true}),
		openapi3gen.CreateTypeNameGenerator(func(kind reflect.Type) string {
			name, pkg := kind.Name(), path.Base(kind.PkgPath())
			name = strings.ToUpper(name[:1]) + name[1:]
			if pkg != "admin" {
				name = strings.ToUpper(pkg[:1]) + pkg[1:] + name
			}
			if asRequest {
				name += "Request"
			}
			return name
		}),
		openapi3gen.SchemaCustomizer(func(_ string, kind reflect.Type, _ reflect.StructTag, schema *openapi3.Schema) error {
			switch {
			case kind == stamp:
			case kind.Implements(text):
				*schema = *openapi3.NewStringSchema()
			case kind.Kind() == reflect.Struct:
				schema.Required = nil
				if answer {
					schema.Required = always(kind)
				}
				no := false
				schema.AdditionalProperties = openapi3.AdditionalProperties{Has: &no}
			case kind.Kind() == reflect.Slice, kind.Kind() == reflect.Map, kind.Kind() == reflect.Pointer:
				schema.Nullable = true
			case kind.Kind() == reflect.Uint64, kind.Kind() == reflect.Int64:
				schema.Min, schema.Max = nil, nil
			}
			return nil
		}))
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

// always are the members that encoding/json never leaves out.
func always(kind reflect.Type) []string {
	var names []string
	for f := range kind.Fields() {
		tag := f.Tag.Get("json")
		name, rest, _ := strings.Cut(tag, ",")
		switch {
		case f.Anonymous && tag == "":
			names = append(names, always(f.Type)...)
		case !f.IsExported() || tag == "-" || strings.Contains(rest, "omit"):
		case name == "":
			names = append(names, f.Name)
		default:
			names = append(names, name)
		}
	}
	return names
}

// calls are requests that every endpoint answers well, by method and path. {SESSION}
// and the like are filled in; what begins with ! is refused.
func calls() map[string][]string {
	return map[string][]string{
		"GET /sessions":             {"", "?subject=alice&limit=1"},
		"GET /sessions/{id}":        {""},
		"DELETE /sessions/{id}":     {""},
		"POST /sessions/revoke":     {`{"issuer": "urn:sallyport:dev", "subject": "mallory"}`},
		"GET /events":               {"", "?kind=login"},
		"GET /stats":                {""},
		"GET /routes":               {""},
		"GET /policies":             {""},
		"GET /providers":            {""},
		"GET /issuers":              {""},
		"GET /upstreams":            {""},
		"GET /shield":               {""},
		"GET /keys":                 {""},
		"POST /keys/rotate":         {`{"now": false}`},
		"GET /tokens/revocations":   {""},
		"POST /tokens/revocations":  {`{"issuer": "https://op1.test", "jti": "j1"}`},
		"POST /tokens/mint":         {`{"subject": "alice"}`},
		"GET /apikeys":              {""},
		"POST /apikeys":             {`{"name": "ci", "subject": "robot"}`},
		"DELETE /apikeys/{id}":      {""},
		"POST /explain":             {`{"method": "GET", "url": "/admin/", "session": "SESSION"}`},
		"GET /decisions/{name}":     {""},
		"GET /openapi.json":         {""},
		"POST /keys/signing/rotate": {`{"now": false}`},
		"POST /keys/sealing/rotate": {`{}`},
		"POST /keys/signing/retire": {`!{"key": "none", "force": false}`},
		"POST /keys/sealing/retire": {`!{"key": "none", "force": false}`},
		"GET /reload":               {""},
		"POST /reload":              {`!`},
		"GET /locks":                {""},
		"POST /locks":               {`{"subject": "nobody", "issuer": "urn:sallyport:dev", "reason": "a test"}`},
		"DELETE /locks/{id}":        {""},
	}
}

// TestTheDescriptionOfTheOperatorsAPIIsTrue: it is made from the endpoints, and each of
// them takes and answers what it says.
func TestTheDescriptionOfTheOperatorsAPIIsTrue(t *testing.T) {
	s := newSite(t, plan{
		adminToken: adminToken(t),
		routes:     "\n  - {name: keyed, paths: [/keyed/], upstream: \"$UP\", auth: [api_key], policy: authenticated}",
	})
	endpoints := s.gw.Endpoints()
	doc := describe(t, endpoints)
	text, err := json.MarshalIndent(doc, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, '\n')
	for _, file := range []string{"admin/openapi.json", "../docs/openapi.json"} {
		if *update {
			if err := os.WriteFile(file, text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if kept, err := os.ReadFile(file); err != nil || !bytes.Equal(kept, text) {
			t.Errorf("%s is not what the endpoints are (%v): go test ./gateway -run %s -update", file, err, t.Name())
		}
	}
	loaded, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		t.Fatal(err)
	}
	if err := loaded.Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
	router, err := legacy.NewRouter(loaded)
	if err != nil {
		t.Fatal(err)
	}

	s.denied(t, s.as(t, "alice", "/admin/"), http.StatusForbidden)
	s.as(t, "mallory", "/")
	values := map[string]string{"{name}": s.logged(t, "alice", "/admin/")["decision"].(string), "{id}": s.sessionOf(t, "alice")}
	values["SESSION"] = values["{id}"]
	known := calls()
	// What ends something comes last.
	slices.SortStableFunc(endpoints, func(a, b admin.Endpoint) int {
		return strings.Compare(strconv.FormatBool(a.Method == http.MethodDelete), strconv.FormatBool(b.Method == http.MethodDelete))
	})
	for _, e := range endpoints {
		name := e.Method + " " + e.Path
		if len(e.Summary) < 10 || !strings.HasSuffix(e.Summary, ".") {
			t.Errorf("%s says of itself %q", name, e.Summary)
		}
		for _, q := range e.Query {
			if q.Summary == "" {
				t.Errorf("%s says nothing of %s", name, q.Name)
			}
		}
		requests, ok := known[name]
		if !ok {
			t.Errorf("%s: write a request into calls", name)
		}
		for _, in := range requests {
			target := "/api/v1" + e.Path
			if strings.HasPrefix(in, "?") {
				target += in
				in = ""
			}
			for from, to := range values {
				target, in = strings.ReplaceAll(target, from, to), strings.ReplaceAll(in, from, to)
			}
			answer := s.conforms(t, router, name, e.Method, target, in)
			made := regexp.MustCompile(`"id":"([A-Za-z0-9_-]+)"`).FindStringSubmatch(answer)
			if remove := "DELETE " + e.Path + "/{id}"; e.Method == http.MethodPost && made != nil && known[remove] != nil {
				known[remove] = []string{"#" + made[1]}
			}
		}
	}
}

// conforms asks the API, and holds the request and the answer against the description.
func (s *site) conforms(t *testing.T, router routers.Router, name, method, target, in string) string {
	t.Helper()
	if id, ok := strings.CutPrefix(in, "#"); ok {
		target, in = path.Dir(target)+"/"+id, ""
	}
	in, refused := strings.CutPrefix(in, "!")
	request := func() *http.Request {
		r := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(in))
		r.Header.Set("Authorization", "Bearer operator")
		r.Header.Set("Content-Type", "application/json")
		return r
	}
	r := request()
	found, params, err := router.FindRoute(r)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return ""
	}
	input := &openapi3filter.RequestValidationInput{
		Request: r, PathParams: params, Route: found,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true},
	}
	if err := openapi3filter.ValidateRequest(t.Context(), input); err != nil {
		t.Errorf("%s: the request is not as described: %v", name, err)
	}
	w := httptest.NewRecorder()
	s.gw.AdminHandler().ServeHTTP(w, request())
	if (w.Code >= http.StatusBadRequest) != refused {
		t.Errorf("%s: %d %s", name, w.Code, w.Body)
	}
	output := &openapi3filter.ResponseValidationInput{RequestValidationInput: input, Status: w.Code, Header: w.Header(), Options: input.Options}
	output.SetBodyBytes(w.Body.Bytes())
	if err := openapi3filter.ValidateResponse(t.Context(), output); err != nil {
		t.Errorf("%s: the answer is not as described: %v\n%.600s", name, err, w.Body)
	}
	// What is refused is described as well.
	bad := httptest.NewRecorder()
	anonymous := request()
	anonymous.Header.Del("Authorization")
	s.gw.AdminHandler().ServeHTTP(bad, anonymous)
	output = &openapi3filter.ResponseValidationInput{RequestValidationInput: input, Status: bad.Code, Header: bad.Header(), Options: input.Options}
	output.SetBodyBytes(bad.Body.Bytes())
	if err := openapi3filter.ValidateResponse(t.Context(), output); err != nil || bad.Code != http.StatusUnauthorized {
		t.Errorf("%s: without a token: %d %v", name, bad.Code, err)
	}
	return w.Body.String()
}
