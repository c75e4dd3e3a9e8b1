//go:build e2e

package carry_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/sallyport/sallyport/gateway/tlstest"
)

// Metadata that the service sends back, in the headers and in the trailers.
const (
	echoInHeader  = "x-echo-header"
	echoInTrailer = "x-echo-trailer-bin"
)

// calls is a gRPC service that does what it is asked to.
type calls struct {
	pb.UnimplementedTestServiceServer
	ended chan error // why each call that waits has ended
}

// startCalls starts the service with grpc-go's own server: over TLS where it is
// given an authority. It returns its host:port.
func startCalls(t *testing.T, ca *tlstest.CA) (*calls, string) {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	options := []grpc.ServerOption{grpc.MaxRecvMsgSize(64 << 20), grpc.MaxSendMsgSize(64 << 20)}
	if ca != nil {
		pair := ca.Server("localhost", "127.0.0.1").Load(t)
		options = append(options, grpc.Creds(credentials.NewServerTLSFromCert(&pair)))
	}
	s := grpc.NewServer(options...)
	service := &calls{ended: make(chan error, 4096)}
	pb.RegisterTestServiceServer(s, service)
	go func() { _ = s.Serve(l) }()
	t.Cleanup(s.Stop)
	return service, l.Addr().String()
}

// echo sends back what metadata asks for.
func echo(ctx context.Context, stream grpc.ServerStream) (metadata.MD, error) {
	in, _ := metadata.FromIncomingContext(ctx)
	header, trailer := metadata.MD{}, metadata.MD{}
	if v := in.Get(echoInHeader); len(v) > 0 {
		header.Set(echoInHeader, v...)
	}
	if v := in.Get(echoInTrailer); len(v) > 0 {
		trailer.Set(echoInTrailer, v...)
	}
	if stream != nil {
		stream.SetTrailer(trailer)
		return in, stream.SetHeader(header)
	}
	return in, errors.Join(grpc.SetTrailer(ctx, trailer), grpc.SetHeader(ctx, header))
}

// refusal is the status that a request asks for, with details.
func refusal(want *pb.EchoStatus) error {
	if want.GetCode() == 0 {
		return nil
	}
	s, err := status.New(codes.Code(want.GetCode()), want.GetMessage()).WithDetails(want)
	if err != nil {
		return err
	}
	return s.Err()
}

func (*calls) EmptyCall(ctx context.Context, _ *pb.Empty) (*pb.Empty, error) {
	_, err := echo(ctx, nil)
	return &pb.Empty{}, err
}

// UnaryCall answers with a payload of the size that was asked for, and says in
// whose name it was called and what credentials arrived.
func (c *calls) UnaryCall(ctx context.Context, in *pb.SimpleRequest) (*pb.SimpleResponse, error) {
	md, err := echo(ctx, nil)
	if err != nil {
		return nil, err
	}
	if in.GetResponseSize() < 0 { // this one never answers
		<-ctx.Done()
		c.ended <- ctx.Err()
		return nil, status.FromContextError(ctx.Err()).Err()
	}
	if err := refusal(in.GetResponseStatus()); err != nil {
		return nil, err
	}
	return &pb.SimpleResponse{
		Payload:    payload(in.GetResponseSize()),
		Username:   strings.Join(md.Get("x-forwarded-user"), ","),
		OauthScope: strings.Join(append(md.Get("authorization"), md.Get("cookie")...), ","),
	}, nil
}

func (*calls) StreamingOutputCall(in *pb.StreamingOutputCallRequest, out grpc.ServerStreamingServer[pb.StreamingOutputCallResponse]) error {
	if _, err := echo(out.Context(), out); err != nil {
		return err
	}
	for _, p := range in.GetResponseParameters() {
		if err := out.Send(&pb.StreamingOutputCallResponse{Payload: payload(p.GetSize())}); err != nil {
			return err
		}
	}
	return refusal(in.GetResponseStatus())
}

func (*calls) StreamingInputCall(in grpc.ClientStreamingServer[pb.StreamingInputCallRequest, pb.StreamingInputCallResponse]) error {
	if _, err := echo(in.Context(), in); err != nil {
		return err
	}
	sum := int32(0)
	for {
		m, err := in.Recv()
		if errors.Is(err, io.EOF) {
			return in.SendAndClose(&pb.StreamingInputCallResponse{AggregatedPayloadSize: sum})
		}
		if err != nil {
			return err
		}
		sum += int32(len(m.GetPayload().GetBody()))
	}
}

// FullDuplexCall answers each message before it reads the next one.
func (c *calls) FullDuplexCall(both grpc.BidiStreamingServer[pb.StreamingOutputCallRequest, pb.StreamingOutputCallResponse]) (err error) {
	defer func() { c.ended <- err }()
	if _, err := echo(both.Context(), both); err != nil {
		return err
	}
	for {
		m, err := both.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := refusal(m.GetResponseStatus()); err != nil {
			return err
		}
		for _, p := range m.GetResponseParameters() {
			if err := both.Send(&pb.StreamingOutputCallResponse{Payload: payload(p.GetSize())}); err != nil {
				return err
			}
		}
	}
}

// payload is n bytes that are not all alike.
func payload(n int32) *pb.Payload {
	body := make([]byte, n)
	for i := range body {
		body[i] = byte(i * 7)
	}
	return &pb.Payload{Body: body}
}

func sizes(of ...int32) []*pb.ResponseParameters {
	var all []*pb.ResponseParameters
	for _, n := range of {
		all = append(all, &pb.ResponseParameters{Size: n})
	}
	return all
}
