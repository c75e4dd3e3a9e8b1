//go:build e2e

package env

import (
	"fmt"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/sallyport/sallyport/gateway/porttest"
)

// Nginx is a running nginx on loopback.
type Nginx struct {
	*Process
	URL string
	Dir string // its prefix: relative paths of its configuration are below
}

// StartNginx runs nginx with one server, whose block has this content, and files
// below Dir that the test puts there.
func StartNginx(tb testing.TB, dir, server string) *Nginx {
	tb.Helper()
	port := porttest.Free(tb)
	conf := WriteFile(tb, dir, "nginx.conf", fmt.Sprintf(`
daemon off;
master_process off;
pid nginx.pid;
error_log stderr warn;
events { worker_connections 1024; }
http {
  types { text/html html; text/plain txt; application/json json; image/png png; }
  default_type application/octet-stream;
  access_log off;
  client_body_temp_path tmp-body; proxy_temp_path tmp-proxy; fastcgi_temp_path tmp-fastcgi;
  uwsgi_temp_path tmp-uwsgi; scgi_temp_path tmp-scgi;
  server {
    listen 127.0.0.1:%d;
    %s
  }
}
`, port, server))
	n := &Nginx{URL: "http://127.0.0.1:" + strconv.Itoa(port), Dir: dir}
	n.Process = Start(tb, dir, nil, nginx(), "-p", dir, "-e", "stderr", "-c", filepath.Base(conf))
	n.WaitHTTP(n.URL + "/")
	return n
}

// nginx is where Debian puts it, which is not on everybody's path.
func nginx() string { return "/usr/sbin/nginx" }
