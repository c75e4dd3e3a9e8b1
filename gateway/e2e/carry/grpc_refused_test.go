//go:build e2e

package carry_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/sallyport/sallyport/gateway/jose"
	"github.com/sallyport/sallyport/gateway/porttest"
)

// TestGRPCRefusalsAreStatuses: a client of gRPC knows nothing of 401 or of a
// login page. Who is not known is UNAUTHENTICATED, who may not PERMISSION_DENIED,
// and what cannot be found out UNAVAILABLE, which clients try again.
func TestGRPCRefusalsAreStatuses(t *testing.T) {
	t.Parallel()
	down := httptest.NewServer(http.NotFoundHandler())
	jwks := down.URL
	down.Close()
	service, at := startCalls(t, nil)
	for name, tlsIn := range map[string]bool{"h2c in": false, "TLS in": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := &way{service: service}
			w.gate = start(t, plan{
				tls: tlsIn, routes: grpcRoutes("h2c://"+at, ", policy: staff, headers: [{name: X-Forwarded-Issuer, claim: iss}]"),
				issuer: fmt.Sprintf("- {issuer: https://down.example.test, audiences: [api], jwks_url: %s/jwks.json}", jwks),
			})
			w.client = pb.NewTestServiceClient(w.connect(t))
			stale := w.signIn(t, "alice")
			w.signOut(t, stale)
			for name, c := range map[string]struct {
				ctx  context.Context
				want codes.Code
			}{
				"no credential":               {w.as(t, ""), codes.Unauthenticated},
				"a token that nobody issued":  {w.as(t, "x.y.z"), codes.Unauthenticated},
				"a session that was ended":    {w.as(t, "", "cookie", stale), codes.Unauthenticated},
				"a token of somebody else":    {w.as(t, bearer(t, "bob")), codes.PermissionDenied},
				"a session of somebody else":  {w.as(t, "", "cookie", w.signIn(t, "bob")), codes.PermissionDenied},
				"keys that cannot be fetched": {w.as(t, unverifiable(t)), codes.Unavailable},
			} {
				t.Run(name, func(t *testing.T) { w.refused(c.ctx, t, c.want) })
			}
			t.Run("and those who may come in do", func(t *testing.T) {
				for _, ctx := range []context.Context{w.as(t, bearer(t, "alice")), w.as(t, "", "cookie", w.signIn(t, "alice"))} {
					out, err := w.client.UnaryCall(ctx, &pb.SimpleRequest{})
					if err != nil || out.GetUsername() != "alice" || out.GetOauthScope() != "" {
						t.Errorf("%v, %v", out, err)
					}
				}
			})
		})
	}
}

// refused makes a call of each kind, of which none may reach the service.
func (w *way) refused(ctx context.Context, t *testing.T, want codes.Code) {
	t.Helper()
	_, unary := w.client.UnaryCall(ctx, &pb.SimpleRequest{Payload: payload(100_000)})
	both, err := w.client.FullDuplexCall(ctx)
	if err != nil {
		t.Fatal(err)
	}
	_, bidi := both.Recv() // before the client has said anything
	output, err := w.client.StreamingOutputCall(ctx, &pb.StreamingOutputCallRequest{ResponseParameters: sizes(1)})
	if err != nil {
		t.Fatal(err)
	}
	_, stream := output.Recv()
	for kind, err := range map[string]error{"unary": unary, "bidi": bidi, "server stream": stream} {
		s, _ := status.FromError(err)
		if s.Code() != want {
			t.Errorf("%s: %v instead of %v: %s", kind, s.Code(), want, s.Message())
		}
		if s.Message() == "" || strings.Contains(s.Message(), "dial") || strings.Contains(s.Message(), "127.0.0.1") {
			t.Errorf("%s: the message is %q", kind, s.Message())
		}
	}
}

// unverifiable is a token whose issuer is trusted and does not answer.
func unverifiable(t *testing.T) string {
	t.Helper()
	signer, err := jose.NewSigner("ES256", "k1")
	if err != nil {
		t.Fatal(err)
	}
	token, err := signer.Sign("at+jwt", map[string]any{
		"iss": "https://down.example.test", "aud": "api", "sub": "alice", "exp": time.Now().Add(time.Minute).Unix(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// TestGRPCServiceThatIsDownIsUnavailable: also where there is no connection at all
// the client gets a status, and one that it may try again.
func TestGRPCServiceThatIsDownIsUnavailable(t *testing.T) {
	t.Parallel()
	w := &way{gate: start(t, plan{routes: grpcRoutes(fmt.Sprintf("h2c://127.0.0.1:%d", porttest.Free(t)), ", policy: staff")})}
	w.client = pb.NewTestServiceClient(w.connect(t))
	_, err := w.client.UnaryCall(w.as(t, bearer(t, "alice")), &pb.SimpleRequest{})
	if status.Code(err) != codes.Unavailable {
		t.Errorf("got %v", err)
	}
}

// TestGRPCEndsWhenTheClientWantsIt: a deadline and a cancellation of the client
// reach the service.
func TestGRPCEndsWhenTheClientWantsIt(t *testing.T) {
	t.Parallel()
	everyWay(t, "authenticated", func(t *testing.T, w *way) {
		const never = -1
		ctx, cancel := context.WithTimeout(w.as(t, w.alice), 300*time.Millisecond)
		defer cancel()
		if _, err := w.client.UnaryCall(ctx, &pb.SimpleRequest{ResponseSize: never}); status.Code(err) != codes.DeadlineExceeded {
			t.Errorf("a deadline: %v", err)
		}
		if err := within(t, once, "the service sees the deadline", w.service.ended); !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
			t.Errorf("the service saw %v", err)
		}

		ctx, cancel = context.WithCancel(w.as(t, w.alice))
		defer cancel()
		stream, err := w.client.FullDuplexCall(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if err := stream.Send(&pb.StreamingOutputCallRequest{ResponseParameters: sizes(1)}); err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); err != nil {
			t.Fatal(err)
		}
		cancel()
		if _, err := stream.Recv(); status.Code(err) != codes.Canceled {
			t.Errorf("the stream: %v", err)
		}
		if err := within(t, once, "the service sees that the client has left", w.service.ended); status.Code(err) != codes.Canceled {
			t.Errorf("the service saw %v", err)
		}
	})
}

// TestGRPCStreamEndsWithItsSession: sign-out ends a stream on which nobody says
// anything, for both sides, and leaves another user's alone.
func TestGRPCStreamEndsWithItsSession(t *testing.T) {
	t.Parallel()
	everyWay(t, "authenticated", func(t *testing.T, w *way) {
		alice, bob := w.signIn(t, "alice"), w.signIn(t, "bob")
		open := func(cookie string) (recv func() error) {
			stream, err := w.client.FullDuplexCall(metadata.AppendToOutgoingContext(t.Context(), "cookie", cookie))
			if err != nil {
				t.Fatal(err)
			}
			recv = func() error {
				if err := stream.Send(&pb.StreamingOutputCallRequest{ResponseParameters: sizes(1)}); err != nil {
					return err
				}
				_, err := stream.Recv()
				return err
			}
			if err := recv(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			if cookie == alice {
				go func() { _, err := stream.Recv(); ended <- err }()
				return func() error { return within(t, patience, "the stream ends", ended) }
			}
			return recv
		}
		mine, other := open(alice), open(bob)
		begin := time.Now()
		w.signOut(t, alice)
		err := mine()
		took := time.Since(begin)
		t.Logf("%v after the sign-out the client got %v", took, err)
		if status.Code(err) != codes.Unauthenticated || took > once {
			t.Errorf("the stream ended after %v with %v", took, err)
		}
		if err := within(t, once, "the service sees the end", w.service.ended); err == nil {
			t.Error("the service saw an orderly end")
		}
		if err := other(); err != nil {
			t.Errorf("another user's stream: %v", err)
		}
	})
}
