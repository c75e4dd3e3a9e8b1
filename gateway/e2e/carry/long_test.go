//go:build e2e && long

package carry_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
)

// TestStreamsLiveForTenMinutes, each with as little going on as it has in life: an
// event every second, a WebSocket and a gRPC stream on which nobody speaks until
// the end, and an upload of a byte a second. The limits for heads and for idle
// connections are far shorter. It takes ten minutes where -parallel lets all of them
// run at once.
func TestStreamsLiveForTenMinutes(t *testing.T) {
	const life = 10 * time.Minute
	app := application(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/upload") {
			n, err := io.Copy(io.Discard, r.Body)
			fmt.Fprint(w, n, err)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for n := 0; n <= int(life/time.Second); n++ {
			fmt.Fprintf(w, "data: %d\n", n)
			_ = http.NewResponseController(w).Flush()
			select {
			case <-r.Context().Done():
				return
			case <-tick.C:
			}
		}
	})
	talk := startChat(t, libraries()["gorilla"])
	_, calls := startCalls(t, nil)
	g := start(t, plan{
		tls: true, server: "limits: {read_header_timeout: 5s, idle_timeout: 10s}",
		routes: grpcRoutes("h2c://"+calls, ", policy: authenticated") + "\n" + bothWays(app) +
			fmt.Sprintf("\n  - {name: chat, paths: [/chat], upstream: %q, policy: authenticated}", talk.url),
	})
	cookie := g.signIn(t, "alice")
	t.Run("streams", func(t *testing.T) {
		for _, protocol := range []string{"http/1.1", "h2"} {
			t.Run("events over "+protocol, func(t *testing.T) {
				t.Parallel()
				res := get(t.Context(), t, g.speak(t, protocol), g.URL+"/one/events", cookie)
				defer res.Body.Close()
				lines, n := bufio.NewScanner(res.Body), 0
				for lines.Scan() {
					if want := fmt.Sprintf("data: %d", n); lines.Text() != want {
						t.Fatalf("%q instead of %q", lines.Text(), want)
					}
					n++
				}
				if n != int(life/time.Second)+1 || lines.Err() != nil {
					t.Errorf("%d events, %v", n, lines.Err())
				}
			})
			t.Run("an upload over "+protocol, func(t *testing.T) {
				t.Parallel()
				in, out := io.Pipe()
				go func() {
					tick := time.NewTicker(time.Second)
					defer tick.Stop()
					for range life / time.Second {
						_, _ = out.Write([]byte{1})
						<-tick.C
					}
					_ = out.Close()
				}()
				status, text, err := put(t.Context(), g.speak(t, protocol), g.URL+"/two/upload", cookie, in, -1)
				if want := fmt.Sprint(int64(life/time.Second), nil); err != nil || status != http.StatusOK || text != want {
					t.Errorf("%d %q, %v", status, text, err)
				}
			})
		}
		t.Run("a WebSocket", func(t *testing.T) {
			t.Parallel()
			c := g.open(t, libraries()["gorilla"], "/chat", cookie, socketOptions{})
			c.echoed(t, text, []byte("hello"))
			<-time.After(life)
			c.echoed(t, text, []byte("still here"))
		})
		t.Run("a gRPC stream", func(t *testing.T) {
			t.Parallel()
			stream, err := pb.NewTestServiceClient(g.connect(t)).FullDuplexCall(metadata.AppendToOutgoingContext(t.Context(), "cookie", cookie))
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if err := stream.Send(&pb.StreamingOutputCallRequest{ResponseParameters: sizes(1)}); err != nil {
					t.Fatal(err)
				}
				if _, err := stream.Recv(); err != nil {
					t.Fatal(err)
				}
				<-time.After(life / 2)
			}
		})
	})
}

// TestMinutesOfLoadLeaveNothingBehind: after minutes of h2load, of large bodies and
// of clients that leave, every request was answered, and the gateway has as many
// goroutines and as much memory as before.
func TestMinutesOfLoadLeaveNothingBehind(t *testing.T) {
	const life = 3 * time.Minute
	g := start(t, plan{tls: true, routes: bothWays(application(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && r.URL.Query().Has("size") {
			warehouse(w, r)
			return
		}
		mirror(w, r)
	}))})
	cookie := g.signIn(t, "alice")
	get(t.Context(), t, g.client, g.URL+"/one", cookie).Body.Close()
	before, memory := g.metric(t, "go_goroutines"), g.heap(t)
	until := time.Now().Add(life)
	var wait sync.WaitGroup
	for path, args := range map[string][]string{"/one": {"-c", "8", "-m", "32"}, "/two": {"-c", "2", "-m", "100"}, "/one/stream": {"--h1", "-c", "20"}} {
		wait.Go(func() {
			runs := 0
			for ; time.Now().Before(until) && !t.Failed(); runs++ {
				all := append(args, "-n", "20000", "-H", "cookie: "+cookie, g.URL+path)
				out, err := exec.CommandContext(t.Context(), "h2load", all...).CombinedOutput()
				if err != nil || !bytes.Contains(out, []byte("status codes: 20000 2xx, 0 3xx, 0 4xx, 0 5xx")) {
					t.Errorf("h2load %q: %v\n%s", args, err, out)
				}
			}
			t.Logf("%s: %d requests", path, runs*20_000)
		})
	}
	for _, protocol := range []string{"http/1.1", "h2"} {
		wait.Go(func() {
			client, n := g.speak(t, protocol), 0
			for ; time.Now().Before(until) && !t.Failed(); n++ {
				ctx, leave := context.WithCancel(t.Context())
				res := get(ctx, t, client, g.URL+"/two?size=100000000", cookie)
				_, _ = io.CopyN(io.Discard, res.Body, 1<<20)
				leave()
				res.Body.Close()
			}
			t.Logf("%d clients left amid a download over %s", n, protocol)
		})
	}
	wait.Wait()
	var goroutines int64
	deadline := time.Now().Add(2 * time.Minute) // for idle connections to end, on both sides
	for goroutines = g.metric(t, "go_goroutines"); goroutines > before+10 && time.Now().Before(deadline); goroutines = g.metric(t, "go_goroutines") {
		<-time.After(time.Second)
	}
	t.Logf("goroutines %d before, %d after; heap %.1f MiB before, %.1f after", before, goroutines, float64(memory)/(1<<20), float64(g.heap(t))/(1<<20))
	if goroutines > before+10 {
		t.Errorf("%d goroutines instead of %d", goroutines, before)
	}
	if after := g.heap(t); after > memory+4*maxGrowth { // with what is not collected yet
		t.Errorf("the heap has %d bytes instead of %d", after, memory)
	}
}
