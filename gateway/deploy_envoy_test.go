package gateway_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/stream/v3"
	authzv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/frontend"
	"github.com/sallyport/sallyport/gateway/headers"
)

// envoyFile is a configuration of deploy/envoy, decoded by the types of Envoy's API.
type envoyFile struct {
	name      string
	bootstrap *bootstrapv3.Bootstrap
	manager   *hcmv3.HttpConnectionManager
	authz     *authzv3.ExtAuthz
}

func readEnvoyFile(t *testing.T, name string) *envoyFile {
	t.Helper()
	text, err := os.ReadFile("../deploy/envoy/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var tree any
	if err := yaml.Unmarshal(text, &tree); err != nil {
		t.Fatal(err)
	}
	asJSON, err := json.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	f := &envoyFile{name: name, bootstrap: &bootstrapv3.Bootstrap{}}
	if err := protojson.Unmarshal(asJSON, f.bootstrap); err != nil { // refuses what is not known
		t.Fatalf("%s: %v", name, err)
	}
	f.take(t, f.bootstrap.ProtoReflect())
	if f.manager == nil || f.authz == nil {
		t.Fatalf("%s asks nobody", name)
	}
	return f
}

// take validates a message and all that it holds, and keeps what the tests look at.
func (f *envoyFile) take(t *testing.T, m protoreflect.Message) {
	t.Helper()
	switch v := m.Interface().(type) {
	case *anypb.Any:
		inner, err := v.UnmarshalNew()
		if err != nil {
			t.Fatalf("%s: %v", f.name, err)
		}
		f.take(t, inner.ProtoReflect())
		return
	case *hcmv3.HttpConnectionManager:
		f.manager = v
	case *authzv3.ExtAuthz:
		f.authz = v
	}
	if v, ok := m.Interface().(interface{ ValidateAll() error }); ok {
		if err := v.ValidateAll(); err != nil {
			t.Errorf("%s: %v", f.name, err)
		}
	}
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case fd.IsMap() && fd.MapValue().Message() != nil:
			v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool { f.take(t, v.Message()); return true })
		case fd.IsList() && fd.Message() != nil:
			for i := range v.List().Len() {
				f.take(t, v.List().Get(i).Message())
			}
		case !fd.IsMap() && fd.Message() != nil:
			f.take(t, v.Message())
		}
		return true
	})
}

// route finds the route of a path, as Envoy does.
func (f *envoyFile) route(t *testing.T, path string) *routev3.Route {
	t.Helper()
	for _, r := range f.manager.GetRouteConfig().GetVirtualHosts()[0].GetRoutes() {
		if strings.HasPrefix(path, r.GetMatch().GetPrefix()) {
			return r
		}
	}
	t.Fatalf("%s: %s goes nowhere", f.name, path)
	return nil
}

// asks reports whether the filter is on for a route.
func asks(t *testing.T, r *routev3.Route) bool {
	t.Helper()
	settings, there := r.GetTypedPerFilterConfig()["envoy.filters.http.ext_authz"]
	if !there {
		return true
	}
	var per authzv3.ExtAuthzPerRoute
	if err := settings.UnmarshalTo(&per); err != nil {
		t.Fatal(err)
	}
	return !per.GetDisabled()
}

func matches(list *matcherv3.ListStringMatcher, name string) bool {
	return slices.ContainsFunc(list.GetPatterns(), func(m *matcherv3.StringMatcher) bool {
		switch p := m.GetMatchPattern().(type) {
		case *matcherv3.StringMatcher_Exact:
			return p.Exact == name
		case *matcherv3.StringMatcher_Prefix:
			return strings.HasPrefix(name, p.Prefix)
		case *matcherv3.StringMatcher_SafeRegex:
			return regexp.MustCompile("^(?:" + p.SafeRegex.GetRegex() + ")$").MatchString(name) // the whole of it, by the same RE2
		}
		return false
	})
}

func TestEnvoyFilesAreClosedAndComplete(t *testing.T) {
	for _, name := range []string{"envoy.yaml", "envoy-http.yaml"} {
		f := readEnvoyFile(t, name)
		filters := f.manager.GetHttpFilters()
		if len(filters) != 2 || filters[0].GetName() != "envoy.filters.http.ext_authz" || filters[0].GetIsOptional() || filters[0].GetDisabled() {
			t.Errorf("%s: the filters are %v", name, filters)
		}
		if a := f.authz; a.GetFailureModeAllow() || a.GetShadowMode() || a.GetFilterEnabled() != nil || a.GetFilterEnabledMetadata() != nil || a.GetWithRequestBody() != nil || a.GetStatusOnError().GetCode() < 500 {
			t.Errorf("%s: it is not closed: %v", name, a)
		}
		if !f.manager.GetUseRemoteAddress().GetValue() || !f.manager.GetNormalizePath().GetValue() || f.manager.GetXffNumTrustedHops() != 0 {
			t.Errorf("%s: a client can say where it comes from, or ask for a path of two readings", name)
		}
		if f.manager.GetUpgradeConfigs()[0].GetUpgradeType() != "websocket" {
			t.Errorf("%s: WebSockets don't pass", name)
		}
		for path, want := range map[string]struct {
			cluster string
			asks    bool
		}{
			"/":                         {"app", true},
			"/.auth":                    {"app", true},
			"/.authors/x":               {"app", true},
			"/.auth/login":              {"sallyport", false},
			"/.auth/callback/corp":      {"sallyport", false},
			"/.auth/check/envoy/public": {"", false},
			"/.auth/check":              {"", false},
		} {
			if r := f.route(t, path); r.GetRoute().GetCluster() != want.cluster || asks(t, r) != want.asks {
				t.Errorf("%s: %s goes to %q, asked about: %v", name, path, r.GetRoute().GetCluster(), asks(t, r))
			}
		}
		clusters := map[string]bool{}
		for _, c := range f.bootstrap.GetStaticResources().GetClusters() {
			clusters[c.GetName()] = true
		}
		for _, asked := range []string{"app", "sallyport", f.authz.GetGrpcService().GetEnvoyGrpc().GetClusterName(), f.authz.GetHttpService().GetServerUri().GetCluster()} {
			if asked != "" && !clusters[asked] {
				t.Errorf("%s: there is no cluster %q", name, asked)
			}
		}
	}
	// By gRPC, Sallyport must see every header to have it removed.
	if a := readEnvoyFile(t, "envoy.yaml").authz; a.GetAllowedHeaders() != nil || a.GetDisallowedHeaders() != nil {
		t.Errorf("headers are kept from Sallyport: %v", a)
	}
}

// TestEnvoyFileKnowsTheIdentityHeaders: by HTTP, Envoy replaces what it is told to
// replace, and Sallyport has removed what it was shown.
func TestEnvoyFileKnowsTheIdentityHeaders(t *testing.T) {
	f := readEnvoyFile(t, "envoy-http.yaml")
	set, err := headers.Compile(nil, headers.Options{})
	if err != nil {
		t.Fatal(err)
	}
	copied := f.authz.GetHttpService().GetAuthorizationResponse().GetAllowedUpstreamHeaders()
	for _, name := range frontend.NewPasses(set.Names()).Names() {
		lower := strings.ToLower(name)
		if !matches(copied, lower) {
			t.Errorf("the client's %s stays", name)
		}
		if lower == "authorization" { // Envoy sends it without being told
			continue
		}
		shown := []string{lower}
		if lower != "cookie" {
			shown = append(shown, strings.ReplaceAll(lower, "-", "."), strings.ReplaceAll(lower, "-", ""))
		}
		for _, spelling := range shown {
			if !matches(f.authz.GetAllowedHeaders(), spelling) {
				t.Errorf("Sallyport does not see %s", spelling)
			}
		}
	}
	if got := f.manager.GetCommonHttpProtocolOptions().GetHeadersWithUnderscoresAction().String(); got != "REJECT_REQUEST" {
		t.Errorf("X_Forwarded_User passes: %s", got)
	}
	for _, name := range []string{"content-type", "content-length", "location", "set-cookie", "cache-control", "x-request-id", "host", "x-forwarded-for", "x-forwarded-proto"} {
		if matches(copied, name) {
			t.Errorf("%s of a check would come to the application", name)
		}
	}
	for _, name := range []string{
		"accept", "x-forwarded-proto", "x-forwarded-for", "sec-fetch-mode", "sec-fetch-dest", "sec-fetch-site", "sec-purpose", "sec-websocket-key", "origin",
		"x-requested-with", "access-control-request-method", "x-http-method-override", "x-method-override", "remote-user", "x-remote-user", "sallyport-assertion",
	} {
		if !matches(f.authz.GetAllowedHeaders(), name) {
			t.Errorf("Sallyport decides without %s", name)
		}
	}
}

// TestEnvoyFilesAndTheGatewayFitTogether runs the gateway of deploy/envoy, and asks it
// as Envoy does that runs the other files.
func TestEnvoyFilesAndTheGatewayFitTogether(t *testing.T) {
	cfg, err := config.Load("../deploy/envoy/config.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	byGRPC, byHTTP := readEnvoyFile(t, "envoy.yaml"), readEnvoyFile(t, "envoy-http.yaml")
	listens := map[string]string{"sallyport": cfg.Server.Listen, "sallyport_grpc": cfg.ExtAuthz.Listen}
	for _, f := range []*envoyFile{byGRPC, byHTTP} {
		if at := address(f.bootstrap.GetStaticResources().GetListeners()[0].GetAddress()); !strings.HasSuffix(at, ":"+cfg.Server.URL().Port()) {
			t.Errorf("%s listens on %s, and browsers go to %s", f.name, at, cfg.Server.PublicURL)
		}
		for _, c := range f.bootstrap.GetStaticResources().GetClusters() {
			if want, is := listens[c.GetName()]; is && address(c.GetLoadAssignment().GetEndpoints()[0].GetLbEndpoints()[0].GetEndpoint().GetAddress()) != want {
				t.Errorf("%s: the cluster %s is not at %s", f.name, c.GetName(), want)
			}
		}
	}
	cfg.Server.Listen, cfg.ExtAuthz.Listen, cfg.Admin.Listen, cfg.Session.Embedded.Path = "127.0.0.1:0", "127.0.0.1:0", "", ""
	s := &site{sessions: map[string]string{}}
	s.start(t, cfg)
	e := &envoy{site: s, conn: s.connect(t)}
	e.client = authv3.NewAuthorizationClient(e.conn)
	browser := []string{"Accept: text/html", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"}
	spoofed := []string{"X-Forwarded-User: root", "X-Auth-Request-Groups: admin", "x.forwarded.user: root"}
	for what, c := range map[string]struct {
		about
		status int
		sends  map[string]string
	}{
		"a person":               {about{target: "/x?y=1", lines: browser}, 302, nil},
		"a program":              {about{target: "/x"}, 401, nil},
		"alice":                  {about{user: "alice", target: "/staff/x", lines: spoofed}, 200, map[string]string{"x-forwarded-user": "alice", "x-auth-request-groups": "staff"}},
		"bob":                    {about{user: "bob", target: "/staff/x"}, 403, nil},
		"a public route":         {about{target: "/assets/x", lines: spoofed}, 200, map[string]string{"x-forwarded-user": "", "x-auth-request-groups": ""}},
		"a WebSocket of another": {about{user: "alice", target: "/ws", lines: []string{"Upgrade: websocket", "Sec-WebSocket-Key: x", "Origin: https://evil.test"}}, 403, nil},
	} {
		asked := e.asking(t, c.about)
		out := e.check(t, unmerged(proto.CloneOf(asked)))
		answers := map[string]answer{"gRPC": answered(out), "HTTP": byHTTP.checked(t, s, asked.GetAttributes().GetRequest().GetHttp().GetHeaders())}
		for way, got := range answers {
			if got.StatusCode != c.status {
				t.Errorf("%s, by %s: %d %s", what, way, got.StatusCode, got.text)
			}
			if c.status == 302 && got.Header.Get("Location") != "http://localhost:10000/.auth/login?return_to=%2Fx%3Fy%3D1" {
				t.Errorf("%s, by %s: he is sent to %q", what, way, got.Header.Get("Location"))
			}
			for name, want := range c.sends {
				if got.Header.Get(name) != want {
					t.Errorf("%s, by %s: the application gets %s: %q, want %q", what, way, name, got.Header.Get(name), want)
				}
			}
			if _, removed := got.Header["X.forwarded.user"]; len(c.sends) > 0 && !removed {
				t.Errorf("%s, by %s: another spelling stays: %v", what, way, got.Header)
			}
		}
	}
}

// checked asks by HTTP, as the file says: the headers that are allowed, the prefix
// before the path, and nothing of the body. Of a yes, the header is what becomes of
// the client's.
func (f *envoyFile) checked(t *testing.T, s *site, sent map[string]string) answer {
	t.Helper()
	lines := []string{"Host: " + sent[":authority"], "Content-Length: 0", "Connection: close"}
	for name, value := range sent {
		if name[0] != ':' && (name == "authorization" || matches(f.authz.GetAllowedHeaders(), name)) {
			lines = append(lines, name+": "+value)
		}
	}
	a := s.raw(t, s.request(sent[":method"], f.authz.GetHttpService().GetPathPrefix()+sent[":path"], lines...))
	if a.StatusCode != http.StatusOK { // the one status that is a yes
		return a
	}
	changed := http.Header{}
	for name, values := range a.Header {
		if matches(f.authz.GetHttpService().GetAuthorizationResponse().GetAllowedUpstreamHeaders(), strings.ToLower(name)) {
			changed[name] = values
		}
	}
	for name := range strings.SplitSeq(a.Header.Get("X-Envoy-Auth-Headers-To-Remove"), ",") {
		changed[http.CanonicalHeaderKey(strings.TrimSpace(name))] = []string{""}
	}
	a.Header = changed
	return a
}

func address(a *corev3.Address) string {
	return fmt.Sprintf("%s:%d", a.GetSocketAddress().GetAddress(), a.GetSocketAddress().GetPortValue())
}
