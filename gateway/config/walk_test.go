package config_test

import (
	"slices"
	"testing"

	"github.com/sallyport/sallyport/gateway/config"
)

const walked = `
login: {providers: [{name: staff, type: users, file: walk.go}]}
session: {keys_files: [walk.go, fault.go]}
routes: [{name: app, paths: [/], upstream: "http://localhost:1", policy: authenticated}]
`

func TestFilesThatTheConfigurationNames(t *testing.T) {
	c, err := config.Parse("file", []byte(walked), nil)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range c.Files() {
		got = append(got, f.Path+" "+f.Name)
	}
	want := []string{"session.keys_files[0] walk.go", "session.keys_files[1] fault.go", "login.providers[0].file walk.go"}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func TestChangedNamesEachKey(t *testing.T) {
	a, err := config.Parse("file", []byte(walked), nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := config.Parse("file", []byte(walked+`
admin: {listen: "127.0.0.1:9999"}
log: {level: debug}
`), []string{"SALLYPORT_SESSION__IDLE_TIMEOUT=7m"})
	if err != nil {
		t.Fatal(err)
	}
	b.Routes[0].Upstream[0] = "http://localhost:2"
	got := config.Changed(a, b)
	want := []string{"admin.listen", "session.idle_timeout", "routes[0].upstream", "log.level"}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if got := config.Changed(a, a); len(got) != 0 {
		t.Errorf("a configuration differs from itself in %q", got)
	}
	b.Routes = append(b.Routes, b.Routes[0])
	if !slices.Contains(config.Changed(a, b), "routes[1].name") {
		t.Error("a route that was added is no change")
	}
}
