package gateway_test

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/telemetry"
)

// BenchmarkExtAuthz asks a whole gateway, with session, policy, headers, the log line
// and metrics, over one connection on loopback. What is bare answers every check with
// an empty yes: it is what gRPC itself costs, on both sides.
func BenchmarkExtAuthz(b *testing.B) {
	bare := grpc.NewServer()
	authv3.RegisterAuthorizationServer(bare, emptyYes{})
	b.Cleanup(bare.Stop)
	var lc net.ListenConfig
	l, err := lc.Listen(b.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	go func() { _ = bare.Serve(l) }()

	addr, cookie := benchEnvoyGateway(b)
	headers := map[string]string{
		":authority": "localhost:8080", ":method": "GET", ":path": "/projects/42/issues?page=2", ":scheme": "http", "accept": "text/html,application/xhtml+xml",
		"accept-encoding": "gzip, deflate, br", "accept-language": "en", "sec-fetch-dest": "document", "sec-fetch-mode": "navigate", "sec-fetch-site": "same-origin",
		"user-agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)", "x-forwarded-for": "203.0.113.9", "x-forwarded-proto": "http",
		"x-request-id": "6a9d3f0e-2f4d-4c6e-9d0b-0a6f4a2f7b11", "cookie": "theme=dark; " + cookie,
	}
	in := &authv3.CheckRequest{Attributes: &authv3.AttributeContext{
		Source: &authv3.AttributeContext_Peer{Address: socketAddress("203.0.113.9", 40000)},
		Request: &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{
			Method: "GET", Headers: headers, Path: "/projects/42/issues?page=2", Host: "localhost:8080", Scheme: "http", Protocol: "HTTP/1.1",
		}},
	}}
	for _, c := range []struct{ name, addr string }{{"bare", l.Addr().String()}, {"session", addr}} {
		conn, err := grpc.NewClient(c.addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			b.Fatal(err)
		}
		client := authv3.NewAuthorizationClient(conn)
		check := func(b *testing.B) {
			b.Helper()
			if out, err := client.Check(b.Context(), in); err != nil || out.GetOkResponse() == nil {
				b.Errorf("%v, %v", out, err)
			}
		}
		b.Run(c.name+"/alone", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				check(b)
			}
		})
		b.Run(c.name+"/parallel", func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(16)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					check(b)
				}
			})
		})
		_ = conn.Close()
	}
}

type emptyYes struct {
	authv3.UnimplementedAuthorizationServer
}

// Check implements authv3.AuthorizationServer.
func (emptyYes) Check(context.Context, *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	return &authv3.CheckResponse{Status: &rpcstatus.Status{}, HttpResponse: &authv3.CheckResponse_OkResponse{OkResponse: &authv3.OkHttpResponse{}}}, nil
}

// benchEnvoyGateway runs a gateway that writes its log to nowhere, and returns where
// Envoy asks and the cookie of a session.
func benchEnvoyGateway(b *testing.B) (addr, cookie string) {
	b.Helper()
	cfg, err := config.Parse("bench.yaml", []byte(`
server: {listen: "127.0.0.1:0", trusted_proxies: [127.0.0.1]}
ext_authz: {listen: "127.0.0.1:0"}
admin: {listen: ""}
session: {embedded: {path: ""}}
login: {providers: [{name: dev, type: dev, identities: [{subject: alice, email: alice@example.test, groups: [users, staff]}]}]}
policies:
  - name: five
    rules:
      - {name: contractors, deny: {groups: [contractors]}}
      - {name: suspended, deny: {claims: [{name: status, values: [suspended]}]}}
      - {name: board, allow: {emails: [dana@example.test]}}
      - {name: admins, allow: {groups: [admin]}}
      - {name: staff, allow: {groups: [staff]}}
routes: [{name: app, paths: [/], policy: five}]
`), nil)
	if err != nil {
		b.Fatal(err)
	}
	lines := telemetry.NewLines(io.Discard)
	log, err := telemetry.NewLogger(config.Log{Level: "info", Format: "json"}, lines)
	if err != nil {
		b.Fatal(err)
	}
	gw, err := gateway.New(b.Context(), cfg, log, "bench")
	if err != nil {
		b.Fatal(err)
	}
	if err := gw.Listen(b.Context()); err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- gw.Run(ctx) }()
	b.Cleanup(func() {
		stop()
		if err := errors.Join(<-ended, lines.Close()); err != nil {
			b.Error(err)
		}
	})
	return gw.ExtAuthzAddr().String(), devCookie(b, gw)
}
