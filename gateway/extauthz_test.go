package gateway_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// envoy is a site whose test asks by gRPC, as Envoy does.
type envoy struct {
	*site
	conn   *grpc.ClientConn
	client authv3.AuthorizationClient
}

func newEnvoy(t *testing.T, p plan) *envoy {
	t.Helper()
	p.trusted = orDefault(p.trusted, "127.0.0.1")
	p.top += asksByGRPC
	return envoyOf(t, newSite(t, p))
}

// asksByGRPC is the section that lets it ask.
const asksByGRPC = "\next_authz: {listen: '127.0.0.1:0'}\n"

func envoyOf(t *testing.T, s *site) *envoy {
	t.Helper()
	e := &envoy{site: s}
	e.conn = e.connect(t)
	e.client = authv3.NewAuthorizationClient(e.conn)
	return e
}

func (s *site) connect(t *testing.T, options ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	if len(options) == 0 {
		options = []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}
	}
	target := s.gw.ExtAuthzAddr().String()
	if s.gw.ExtAuthzAddr().Network() == "unix" {
		target = "unix:" + target
	}
	conn, err := grpc.NewClient(target, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// asking makes what Envoy sends: keys in lower case, pseudo headers among them,
// several lines of a header joined by commas.
func (e *envoy) asking(t *testing.T, a about) *authv3.CheckRequest {
	t.Helper()
	a.method, a.target = orDefault(a.method, "GET"), orDefault(a.target, "/")
	a.host, a.scheme = orDefault(a.host, e.host), orDefault(a.scheme, "http")
	lines := slices.Clone(a.lines)
	if a.user != "" {
		lines = append(lines, "Cookie: "+e.signIn(t, a.user))
	}
	headers := map[string]string{":authority": a.host, ":method": a.method, ":path": a.target, ":scheme": a.scheme, "x-forwarded-proto": a.scheme}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ":")
		name, value = strings.ToLower(name), strings.TrimSpace(value)
		if before, there := headers[name]; there {
			value = before + "," + value
		}
		headers[name] = value
	}
	return &authv3.CheckRequest{Attributes: &authv3.AttributeContext{
		Source:      &authv3.AttributeContext_Peer{Address: socketAddress("203.0.113.9", 40000)},
		Destination: &authv3.AttributeContext_Peer{Address: socketAddress("10.0.0.2", 10000)},
		Request: &authv3.AttributeContext_Request{
			Time: timestamppb.Now(),
			Http: &authv3.AttributeContext_HttpRequest{
				Id: "1234567890", Method: a.method, Headers: headers, Path: a.target, Host: a.host, Scheme: a.scheme, Protocol: "HTTP/1.1",
			},
		},
		MetadataContext: &corev3.Metadata{}, RouteMetadataContext: &corev3.Metadata{},
	}}
}

func socketAddress(ip string, port uint32) *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address: ip, PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: port},
	}}}
}

// check sends it, and asserts what every answer has to be like.
func (e *envoy) check(t *testing.T, in *authv3.CheckRequest) *authv3.CheckResponse {
	t.Helper()
	out, err := e.client.Check(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	one := func(name string) {
		if name != strings.ToLower(name) || seen[name] {
			t.Errorf("%s is there twice, or in capitals", name)
		}
		seen[name] = true
	}
	headers := out.GetDeniedResponse().GetHeaders()
	if ok := out.GetOkResponse(); ok != nil {
		headers = ok.GetHeaders()
		for _, name := range ok.GetHeadersToRemove() {
			one(name)
		}
		if len(ok.GetResponseHeadersToAdd()) > 0 {
			t.Errorf("a yes tells the client %v", ok.GetResponseHeadersToAdd())
		}
	}
	for _, h := range headers {
		one(h.GetHeader().GetKey())
		// Older releases of Envoy look at append alone, newer ones at the action.
		if h.GetAppend() != nil || h.GetAppendAction() != corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD { //nolint:staticcheck // it must stay unset
			t.Errorf("%s does not replace what the client has sent", h.GetHeader().GetKey())
		}
	}
	if yes := out.GetOkResponse() != nil; yes != (codes.Code(out.GetStatus().GetCode()) == codes.OK) {
		t.Errorf("the status is %v", out.GetStatus())
	}
	return out
}

// answered is what the client gets of a refusal, or what a yes makes of its header:
// what is removed is there, and empty.
func answered(out *authv3.CheckResponse) answer {
	a := answer{Response: &http.Response{StatusCode: http.StatusOK, Header: http.Header{}}}
	headers := out.GetOkResponse().GetHeaders()
	if no := out.GetDeniedResponse(); no != nil {
		a.StatusCode, a.text = int(no.GetStatus().GetCode()), no.GetBody()
		headers = no.GetHeaders()
	}
	for _, h := range headers {
		a.Header.Set(h.GetHeader().GetKey(), h.GetHeader().GetValue())
	}
	for _, name := range out.GetOkResponse().GetHeadersToRemove() {
		a.Header[http.CanonicalHeaderKey(name)] = []string{""}
	}
	return a
}

// got is what comes of it.
func (e *envoy) got(t *testing.T, a about) answer {
	t.Helper()
	return answered(e.check(t, e.asking(t, a)))
}

// behind is the header that the application gets: what the client sent, as Envoy
// changes it after a yes.
func behind(t *testing.T, in *authv3.CheckRequest, out *authv3.CheckResponse) map[string]string {
	t.Helper()
	ok := out.GetOkResponse()
	if ok == nil {
		t.Fatalf("it may not pass: %v", out)
	}
	h := maps.Clone(in.GetAttributes().GetRequest().GetHttp().GetHeaders())
	for _, one := range ok.GetHeaders() {
		h[one.GetHeader().GetKey()] = one.GetHeader().GetValue()
	}
	for _, name := range ok.GetHeadersToRemove() {
		delete(h, name)
	}
	maps.DeleteFunc(h, func(name, _ string) bool { return strings.HasPrefix(name, ":") })
	return h
}

// unmerged changes the header to what encode_raw_headers makes of it.
func unmerged(in *authv3.CheckRequest) *authv3.CheckRequest {
	asked := in.GetAttributes().GetRequest().GetHttp()
	list := &corev3.HeaderMap{}
	for name, value := range asked.GetHeaders() {
		list.Headers = append(list.Headers, &corev3.HeaderValue{Key: name, RawValue: []byte(value)})
	}
	asked.Headers, asked.HeaderMap = nil, list
	return in
}

func TestEnvoyLetsTheRequestPassWithTheIdentity(t *testing.T) {
	e := newEnvoy(t, plan{})
	in := e.asking(t, about{user: "alice", target: "/x?y=1", lines: []string{"X-Request-Id: request-of-alice", "X-Forwarded-For: 198.51.100.7", "Accept-Language: ko"}})
	out := e.check(t, in)
	got := behind(t, in, out)
	for name, want := range map[string]string{
		"x-forwarded-user": "alice", "x-forwarded-email": "alice@example.test", "x-forwarded-groups": "users",
		"x-auth-request-user": "alice", "x-auth-request-email": "alice@example.test",
		"accept-language": "ko", "x-forwarded-proto": "http",
	} {
		if got[name] != want {
			t.Errorf("the application gets %s: %q, want %q", name, got[name], want)
		}
	}
	if value, there := got["cookie"]; there {
		t.Errorf("the application gets the cookie %q", value)
	}
	metadata := out.GetDynamicMetadata().AsMap()
	for name, want := range map[string]any{"sub": "alice", "iss": "urn:sallyport:dev", "email": "alice@example.test", "route": "app", "policy": "authenticated"} {
		if metadata[name] != want {
			t.Errorf("Envoy learns %s: %v, want %v", name, metadata[name], want)
		}
	}
	if groups, _ := metadata["groups"].([]any); len(groups) != 1 || groups[0] != "users" {
		t.Errorf("Envoy learns the groups %v", metadata["groups"])
	}
	line := e.logged(t, "alice", "/x")
	for name, want := range map[string]any{"request_id": "request-of-alice", "dialect": "envoy_grpc", "client": "203.0.113.9", "outcome": "allow", "route": "app", "session": metadata["session_id_hash"]} {
		if line[name] != want {
			t.Errorf("the log says %s: %v, want %v", name, line[name], want)
		}
	}
	if got := e.metric(t, `sallyport_checks_total{dialect="envoy_grpc",outcome="allow"}`); got != "1" {
		t.Errorf("the metric counts %s", got)
	}
}

// TestEnvoySendsTheClientWhatTheGatewayWould: page, problem document and redirect are
// those of the front end that forwards by itself.
func TestEnvoySendsTheClientWhatTheGatewayWould(t *testing.T) {
	e := newEnvoy(t, plan{adminToken: adminToken(t)})
	browser := []string{"Accept: text/html", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"}
	for name, c := range map[string]struct {
		about
		status int
		header map[string]string // begins
		text   string
	}{
		"a person who is not signed in": {
			about{target: "/x?y=1", lines: browser},
			302,
			map[string]string{"Location": "http://localhost:8080/.auth/login?return_to=%2Fx%3Fy%3D1", "Sallyport-Reason": "no_credential"},
			"",
		},
		"a program that is not signed in": {
			about{target: "/api/x"}, 401, map[string]string{"Www-Authenticate": `Bearer realm="localhost:8080"`, "Content-Type": "application/problem+json"}, `"reason":"no_credential"`,
		},
		"a program with a bad token": {
			about{target: "/api/x", lines: []string{"Authorization: Bearer a.b.c"}}, 401, map[string]string{"Www-Authenticate": `Bearer realm="localhost:8080", error="invalid_token"`}, `"status":401`,
		},
		"a person who may not": {
			about{user: "alice", target: "/admin/", lines: browser}, 403, map[string]string{"Content-Type": "text/html", "Sallyport-Decision": "", "Content-Security-Policy": ""}, "alice@example.test",
		},
		"a program that may not": {
			about{user: "alice", target: "/admin/"}, 403, map[string]string{"Content-Type": "application/problem+json", "Sallyport-Reason": "no_rule_matched"}, `"reason":"no_rule_matched"`,
		},
		"a method that is not allowed": {about{user: "root", method: "PATCH", target: "/rw/x"}, 405, map[string]string{"Allow": "", "Content-Type": "application/problem+json"}, `"status":405`},
		"a host of somebody else":      {about{user: "alice", host: "evil.test"}, 421, nil, `"reason":"unknown_host"`},
	} {
		t.Run(name, func(t *testing.T) {
			got := e.got(t, c.about)
			if got.StatusCode != c.status || !strings.Contains(got.text, c.text) {
				t.Errorf("%d %.300s", got.StatusCode, got.text)
			}
			if got.Header.Get("Cache-Control") != "no-store" || len(got.Header["Set-Cookie"]) > 1 || len(got.Header["Connection"]) > 0 {
				t.Errorf("the header is %v", got.Header)
			}
			for name, want := range c.header {
				if value, there := got.Header[name]; !there || !strings.HasPrefix(value[0], want) {
					t.Errorf("%s: %q, want %q", name, value, want)
				}
			}
			if c.method == "" && c.host == "" && c.status != 302 {
				lines := c.lines
				if c.user != "" {
					lines = append(slices.Clone(lines), "Cookie: "+e.signIn(t, c.user))
				}
				direct := e.raw(t, e.request("GET", c.target, append(lines, "Connection: close")...))
				if direct.StatusCode != got.StatusCode || direct.Header.Get("Content-Type") != got.Header.Get("Content-Type") ||
					len(direct.text) == 0 || strings.Join(direct.Header["Www-Authenticate"], ", ") != got.Header.Get("WWW-Authenticate") {
					t.Errorf("the gateway itself answers %d %v", direct.StatusCode, direct.Header)
				}
			}
		})
	}
	poll(t, "the audit line", func() bool {
		return strings.Contains(e.logText.String(), `"event":"deny"`)
	})
}

func TestEnvoyAndItsHeadersAsTheyAre(t *testing.T) {
	e := newEnvoy(t, plan{})
	in := unmerged(e.asking(t, about{user: "alice", lines: []string{"X-Forwarded-User: root", "X_Forwarded_User: root"}}))
	list := in.GetAttributes().GetRequest().GetHttp().GetHeaderMap()
	// Two lines, and bytes that no string of protobuf can hold.
	list.Headers = append(list.Headers, &corev3.HeaderValue{Key: "cookie", RawValue: []byte("theme=\xe9")})
	out := e.check(t, in)
	got := answered(out)
	if got.StatusCode != 200 || got.Header.Get("X-Forwarded-User") != "alice" || got.Header.Get("Cookie") != "theme=!" {
		t.Errorf("%d %v", got.StatusCode, got.Header)
	}
	if _, removed := got.Header["X_forwarded_user"]; !removed {
		t.Errorf("the other spelling stays: %v", got.Header)
	}
	// What is the application's alone stays as it is.
	in = unmerged(e.asking(t, about{target: "/public/x"}))
	list = in.GetAttributes().GetRequest().GetHttp().GetHeaderMap()
	list.Headers = append(list.Headers, &corev3.HeaderValue{Key: "cookie", RawValue: []byte("theme=\xe9")})
	if value, there := answered(e.check(t, in)).Header["Cookie"]; there {
		t.Errorf("the cookie is changed to %q", value)
	}
}

// TestEnvoyAsksForAPolicyBesides: context_extensions are the word of Envoy's
// configuration, and no client's.
func TestEnvoyAsksForAPolicyBesides(t *testing.T) {
	e := newEnvoy(t, plan{})
	for name, c := range map[string]struct {
		extensions map[string]string
		status     int
	}{
		"one that allows him":   {map[string]string{"policy": "users"}, 200},
		"one that does not":     {map[string]string{"policy": "admins"}, 403},
		"one that is not there": {map[string]string{"policy": "nobody-wrote-it"}, 400},
		"none":                  {map[string]string{"policy": ""}, 400},
		"a key with a mistake":  {map[string]string{"polcy": "admins"}, 400},
		"a key of others":       {map[string]string{"virtual_host": "local_service"}, 200},
	} {
		in := e.asking(t, about{user: "alice"})
		in.Attributes.ContextExtensions = c.extensions
		if got := answered(e.check(t, in)); got.StatusCode != c.status {
			t.Errorf("%s: %d %s", name, got.StatusCode, got.text)
		}
	}
	if got := strings.Count(e.logText.String(), "the original context_extensions"); got != 3 {
		t.Errorf("the log says %d times what is wrong with Envoy's configuration", got)
	}
	// A client can't get at them.
	in := e.asking(t, about{user: "alice", lines: []string{"Policy: users", "X-Envoy-Auth-Policy: users"}})
	in.Attributes.ContextExtensions = map[string]string{"policy": "admins"}
	if got := answered(e.check(t, in)); got.StatusCode != 403 {
		t.Errorf("%d %v", got.StatusCode, got.Header)
	}
}

// TestEnvoyBehindABalancer: the address of the client is the first that is no proxy's.
func TestEnvoyBehindABalancer(t *testing.T) {
	e := newEnvoy(t, plan{trusted: "127.0.0.1, 10.0.0.0/8"})
	for i, c := range []struct{ source, chain, want string }{
		{"203.0.113.9", "198.51.100.7", "203.0.113.9"},
		{"10.1.2.3", "198.51.100.7", "198.51.100.7"},
		{"10.1.2.3", "6.6.6.6, 198.51.100.7, 10.9.9.9", "198.51.100.7"},
		{"10.1.2.3", "", "10.1.2.3"},
		{"2001:db8::1", "198.51.100.7", "2001:db8::1"},
	} {
		path := "/source/" + strconv.Itoa(i)
		a := about{user: "alice", target: path}
		if c.chain != "" {
			a.lines = []string{"X-Forwarded-For: " + c.chain}
		}
		in := e.asking(t, a)
		in.Attributes.Source.Address = socketAddress(c.source, 1)
		e.check(t, in)
		if got := e.logged(t, "alice", path)["client"]; got != c.want {
			t.Errorf("source %s, chain %q: the client is %v, want %s", c.source, c.chain, got, c.want)
		}
	}
}

// TestEnvoyGivesUp: it tells how long it waits. The check must not outlast that, and
// is no yes.
func TestEnvoyGivesUp(t *testing.T) {
	o := newOPA(t)
	asked, released := make(chan struct{}, 1), make(chan struct{}, 1)
	o.Script(func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-r.Context().Done()
		released <- struct{}{}
	})
	e := newEnvoy(t, plan{
		policies: fmt.Sprintf("\n  - {name: opa, authorizer: {url: 'http://%s/v1/data/app/authz', timeout: 10s}}", o.addr),
		routes:   "\n  - {name: owned, paths: [/owned/], policy: opa}",
	})
	in := e.asking(t, about{user: "alice", target: "/owned/x"})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond) // as Envoy's default
	defer cancel()
	if out, err := e.client.Check(ctx, in); err == nil && out.GetOkResponse() != nil {
		t.Errorf("it may pass: %v", out)
	}
	<-asked
	<-released
}
