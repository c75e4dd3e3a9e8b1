//go:build e2e

package carry_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// big is the size of the large bodies, small enough for the memory of a gateway
// that would keep them to show.
const big = 200 << 20

// maxGrowth is what the gateway's heap may grow by while it carries one.
const maxGrowth = 16 << 20

// endless is a body of which no block is like another one.
type endless struct {
	left  int64
	block []byte // what is left of the current block
	n     uint64
	buf   [32 << 10]byte
}

func newBody(size int64) *endless { return &endless{left: size} }

func (e *endless) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	if len(e.block) == 0 {
		e.n++
		binary.BigEndian.PutUint64(e.buf[:], e.n)
		e.block = e.buf[:min(e.left, int64(len(e.buf)))]
	}
	n := copy(p, e.block)
	e.block = e.block[n:]
	e.left -= int64(n)
	return n, nil
}

// digest reads all of r.
func digest(r io.Reader) (string, int64, error) {
	h := sha256.New()
	n, err := io.CopyBuffer(h, struct{ io.Reader }{r}, make([]byte, 64<<10))
	return hex.EncodeToString(h.Sum(nil)), n, err
}

// heap is how much memory the gateway's heap has in use.
func (g *gate) heap(t *testing.T) int64 {
	t.Helper()
	return g.metric(t, "go_memstats_heap_inuse_bytes")
}

// metric reads one sample of the gateway's metrics.
func (g *gate) metric(t *testing.T, sample string) int64 {
	t.Helper()
	res, err := g.client.Get(g.AdminURL + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	all, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(all) {
		if v, ok := bytes.CutPrefix(bytes.TrimSpace(line), []byte(sample+" ")); ok {
			n, err := strconv.ParseFloat(string(v), 64)
			if err != nil {
				t.Fatal(err)
			}
			return int64(n)
		}
	}
	t.Fatalf("the metrics say nothing of %s", sample)
	return 0
}

// flat runs work and fails if the gateway's heap grows meanwhile.
func (g *gate) flat(t *testing.T, work func()) {
	t.Helper()
	before := g.heap(t)
	most := before
	done := make(chan struct{})
	go func() { defer close(done); work() }()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	looks := 0
	for running := true; running; looks++ {
		select {
		case <-done:
			running = false
		case <-tick.C:
			most = max(most, g.heap(t))
		}
	}
	t.Logf("heap before %.1f MiB, at most %.1f MiB in %d looks", float64(before)/(1<<20), float64(most)/(1<<20), looks)
	if most > before+maxGrowth {
		t.Errorf("the heap grew from %d to %d bytes", before, most)
	}
}

// warehouse takes what is put there and says what it got, and gives out bodies.
func warehouse(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		size, _ := strconv.ParseInt(r.URL.Query().Get("size"), 10, 64)
		if r.URL.Query().Has("length") {
			w.Header().Set("Content-Length", fmt.Sprint(size))
		}
		_, _ = io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{newBody(size)}, make([]byte, 64<<10))
		return
	}
	sum, n, err := digest(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	fmt.Fprintf(w, "%s %d %d", sum, n, r.ContentLength)
}

// bothWays are routes to an application over HTTP/1.1 at /one and h2c at /two.
func bothWays(app string) string {
	return fmt.Sprintf(`  - {name: one, paths: [/one], upstream: %q, policy: authenticated}
  - {name: two, paths: [/two], upstream: %q, policy: authenticated}`, app, strings.Replace(app, "http:", "h2c:", 1))
}

// TestLargeBodiesPassWithoutBeingKept: 200 MB each way, of known and unknown length.
// What arrives is what was sent, and the gateway's memory does not notice.
func TestLargeBodiesPassWithoutBeingKept(t *testing.T) {
	routes := bothWays(application(t, warehouse))
	plain, secure := start(t, plan{routes: routes}), start(t, plan{tls: true, routes: routes})
	want, _, _ := digest(newBody(big))
	for _, way := range []struct {
		protocol string
		g        *gate
		path     string
		length   bool
	}{
		{"http/1.1", plain, "/one", true},
		{"http/1.1", secure, "/two", false},
		{"h2", secure, "/one", true},
		{"h2c", plain, "/two", false},
	} {
		cookie, client := way.g.signIn(t, "alice"), way.g.speak(t, way.protocol)
		name := fmt.Sprintf("%s, TLS %v, to %s, known length %v", way.protocol, way.g.CA != nil, way.path, way.length)
		t.Run("upload, "+name, func(t *testing.T) {
			way.g.flat(t, func() {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, way.g.URL+way.path, struct{ io.Reader }{newBody(big)})
				if err != nil {
					t.Error(err)
					return
				}
				length := int64(-1)
				if way.length {
					length = big
				}
				req.ContentLength = length
				req.Header.Set("Cookie", cookie)
				res, err := client.Do(req)
				if err != nil {
					t.Error(err)
					return
				}
				defer res.Body.Close()
				got, err := io.ReadAll(res.Body)
				if err != nil || string(got) != fmt.Sprintf("%s %d %d", want, big, length) {
					t.Errorf("the application got %s %q, %v", res.Status, got, err)
				}
			})
		})
		t.Run("download, "+name, func(t *testing.T) {
			query := fmt.Sprintf("?size=%d", big)
			if way.length {
				query += "&length"
			}
			way.g.flat(t, func() {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, way.g.URL+way.path+query, http.NoBody)
				if err != nil {
					t.Error(err)
					return
				}
				req.Header.Set("Cookie", cookie)
				res, err := client.Do(req)
				if err != nil {
					t.Error(err)
					return
				}
				defer res.Body.Close()
				if got, n, err := digest(res.Body); err != nil || got != want || (res.ContentLength == big) != way.length {
					t.Errorf("got %d bytes of %d, %v", n, res.ContentLength, err)
				}
			})
		})
	}
}
