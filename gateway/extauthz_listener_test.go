package gateway_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/tlstest"
)

// reflected lists the services that the server tells of.
func (e *envoy) reflected(t *testing.T) ([]string, error) {
	t.Helper()
	stream, err := reflectionv1.NewServerReflectionClient(e.conn).ServerReflectionInfo(t.Context())
	if err != nil {
		return nil, err
	}
	if err := stream.Send(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}}); err != nil {
		_, err = stream.Recv()
		return nil, err
	}
	out, err := stream.Recv()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, s := range out.GetListServicesResponse().GetService() {
		names = append(names, s.GetName())
	}
	return names, stream.CloseSend()
}

func TestEnvoyServiceTellsOfItself(t *testing.T) {
	e := newEnvoy(t, plan{})
	names, err := e.reflected(t)
	if want := "envoy.service.auth.v3.Authorization"; err != nil || !slices.Contains(names, want) {
		t.Errorf("it has %v, %v", names, err)
	}
	for _, name := range []string{"", "envoy.service.auth.v3.Authorization"} {
		out, err := healthv1.NewHealthClient(e.conn).Check(t.Context(), &healthv1.HealthCheckRequest{Service: name})
		if err != nil || out.GetStatus() != healthv1.HealthCheckResponse_SERVING {
			t.Errorf("%q is %v, %v", name, out, err)
		}
	}
}

// TestEnvoyServiceGoesAway: it tells so first, serves on while others notice, and
// keeps nobody waiting who watches it.
func TestEnvoyServiceGoesAway(t *testing.T) {
	t.Parallel()
	e := newEnvoy(t, plan{server: "drain: {delay: 1s, timeout: 20s}"})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	watch, err := healthv1.NewHealthClient(e.conn).Watch(ctx, &healthv1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if first, err := watch.Recv(); err != nil || first.GetStatus() != healthv1.HealthCheckResponse_SERVING {
		t.Fatalf("at first: %v, %v", first, err)
	}
	in := e.asking(t, about{user: "alice"})
	ended := e.leave(t)
	if next, err := watch.Recv(); err != nil || next.GetStatus() != healthv1.HealthCheckResponse_NOT_SERVING {
		t.Errorf("then: %v, %v", next, err)
	}
	if got := answered(e.check(t, in)); got.StatusCode != 200 || len(got.Header["Connection"]) > 0 {
		t.Errorf("while others notice: %d %v", got.StatusCode, got.Header)
	}
	if _, err := watch.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("the watch ends with %v", err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := e.client.Check(ctx, in); status.Code(err) != codes.Unavailable {
		t.Errorf("afterwards: %v", err)
	}
}

// TestEnvoyShowsItsCertificate: with client_ca_file there is no connection without
// one, and a certificate is no way around trusted_proxies.
func TestEnvoyShowsItsCertificate(t *testing.T) {
	t.Parallel()
	ca, other := tlstest.New(t), tlstest.New(t)
	server := ca.Server("127.0.0.1")
	secured := func(trusted string) *site {
		return newSite(t, plan{trusted: trusted, top: fmt.Sprintf("\next_authz: {listen: '127.0.0.1:0', tls: {cert_file: %q, key_file: %q, client_ca_file: %q}}\n", server.CertFile, server.KeyFile, ca.CertFile)})
	}
	s, strict := secured("127.0.0.1"), secured("10.1.2.3")
	asked := func(s *site, certs ...tls.Certificate) codes.Code {
		e := &envoy{site: s, conn: s.connect(t, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: ca.Pool(), Certificates: certs})))}
		_, err := authv3.NewAuthorizationClient(e.conn).Check(t.Context(), e.asking(t, about{}))
		return status.Code(err)
	}
	good := ca.Client("envoy").Load(t)
	if got := asked(s, good); got != codes.OK {
		t.Errorf("with a certificate: %v", got)
	}
	if got := asked(strict, good); got != codes.PermissionDenied {
		t.Errorf("with a certificate, from elsewhere: %v", got)
	}
	if got := asked(s); got != codes.Unavailable {
		t.Errorf("without a certificate: %v", got)
	}
	if got := asked(s, other.Client("envoy").Load(t)); got != codes.Unavailable {
		t.Errorf("with a certificate of another authority: %v", got)
	}
	if got := s.metrics(t); !strings.Contains(got, "sallyport_tls_certificate_expiry_seconds{certificate="+fmt.Sprintf("%q", server.CertFile)) {
		t.Error("nobody can see when the certificate runs out")
	}

	// Another authority for Envoy's, without a restart.
	text, err := os.ReadFile(other.CertFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(ca.CertFile, text, 0o600); err != nil {
		t.Fatal(err)
	}
	poll(t, "the other authority to count", func() bool { return asked(s, other.Client("envoy").Load(t)) == codes.OK })
	if got := asked(s, good); got != codes.Unavailable {
		t.Errorf("with a certificate of the authority before: %v", got)
	}
}

func TestEnvoyAsksOverAUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sock")
	for trusted, want := range map[string]codes.Code{"unix": codes.OK, "127.0.0.1": codes.PermissionDenied} {
		s := newSite(t, plan{trusted: trusted, top: fmt.Sprintf("\next_authz: {listen: 'unix://%s%d?mode=0600'}\n", path, len(trusted))})
		e := &envoy{site: s, conn: s.connect(t)}
		if _, err := authv3.NewAuthorizationClient(e.conn).Check(t.Context(), e.asking(t, about{})); status.Code(err) != want {
			t.Errorf("with %s trusted: %v", trusted, err)
		}
	}
}

func TestFaultsOfTheListenerOfEnvoyNameTheirKey(t *testing.T) {
	ca := tlstest.New(t)
	server := ca.Server("127.0.0.1")
	for key, tlsMembers := range map[string]string{
		"ext_authz.tls":                fmt.Sprintf("cert_file: %q, key_file: %q", server.KeyFile, server.KeyFile),
		"ext_authz.tls.client_ca_file": fmt.Sprintf("cert_file: %q, key_file: %q, client_ca_file: %q", server.CertFile, server.KeyFile, server.KeyFile),
	} {
		cfg, err := config.Parse("site.yaml", []byte(`
server: {public_url: "http://localhost:8080", trusted_proxies: [127.0.0.1]}
login: {providers: [{name: dev, type: dev, identities: [{subject: alice}]}]}
routes: [{name: app, paths: [/], policy: authenticated}]
ext_authz: {listen: "127.0.0.1:0", tls: {`+tlsMembers+`}}`), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := gateway.Check(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), ": "+key+": ") {
			t.Errorf("%s: %v", key, err)
		}
	}
}
