//go:build e2e && linux

// Command bare is the proxy that the others are compared with: the standard
// library's, tuned as everybody tunes it who looks at a profile once, with one large
// pool of idle connections, pooled buffers, no compression, and nothing else. It
// proves nothing, logs nothing and counts nothing.
package main

import (
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"runtime"
	"sync"
	"time"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "where to listen")
	admin := flag.String("admin", "127.0.0.1:9080", "where to tell the allocations")
	upstream := flag.String("upstream", "http://127.0.0.1:3000", "where to forward to")
	flag.Parse()
	if err := run(*listen, *admin, *upstream); err != nil {
		log.Fatal(err)
	}
}

func run(listen, admin, upstream string) error {
	u, err := url.Parse(upstream)
	if err != nil {
		return err
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(pr *httputil.ProxyRequest) { pr.SetURL(u) },
		Transport: &http.Transport{
			DialContext:  (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
			MaxIdleConns: 4096, MaxIdleConnsPerHost: 1024, DisableCompression: true,
		},
		BufferPool: &buffers{},
	}
	failed := make(chan error, 2)
	for address, handler := range map[string]http.Handler{listen: proxy, admin: http.HandlerFunc(allocations)} {
		s := &http.Server{Addr: address, Handler: handler, ReadHeaderTimeout: 10 * time.Second}
		go func() { failed <- s.ListenAndServe() }()
	}
	return errors.Join(<-failed)
}

// allocations answers as the gateway's metrics do.
func allocations(w http.ResponseWriter, _ *http.Request) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	fmt.Fprintf(w, "go_memstats_mallocs_total %d\n", m.Mallocs)
}

// buffers lends the buffers for copying bodies.
type buffers struct{ pool sync.Pool }

func (b *buffers) Get() []byte {
	if one, ok := b.pool.Get().(*[32 << 10]byte); ok {
		return one[:]
	}
	return make([]byte, 32<<10)
}

func (b *buffers) Put(one []byte) { b.pool.Put((*[32 << 10]byte)(one)) }
