//go:build e2e

package ingress_test

import (
	"net"
	"os"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/e2e/env"
)

// addresses are what differs between the files of deploy/ and a test.
type addresses struct {
	listen, sallyport, application string
	cert, key                      string // files, on https
}

// secured are the lines for https that each README.md has.
func secured(name string) string {
	return map[string]string{
		"nginx":   "listen 443 ssl http2;\nssl_certificate /etc/ssl/site.crt;\nssl_certificate_key /etc/ssl/site.key;",
		"caddy":   "tls /etc/ssl/site.crt /etc/ssl/site.key",
		"haproxy": `bind "${BIND}" ssl crt /etc/haproxy/site.pem alpn h2,http/1.1`,
	}[name]
}

// runProxy runs the proxy of a folder with the files that are there.
func runProxy(t *testing.T, name string, a addresses) {
	t.Helper()
	dir := t.TempDir()
	var p *env.Process
	switch name {
	case "nginx":
		p = runNginx(t, dir, a)
	case "caddy":
		file, scheme := deployed(t, name, "Caddyfile"), "http"
		if a.cert != "" {
			file, scheme = replaced(t, file, "bind {$BIND:127.0.0.1}", "bind {$BIND:127.0.0.1}\n\t"+replaced(t, secured(name), "/etc/ssl/site.crt", a.cert, "/etc/ssl/site.key", a.key)), "https"
		}
		env.WriteFile(t, dir, "Caddyfile", file)
		_, port, err := net.SplitHostPort(a.listen)
		if err != nil {
			t.Fatal(err)
		}
		p = env.Start(t, dir, []string{
			"SITE=" + scheme + "://localhost:" + port, "SALLYPORT=" + a.sallyport, "APPLICATION=" + a.application, "XDG_DATA_HOME=" + dir, "XDG_CONFIG_HOME=" + dir,
		}, "caddy", "run", "--config", "Caddyfile", "--adapter", "caddyfile")
	case "haproxy":
		script := env.WriteFile(t, dir, "sallyport.lua", deployed(t, name, "sallyport.lua"))
		file := replaced(t, deployed(t, name, "haproxy.cfg"), "/etc/haproxy/sallyport.lua", script)
		if a.cert != "" {
			pem := env.WriteFile(t, dir, "site.pem", read(t, a.cert)+read(t, a.key))
			file = replaced(t, file, `bind "${BIND}"`, replaced(t, secured(name), "/etc/haproxy/site.pem", pem))
		}
		env.WriteFile(t, dir, "haproxy.cfg", file)
		p = env.Start(t, dir, []string{"BIND=" + a.listen, "SALLYPORT=" + a.sallyport, "APPLICATION=" + a.application}, "/usr/sbin/haproxy", "-db", "-f", "haproxy.cfg")
	case "traefik":
		runTraefik(t, a)
		return
	default:
		t.Fatalf("there is no %s", name)
	}
	env.WaitUntil(t, name+" listens", func() bool {
		select {
		case <-p.Ended():
			t.Fatalf("%s ended:\n%s", name, p.Output())
		default:
		}
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", a.listen)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
}

// runNginx puts the file into an http block, as the nginx.conf of a distribution
// does, with nothing in it that nginx would not do by itself but paths.
func runNginx(t *testing.T, dir string, a addresses) *env.Process {
	t.Helper()
	listen := "listen " + a.listen + ";"
	if a.cert != "" {
		listen = replaced(t, secured("nginx"), "443", a.listen, "/etc/ssl/site.crt", a.cert, "/etc/ssl/site.key", a.key)
	}
	env.WriteFile(t, dir, "sallyport.conf", replaced(t, deployed(t, "nginx", "sallyport.conf"),
		"listen 127.0.0.1:8080;", listen, "127.0.0.1:8081", a.sallyport, "127.0.0.1:3000", a.application))
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

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
