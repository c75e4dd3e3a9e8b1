//go:build e2e

package carry_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"

	"github.com/sallyport/sallyport/gateway/tlstest"
)

// way is one way through the gateway to the service.
type way struct {
	*gate
	service *calls
	conn    *grpc.ClientConn
	client  pb.TestServiceClient
	alice   string // an access token
}

// grpcRoutes are routes to the service that let in whom more says.
func grpcRoutes(upstream, more string) string {
	return fmt.Sprintf(`  - {name: calls, paths: [/grpc.testing.TestService], upstream: %q, auth: [session, bearer]%s}
  - {name: other, upstream: "builtin:echo", policy: authenticated}`, upstream, more)
}

// everyWay runs a test through each way that gRPC may take. Each has a gateway,
// a service and a connection of its own.
func everyWay(t *testing.T, policy string, test func(*testing.T, *way)) {
	t.Helper()
	for name, in := range map[string]struct{ tlsIn, tlsOut bool }{
		"h2c in, h2c out": {},
		"TLS in, h2c out": {tlsIn: true},
		"TLS in, TLS out": {tlsIn: true, tlsOut: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, openWay(t, in.tlsIn, in.tlsOut, policy))
		})
	}
}

func openWay(t *testing.T, tlsIn, tlsOut bool, policy string) *way {
	t.Helper()
	w := &way{}
	more, scheme := ", policy: "+policy, "h2c://"
	var ca *tlstest.CA
	if tlsOut {
		ca, scheme = tlstest.New(t), "https://"
		more += fmt.Sprintf(", upstream_tls: {ca_file: %q}", ca.CertFile)
	}
	service, at := startCalls(t, ca)
	w.service = service
	w.gate = start(t, plan{tls: tlsIn, routes: grpcRoutes(scheme+at, more)})
	w.conn = w.connect(t)
	w.client = pb.NewTestServiceClient(w.conn)
	w.alice = bearer(t, "alice")
	return w
}

// connect opens one more connection to the gateway.
func (g *gate) connect(t *testing.T) *grpc.ClientConn {
	t.Helper()
	creds := insecure.NewCredentials()
	if g.CA != nil {
		creds = credentials.NewTLS(&tls.Config{RootCAs: g.CA.Pool()})
	}
	conn, err := grpc.NewClient("passthrough:///"+g.Host, grpc.WithTransportCredentials(creds), grpc.WithDefaultCallOptions(
		grpc.MaxCallRecvMsgSize(64<<20), grpc.MaxCallSendMsgSize(64<<20)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// as adds an access token to a call that is bounded in time, and more metadata:
// name, value, name, value.
func (w *way) as(t *testing.T, token string, more ...string) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	if token != "" {
		more = append(more, "authorization", "Bearer "+token)
	}
	return metadata.AppendToOutgoingContext(ctx, more...)
}
