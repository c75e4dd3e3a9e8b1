//go:build e2e

package ingress_test

import (
	"net"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/e2e/env"
)

// addresses are what differs between the files of deploy/ and a test.
type addresses struct{ listen, sallyport, application string }

// runProxy runs the proxy of a folder with the files that are there.
func runProxy(t *testing.T, name string, a addresses) {
	t.Helper()
	dir := t.TempDir()
	var p *env.Process
	switch name {
	case "nginx":
		p = runNginx(t, dir, a)
	case "caddy":
		env.WriteFile(t, dir, "Caddyfile", deployed(t, name, "Caddyfile"))
		_, port, err := net.SplitHostPort(a.listen)
		if err != nil {
			t.Fatal(err)
		}
		p = env.Start(t, dir, []string{
			"SITE=http://localhost:" + port, "SALLYPORT=" + a.sallyport, "APPLICATION=" + a.application, "XDG_DATA_HOME=" + dir, "XDG_CONFIG_HOME=" + dir,
		}, "caddy", "run", "--config", "Caddyfile", "--adapter", "caddyfile")
	case "haproxy":
		script := env.WriteFile(t, dir, "sallyport.lua", deployed(t, name, "sallyport.lua"))
		env.WriteFile(t, dir, "haproxy.cfg", replaced(t, deployed(t, name, "haproxy.cfg"), "/etc/haproxy/sallyport.lua", script))
		p = env.Start(t, dir, []string{"BIND=" + a.listen, "SALLYPORT=" + a.sallyport, "APPLICATION=" + a.application}, "/usr/sbin/haproxy", "-db", "-f", "haproxy.cfg")
	default:
		t.Fatalf("there is no %s", name)
	}
	p.WaitHTTP("http://" + a.listen + "/.auth/me")
}

// runNginx puts the file into an http block, as the nginx.conf of a distribution
// does, with nothing in it that nginx would not do by itself but paths.
func runNginx(t *testing.T, dir string, a addresses) *env.Process {
	t.Helper()
	env.WriteFile(t, dir, "sallyport.conf", replaced(t, deployed(t, "nginx", "sallyport.conf"),
		"127.0.0.1:8080", a.listen, "127.0.0.1:8081", a.sallyport, "127.0.0.1:3000", a.application))
	env.WriteFile(t, dir, "nginx.conf", `
daemon off;
master_process off;
pid nginx.pid;
error_log stderr warn;
events {}
http {
  access_log off;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
  include sallyport.conf;
}
`)
	return env.Start(t, dir, nil, "/usr/sbin/nginx", "-p", dir, "-e", "stderr", "-c", "nginx.conf")
}

// replaced changes what a user would change, each of which has to be there.
func replaced(t *testing.T, text string, pairs ...string) string {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			t.Fatalf("nothing says %s", pairs[i])
		}
	}
	return strings.NewReplacer(pairs...).Replace(text)
}
