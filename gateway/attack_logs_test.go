package gateway_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway"
)

// TestLogInjection (CVE-2020-36567, CVE-2025-25294): every record is one line of
// JSON, with the fields that the gateway gave it and no others.
func TestLogInjection(t *testing.T) {
	s := newSite(t, plan{providers: `- {name: corp, type: oidc, issuer: "http://127.0.0.1:1", client_id: app, client_secret: "0123456789abcdef"}`})
	fake := `","admin":true,"x":"`
	requests := []string{
		"/app/x%0d%0a%7b%22level%22:%22info%22%7d", "/app/%1b[31mred", "/app/" + url.PathEscape(fake), "/app/%e2%80%a8x", "/public/" + fake,
		"/public/%22,%22admin%22:true", "/public/" + strings.Repeat("x", 20000), "/public/?" + fake, "/x/..;" + fake, "/public/\xff\xfe", "/public/%ff",
	}
	for _, target := range requests {
		s.as(t, "", target, "User-Agent: "+fake, "Referer: "+fake, "X-Request-Id: "+fake, "X-Forwarded-For: "+fake)
	}
	for _, id := range []string{"a b", "short", strings.Repeat("a", 65), "00000000\x1b", "{\"a\":1}00", "abcdefgh,ijkl", ""} {
		s.as(t, "", "/public/", "X-Request-Id: "+id)
	}
	s.as(t, "", "/public/", "X-Request-Id: 0123456789", "X-Request-Id: 9876543210")
	s.as(t, "", "/", "Host: "+strings.Repeat("a", 300)+".test")
	s.raw(t, s.request("METHOD"+strings.Repeat("X", 2000), "/app", "Connection: close"))
	s.as(t, "", "/api/", "Authorization: Bearer "+s.token(t, map[string]any{"sub": "x\r\n" + fake + "\x1b[31m" + strings.Repeat("s", 3000)}))
	kid := base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"alg":"ES256","kid":%q}`, "\r\n"+fake+"\x1b[31m"+strings.Repeat("k", 3000)))
	s.as(t, "", "/api/", "Authorization: Bearer "+kid+"."+base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"`+tokenIssuer+`"}`))+".c2ln")
	for _, provider := range []string{"dev", "corp"} {
		s.as(t, "", "/.auth/callback/"+provider+"?error=x&state=x&error_description="+url.QueryEscape("\r\n"+fake+"\x1b[31m"+strings.Repeat("d", 3000)), "Accept: text/html")
	}
	s.post(t, "/.auth/login", url.Values{"provider": {"dev"}, "username": {"\r\n" + fake}})

	poll(t, "the last request to be logged", func() bool { return strings.Contains(s.logText.String(), `"path":"/.auth/login"`) })
	for line := range strings.Lines(s.logText.String()) {
		var record map[string]any
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Errorf("%v in %q", err, line)
			continue
		}
		if _, ok := record["admin"]; ok || strings.ContainsAny(strings.TrimSuffix(line, "\n"), "\r\n\x1b\x00") {
			t.Errorf("the record is %q", line)
		}
		for name, v := range record {
			if text, ok := v.(string); ok && len(text) > 600 {
				t.Errorf("%s takes %d bytes", name, len(text))
			}
		}
		if id, _ := record["request_id"].(string); strings.ContainsAny(id, ` "{},`) || len(id) > 64 {
			t.Errorf("the request id %q was taken from the client", id)
		}
	}
}

// TestNoSecretIsLogged plants secrets wherever a client, a user or an operator
// can have one, drives sign-ins, failures and forwarding, and reads all of it at
// debug level.
func TestNoSecretIsLogged(t *testing.T) {
	const password, clientSecret = "correct-horse-battery-staple", "planted-client-secret-0123456789"
	hash, err := gateway.HashPassword(password)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	accounts, secretFile := filepath.Join(dir, "users.yaml"), filepath.Join(dir, "secret")
	for file, text := range map[string]string{
		accounts:   fmt.Sprintf("users:\n  - {username: eve, password_hash: %q, groups: [users]}\n", hash),
		secretFile: clientSecret,
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := newSite(t, plan{providers: fmt.Sprintf("- {name: local, type: users, file: %s}", accounts)})
	corp := newSite(t, plan{providers: fmt.Sprintf(
		`- {name: corp, type: oidc, issuer: "http://127.0.0.1:1", client_id: app, client_secret_file: %s}`, secretFile)})

	var secrets []string
	plant := func(text string) string {
		secrets = append(secrets, text)
		return text
	}
	plant(password)
	plant(clientSecret)
	plant(hash)

	in := s.post(t, "/.auth/login", url.Values{"provider": {"local"}, "username": {"eve"}, "password": {password}})
	if in.StatusCode != http.StatusSeeOther {
		t.Fatalf("sign-in: %d\n%s", in.StatusCode, in.text)
	}
	session := in.Cookies()[0]
	plant(session.Value)
	cookie := "Cookie: " + session.Name + "=" + session.Value + "; app=" + plant("planted-application-cookie")
	s.post(t, "/.auth/login", url.Values{"provider": {"local"}, "username": {"eve"}, "password": {plant("planted-wrong-password")}})
	s.post(t, "/.auth/login?password="+plant("planted-query-password"), url.Values{"provider": {"local"}, "password": {plant("planted-nameless-password")}})
	s.raw(t, s.request("POST", "/.auth/login", "Content-Type: text/plain", "Content-Length: 24", "Connection: close")+plant("password=planted-in-text"))

	good := plant(s.token(t, nil))
	s.as(t, "", "/api/?access_token="+plant("planted-query-token"), "Authorization: Bearer "+good)
	s.as(t, "", "/api/", "Authorization: Bearer "+plant(good[:len(good)-3]+"AAA"))
	s.as(t, "", "/api/", "Authorization: Bearer "+plant(s.token(t, map[string]any{"exp": 1})))
	s.as(t, "", "/api/", "Authorization: Bearer "+plant("planted-opaque-token"))
	s.as(t, "", "/app", "Authorization: Basic "+plant("cGxhbnRlZDpiYXNpYw=="))
	s.as(t, "", "/public/", "Authorization: Basic "+plant("cHVibGljOnBsYW50ZWQ="), "X-Api-Key: "+plant("planted-api-key"))
	corp.as(t, "", "/.auth/callback/corp?code="+plant("planted-code")+"&state="+plant("planted-state"))
	corp.as(t, "", "/.auth/callback/corp?code=x&state=y&id_token="+plant("planted-id-token"))
	corp.as(t, "", "/.auth/login?provider=corp&return_to="+url.QueryEscape("/app?token="+plant("planted-return-token")), "Accept: text/html")
	corp.post(t, "/.auth/backchannel-logout/corp", url.Values{"logout_token": {plant("planted.logout.token")}})
	corp.as(t, "", "/.auth/frontchannel-logout/corp?iss=x&sid="+plant("planted-provider-session"))
	corp.as(t, "", "/.auth/logout?id_token_hint="+plant("planted-hint")+"&state="+plant("planted-logout-state"), "Accept: text/html")
	s.upstream.answers("HTTP/1.1 200 OK\r\nSet-Cookie: app=" + plant("planted-set-cookie") + "\r\nContent-Length: 0\r\n\r\n")
	s.as(t, "", "/app", cookie)
	s.upstream.answers("HTTP/1.1 500 " + plant("planted-reason") + "\r\nContent-Length: 0\r\n\r\n")
	s.as(t, "", "/app", cookie)
	s.as(t, "", "/admin/", cookie)
	s.as(t, "", "/app/../x?q="+plant("planted-bad-query"), cookie)
	s.as(t, "", "/app", "Cookie: sp="+plant("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"))
	s.as(t, "", "/.auth/logout", cookie, "Accept: text/html")
	out := s.post(t, "/.auth/logout", url.Values{"csrf": {plant("planted-form-token")}}, cookie, "Sec-Fetch-Site: same-origin")
	if out.StatusCode != http.StatusSeeOther {
		t.Fatalf("sign-out: %d\n%s", out.StatusCode, out.text)
	}
	for _, a := range s.as(t, "", "/.auth/login", "Accept: text/html").Cookies() {
		plant(a.Value)
	}

	poll(t, "everything to be logged", func() bool { return strings.Contains(s.logText.String(), `"event":"logout"`) })
	poll(t, "the callbacks to be logged", func() bool { return strings.Count(corp.logText.String(), `"path":"/.auth/`) >= 3 })
	log := s.logText.String() + corp.logText.String()
	for _, secret := range secrets {
		if strings.Contains(log, secret) {
			for line := range strings.Lines(log) {
				if strings.Contains(line, secret) {
					t.Errorf("%q is in the log:\n%s", secret, line)
				}
			}
		}
	}
	if strings.Count(log, "\n") < 25 || !strings.Contains(log, `"event":"login"`) {
		t.Errorf("the log is too short to prove anything:\n%s", log)
	}
}
