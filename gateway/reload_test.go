package gateway_test

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/admin"
	"github.com/sallyport/sallyport/gateway/config"
)

// write puts text into the configuration file, all of it at once.
func (s *site) write(t *testing.T, text string) {
	t.Helper()
	next := s.file + ".next"
	if err := os.WriteFile(next, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, s.file); err != nil {
		t.Fatal(err)
	}
}

// yaml is the configuration with changes.
func (s *site) yaml(change func(*plan)) string {
	p := s.plan
	change(&p)
	return siteYAML(&p, s.keys)
}

// reload has the gateway take its configuration with changes.
func (s *site) reload(t *testing.T, change func(*plan)) {
	t.Helper()
	s.write(t, s.yaml(change))
	if err := s.gw.Reload(t.Context(), gateway.TriggerSignal); err != nil {
		t.Fatalf("the configuration was refused:\n%v", err)
	}
}

// refusedReload has the gateway read a text that it can't take, and returns why.
func (s *site) refusedReload(t *testing.T, text string) string {
	t.Helper()
	s.write(t, text)
	err := s.gw.Reload(t.Context(), gateway.TriggerSignal)
	if err == nil {
		t.Fatal("it was taken")
	}
	return err.Error()
}

func (s *site) reloadStatus(t *testing.T) admin.ReloadStatus {
	t.Helper()
	var status admin.ReloadStatus
	if code, text := s.ask(t, http.MethodGet, "/reload", nil, &status); code != http.StatusOK {
		t.Fatal(code, text)
	}
	return status
}

// TestAReloadChangesEverythingButWhatOnlyARestartCan takes one kind of change after the
// other, with one session and one stream that outlive them all.
func TestAReloadChangesEverythingButWhatOnlyARestartCan(t *testing.T) {
	t.Parallel()
	app := newStreamingApp(t)
	s := newSite(t, plan{upstream: app.URL, followed: true, adminToken: adminToken(t)})
	alice := s.newSession(t, "alice", "")
	stream := s.socket(t, "/ws/echo", "Cookie: "+alice)
	say(t, stream)
	get := func(target string, lines ...string) answer {
		return s.raw(t, s.request("GET", target, append(lines, "Cookie: "+alice)...))
	}

	s.reload(t, func(p *plan) { p.routes = `- {name: new, paths: [/new/], upstream: "` + app.URL + `", policy: admins}` })
	if got := get("/new/"); got.StatusCode != http.StatusForbidden {
		t.Errorf("the new route answers %d", got.StatusCode)
	}
	s.reload(t, func(p *plan) { p.limits = "max_headers: 8" })
	if got := get("/", "A: 1", "B: 1", "C: 1", "D: 1", "E: 1", "F: 1", "G: 1"); got.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("with more headers than there may be: %d", got.StatusCode)
	}
	s.reload(t, func(p *plan) { p.limits = "max_header_bytes: 8KiB" }) // which makes another server
	if got := get("/", "A: "+strings.Repeat("a", 20<<10)); got.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("with a header that is too long: %d", got.StatusCode)
	}
	say(t, stream)
	s.reload(t, func(p *plan) { p.session = "cookie: {name: other}" })
	if got := get("/"); got.StatusCode != http.StatusUnauthorized {
		t.Errorf("the cookie has another name, and with the former one the answer is %d", got.StatusCode)
	}
	s.reload(t, func(*plan) {})
	if got := get("/"); got.StatusCode != http.StatusNotFound { // which is the application's answer
		t.Errorf("with everything as it was: %d", got.StatusCode)
	}

	status := s.reloadStatus(t)
	if status.Generation != 6 || status.Last == nil || status.Last.Result != "taken" || status.File != s.file {
		t.Errorf("%+v", status)
	}
	if got := s.metric(t, `sallyport_config_reloads_total{result="taken"}`); got != "5" {
		t.Errorf("%s reloads are counted", got)
	}
	if code, text := s.ask(t, http.MethodPost, "/reload", nil, nil); code != http.StatusOK || !strings.Contains(text, `"generation":7`) {
		t.Error(code, text)
	}
}

// TestStreamsAreJudgedByTheNewConfiguration: what would not be let in any more ends as
// soon as after a change of groups.
func TestStreamsAreJudgedByTheNewConfiguration(t *testing.T) {
	t.Parallel()
	app := newStreamingApp(t)
	s := newSite(t, plan{upstream: app.URL, followed: true})
	alice, root := s.newSession(t, "alice", ""), s.newSession(t, "root", "")
	hers, his := s.socket(t, "/ws/echo", "Cookie: "+alice), s.socket(t, "/ws/echo", "Cookie: "+root)
	over := listen(t, hers)
	yaml := s.yaml(func(*plan) {})
	s.write(t, strings.Replace(yaml, `{name: ws, paths: [/ws/], upstream: "`+app.URL+`", policy: users}`, `{name: ws, paths: [/ws/], upstream: "`+app.URL+`", policy: admins}`, 1))
	if err := s.gw.Reload(t.Context(), gateway.TriggerSignal); err != nil {
		t.Fatal(err)
	}
	endsWith(t, over, websocket.StatusPolicyViolation)
	say(t, his)
}

// TestAReloadThatOnlyARestartCanDoIsRefusedAsAWhole: each key is named.
func TestAReloadThatOnlyARestartCanDoIsRefusedAsAWhole(t *testing.T) {
	t.Parallel()
	s := newSite(t, plan{followed: true, adminToken: adminToken(t)})
	text := s.yaml(func(p *plan) { p.routes = `- {name: new, paths: [/new/], upstream: "$UP", public: true}` })
	text = strings.Replace(text, `embedded: {path: ""}`, `embedded: {path: "`+filepath.Join(t.TempDir(), "db")+`"}`, 1)
	text = strings.Replace(text, `admin: {listen: ""`, `admin: {listen: "127.0.0.1:0"`, 1)
	text = strings.ReplaceAll(text, "$UP", "http://"+s.upstream.addr)
	err := s.refusedReload(t, text)
	for _, want := range []string{"session.embedded.path: only a restart", "admin.listen: only a restart", s.file + ":"} {
		if !strings.Contains(err, want) {
			t.Errorf("it is not told: %q\n%s", want, err)
		}
	}
	if got := s.raw(t, s.request("GET", "/new/")); got.StatusCode == http.StatusOK {
		t.Error("half of it was taken")
	}
	status := s.reloadStatus(t)
	if status.Generation != 1 || status.Last == nil || status.Last.Result != "refused" || len(status.Last.Faults) != 2 || status.Last.Faults[0].Line == 0 {
		t.Errorf("%+v", status.Last)
	}
	if code, ready := s.readiness(t); code != http.StatusOK || !strings.Contains(ready, `"name":"configuration","status":"failing"`) {
		t.Errorf("%d, %s", code, ready)
	}
	if s.metric(t, "sallyport_config_last_reload_successful") != "0" || s.metric(t, `sallyport_config_reloads_total{result="refused"}`) != "1" {
		t.Error("the metrics don't tell")
	}
	if log := s.logText.String(); !strings.Contains(log, "admin.listen: only a restart can change this") {
		t.Error("the log does not tell")
	}
}

// TestListenersComeAndGoByReload: an address that stays keeps its socket.
func TestListenersComeAndGoByReload(t *testing.T) {
	t.Parallel()
	s := newSite(t, plan{listeners: "{name: a, listen: '127.0.0.1:0'}", followed: true})
	before, held := s.gw.Addr().String(), s.dial(t)
	defer held.Close()
	s.reload(t, func(p *plan) {
		p.listeners = "{name: a, listen: '127.0.0.1:0', policy: admins}, {name: b, listen: 'localhost:0'}"
	})
	all := s.gw.Addresses()
	if len(all) != 2 || all[0].Addr.String() != before {
		t.Fatalf("%v, and before %s", all, before)
	}
	alice := s.signIn(t, "alice")
	for i, want := range []int{http.StatusForbidden, http.StatusOK} {
		if got := s.by(i).raw(t, s.request("GET", "/", "Cookie: "+alice)); got.StatusCode != want {
			t.Errorf("by listener %d: %d", i, got.StatusCode)
		}
	}
	s.write(t, s.yaml(func(p *plan) { p.listeners = "{name: a, listen: '127.0.0.1:0'}, {name: c, listen: '" + before + "'}" }))
	err := s.gw.Reload(t.Context(), gateway.TriggerSignal)
	if _, ok := errors.AsType[config.Faults](err); !ok || !strings.Contains(err.Error(), "server.listeners[1].listen") {
		t.Errorf("an address that is taken: %v", err)
	}
	if got := len(s.gw.Addresses()); got != 2 {
		t.Errorf("%d sockets are open", got)
	}
}
