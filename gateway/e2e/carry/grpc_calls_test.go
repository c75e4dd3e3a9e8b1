//go:build e2e

package carry_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding/gzip"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// TestGRPCCallsOfEveryKind has grpc-go on both sides.
func TestGRPCCallsOfEveryKind(t *testing.T) {
	t.Parallel()
	everyWay(t, "authenticated", func(t *testing.T, w *way) {
		t.Run("unary, with metadata in headers and trailers", w.unary)
		t.Run("unary, 16 MiB each way", w.large)
		t.Run("unary, compressed", w.compressed)
		t.Run("server stream", w.serverStream)
		t.Run("client stream", w.clientStream)
		t.Run("bidi stream, a message at a time", w.pingPong)
		t.Run("bidi stream that nothing is sent on", w.emptyStream)
		t.Run("many streams on one connection", w.manyStreams)
		t.Run("errors with message and details", w.refusals)
		t.Run("a method that does not exist", w.unimplemented)
	})
}

func (w *way) unary(t *testing.T) {
	var header, trailer metadata.MD
	in := &pb.SimpleRequest{ResponseSize: 314159, Payload: payload(271828)}
	ctx := w.as(t, w.alice, echoInHeader, "a, b", echoInTrailer, "\x00\xff\n", "x-forwarded-user", "root")
	out, err := w.client.UnaryCall(ctx, in, grpc.Header(&header), grpc.Trailer(&trailer))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out.GetPayload().GetBody(), payload(314159).GetBody()) {
		t.Error("the answer is not what was sent")
	}
	if out.GetUsername() != "alice" || out.GetOauthScope() != "" {
		t.Errorf("called as %q, with the credentials %q", out.GetUsername(), out.GetOauthScope())
	}
	if got := header.Get(echoInHeader); !slices.Equal(got, []string{"a, b"}) {
		t.Errorf("in the headers: %q", got)
	}
	if got := trailer.Get(echoInTrailer); !slices.Equal(got, []string{"\x00\xff\n"}) {
		t.Errorf("in the trailers: %q", got)
	}
	// A call without an answer's body still has its trailers.
	if _, err := w.client.EmptyCall(w.as(t, w.alice, echoInTrailer, "x"), &pb.Empty{}, grpc.Trailer(&trailer)); err != nil {
		t.Error(err)
	}
	if got := trailer.Get(echoInTrailer); !slices.Equal(got, []string{"x"}) {
		t.Errorf("in the trailers of an empty answer: %q", got)
	}
}

func (w *way) large(t *testing.T) {
	const size = 16 << 20
	out, err := w.client.UnaryCall(w.as(t, w.alice), &pb.SimpleRequest{ResponseSize: size, Payload: payload(size)})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out.GetPayload().GetBody(), payload(size).GetBody()) {
		t.Error("the answer is not what was sent")
	}
}

func (w *way) compressed(t *testing.T) {
	out, err := w.client.UnaryCall(w.as(t, w.alice), &pb.SimpleRequest{ResponseSize: 100_000, Payload: payload(100_000)}, grpc.UseCompressor(gzip.Name))
	if err != nil || len(out.GetPayload().GetBody()) != 100_000 {
		t.Errorf("%d bytes, %v", len(out.GetPayload().GetBody()), err)
	}
}

func (w *way) serverStream(t *testing.T) {
	want := []int32{31415, 9, 2653, 58979, 0, 1 << 20}
	ctx := w.as(t, w.alice, echoInHeader, "h", echoInTrailer, "t")
	stream, err := w.client.StreamingOutputCall(ctx, &pb.StreamingOutputCallRequest{ResponseParameters: sizes(want...)})
	if err != nil {
		t.Fatal(err)
	}
	if header, err := stream.Header(); err != nil || !slices.Equal(header.Get(echoInHeader), []string{"h"}) {
		t.Errorf("header %v, %v", header, err)
	}
	var got []int32
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, int32(len(m.GetPayload().GetBody())))
	}
	if !slices.Equal(got, want) {
		t.Errorf("got messages of %v bytes", got)
	}
	if trailer := stream.Trailer(); !slices.Equal(trailer.Get(echoInTrailer), []string{"t"}) {
		t.Errorf("trailer %v", trailer)
	}
}

func (w *way) clientStream(t *testing.T) {
	stream, err := w.client.StreamingInputCall(w.as(t, w.alice, echoInTrailer, "t"))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int32{27182, 8, 1828, 45904} {
		if err := stream.Send(&pb.StreamingInputCallRequest{Payload: payload(n)}); err != nil {
			t.Fatal(err)
		}
	}
	out, err := stream.CloseAndRecv()
	if err != nil || out.GetAggregatedPayloadSize() != 74922 {
		t.Errorf("the service counted %d, %v", out.GetAggregatedPayloadSize(), err)
	}
	if trailer := stream.Trailer(); !slices.Equal(trailer.Get(echoInTrailer), []string{"t"}) {
		t.Errorf("trailer %v", trailer)
	}
}

// pingPong sends the next message only when the answer to the last one is there:
// it hangs where anything is kept back.
func (w *way) pingPong(t *testing.T) {
	stream, err := w.client.FullDuplexCall(w.as(t, w.alice, echoInTrailer, "t"))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int32{31415, 9, 2653, 58979, 0, 1, 16384, 65535} {
		if err := stream.Send(&pb.StreamingOutputCallRequest{ResponseParameters: sizes(n), Payload: payload(n)}); err != nil {
			t.Fatal(err)
		}
		m, err := stream.Recv()
		if err != nil || len(m.GetPayload().GetBody()) != int(n) {
			t.Fatalf("got %d bytes instead of %d: %v", len(m.GetPayload().GetBody()), n, err)
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("the stream ended with %v", err)
	}
	if trailer := stream.Trailer(); !slices.Equal(trailer.Get(echoInTrailer), []string{"t"}) {
		t.Errorf("trailer %v", trailer)
	}
}

func (w *way) emptyStream(t *testing.T) {
	stream, err := w.client.FullDuplexCall(w.as(t, w.alice))
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if m, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("%v, %v", m, err)
	}
}

// manyStreams are open at the same time: each has sent and received before any
// is closed.
func (w *way) manyStreams(t *testing.T) {
	const n = 100
	streams := make([]grpc.BidiStreamingClient[pb.StreamingOutputCallRequest, pb.StreamingOutputCallResponse], n)
	var wait sync.WaitGroup
	exchange := func(i int) {
		err := streams[i].Send(&pb.StreamingOutputCallRequest{ResponseParameters: sizes(int32(i))})
		m, err2 := streams[i].Recv()
		if err := errors.Join(err, err2); err != nil || len(m.GetPayload().GetBody()) != i {
			t.Errorf("stream %d: %d bytes, %v", i, len(m.GetPayload().GetBody()), err)
		}
	}
	for range 2 {
		for i := range streams {
			wait.Go(func() {
				if streams[i] == nil {
					var err error
					if streams[i], err = w.client.FullDuplexCall(w.as(t, w.alice)); err != nil {
						t.Error(err)
						return
					}
				}
				exchange(i)
			})
		}
		wait.Wait()
		if t.Failed() {
			return
		}
	}
	for _, s := range streams {
		_ = s.CloseSend()
		if _, err := s.Recv(); !errors.Is(err, io.EOF) {
			t.Errorf("a stream ended with %v", err)
		}
	}
}

func (w *way) refusals(t *testing.T) {
	for _, want := range []*pb.EchoStatus{
		{Code: int32(codes.NotFound), Message: "no such thing"},
		{Code: int32(codes.Internal), Message: "\t\nwhite space\r\nand ☺, 😈 and 100%\t\n"},
		{Code: int32(codes.ResourceExhausted), Message: ""},
		{Code: int32(codes.Unauthenticated), Message: "the application's own"},
	} {
		check := func(kind string, err error, trailer metadata.MD) {
			t.Helper()
			s, _ := status.FromError(err)
			if s.Code() != codes.Code(want.GetCode()) || s.Message() != want.GetMessage() {
				t.Errorf("%s: got %v %q instead of %v %q", kind, s.Code(), s.Message(), want.GetCode(), want.GetMessage())
			}
			details := s.Details()
			if len(details) != 1 {
				t.Errorf("%s: %d details", kind, len(details))
			} else if d, ok := details[0].(*pb.EchoStatus); !ok || d.GetMessage() != want.GetMessage() {
				t.Errorf("%s: the details are %v", kind, details[0])
			}
			if got := trailer.Get(echoInTrailer); !slices.Equal(got, []string{"t"}) {
				t.Errorf("%s: in the trailers: %q", kind, got)
			}
		}
		var trailer metadata.MD
		ctx := w.as(t, w.alice, echoInTrailer, "t")
		_, err := w.client.UnaryCall(ctx, &pb.SimpleRequest{ResponseStatus: want}, grpc.Trailer(&trailer))
		check("unary", err, trailer)

		// The answer has begun, and messages have arrived, when it fails.
		stream, err := w.client.FullDuplexCall(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range []*pb.StreamingOutputCallRequest{{ResponseParameters: sizes(3)}, {ResponseStatus: want}} {
			if err := stream.Send(m); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := stream.Recv(); err != nil {
			t.Fatal(err)
		}
		_, err = stream.Recv()
		check("bidi", err, stream.Trailer())
	}
}

func (w *way) unimplemented(t *testing.T) {
	_, err := w.client.UnimplementedCall(w.as(t, w.alice), &pb.Empty{})
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("got %v", err)
	}
}
