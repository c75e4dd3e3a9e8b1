//go:build e2e && linux

package compare

import (
	"fmt"
	"path/filepath"

	"github.com/sallyport/sallyport/gateway/e2e/env"
	"github.com/sallyport/sallyport/gateway/porttest"
)

// startNginx runs one worker. Without a gateway it protects nothing; with one it asks
// it about each request, over connections that it keeps.
func (b *bench) startNginx(g *gateway) *contender {
	b.tb.Helper()
	dir := b.tb.TempDir()
	port := porttest.Free(b.tb)
	auth, check := "", ""
	if g != nil {
		auth = `auth_request /allowed;
            auth_request_set $user $upstream_http_x_forwarded_user;
            auth_request_set $email $upstream_http_x_forwarded_email;
            auth_request_set $groups $upstream_http_x_forwarded_groups;
            auth_request_set $name $upstream_http_x_forwarded_preferred_username;
            proxy_set_header X-Forwarded-User $user;
            proxy_set_header X-Forwarded-Email $email;
            proxy_set_header X-Forwarded-Groups $groups;
            proxy_set_header X-Forwarded-Preferred-Username $name;`
		check = fmt.Sprintf(`
    upstream sallyport { server %s; keepalive 64; keepalive_requests 100000000; }`, g.address)
	}
	location := ""
	if g != nil {
		location = `
        location = /allowed {
            internal;
            proxy_pass http://sallyport/.auth/check/nginx;
            proxy_pass_request_body off;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Content-Length "";
            proxy_set_header X-Original-URL $scheme://$host$request_uri;
            proxy_set_header X-Original-Method $request_method;
            proxy_set_header X-Forwarded-For $remote_addr;
        }`
	}
	path := env.WriteFile(b.tb, dir, "nginx.conf", fmt.Sprintf(`
daemon off;
worker_processes 1;
pid %[1]s/nginx.pid;
error_log stderr;
events { worker_connections 1024; }
http {
    access_log off;
    client_body_temp_path %[1]s/body;
    proxy_temp_path %[1]s/proxy;
    fastcgi_temp_path %[1]s/fastcgi;
    scgi_temp_path %[1]s/scgi;
    uwsgi_temp_path %[1]s/uwsgi;
    keepalive_requests 100000000;
    upstream app { server %[2]s; keepalive 64; keepalive_requests 100000000; }%[4]s
    server {
        listen 127.0.0.1:%[3]d;
        location / {
            %[5]s
            proxy_pass http://app;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
        }%[6]s
    }
}
`, dir, b.app, port, check, auth, location))
	p := b.pinned(dir, []string{"PATH=/usr/local/sbin:/usr/sbin:/usr/local/bin:/usr/bin:/bin"}, "nginx", "-p", dir, "-e", "stderr", "-c", filepath.Clean(path))
	b.tb.Cleanup(func() { p.Stop() }) // asked to, it ends its worker as well
	p.WaitHTTP(fmt.Sprintf("http://127.0.0.1:%d/", port))
	c := &contender{name: nameNginx, address: local(port), processes: []*env.Process{p}}
	if g != nil {
		c.name = nameNginxAuth
		c.processes = append(c.processes, g.Process)
	}
	return c
}
