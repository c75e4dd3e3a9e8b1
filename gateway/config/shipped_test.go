package config_test

import (
	"errors"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/config"
)

const shipped = "../../config.yaml"

func TestShippedConfigurationLoads(t *testing.T) {
	c, err := config.Load(shipped, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !c.Server.Loopback() || c.Server.Listen != "127.0.0.1:8080" || c.Admin.Listen != "127.0.0.1:9080" {
		t.Errorf("it can be reached from other machines: %+v", c.Server)
	}
	var subjects []string
	for _, id := range c.Login.Providers[0].Identities {
		subjects = append(subjects, id.Subject)
	}
	if got := strings.Join(subjects, " "); got != "alice bob carol" {
		t.Errorf("identities are %s", got)
	}
	if r := c.Routes[0]; r.Name != "app" || !slices.Equal(r.Upstream, config.Upstreams{"builtin:echo"}) || r.Policy != "staff" || r.Public {
		t.Errorf("route is %+v", r)
	}
}

// Whoever removes the # from an example gets a working setting: with all of
// them removed, nothing is wrong but that the files are not there. That is so
// for either store.
func TestCommentedSettingsOfTheShippedConfigurationWork(t *testing.T) {
	data, err := os.ReadFile(shipped)
	if err != nil {
		t.Fatal(err)
	}
	off := regexp.MustCompile(`(?m)^( *)#([^\s#])`)
	if n := len(off.FindAll(data, -1)); n < 30 {
		t.Errorf("only %d settings are switched off", n)
	}
	for _, store := range []string{"embedded", "valkey"} {
		_, err = config.Parse("config.yaml", off.ReplaceAll(data, []byte("$1$2")), []string{"SALLYPORT_SESSION__STORE=" + store})
		faults, _ := errors.AsType[config.Faults](err)
		if len(faults) == 0 {
			t.Fatalf("%s: no missing file is reported: %v", store, err)
		}
		for _, f := range faults {
			if !strings.Contains(f.Problem, "no such file") {
				t.Errorf("%s: %s", store, f.Error())
			}
		}
	}
}

// A newcomer finds every section and every way of signing in here. The keys
// that few people need are in the reference alone, and of a secret only its
// file is shown.
func TestShippedConfigurationTellsOfEveryKeyOutsideLists(t *testing.T) {
	data, err := os.ReadFile(shipped)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(data), "\n"); n >= 240 {
		t.Errorf("it has %d lines", n)
	}
	short := map[string]bool{"issuer": true, "client_id": true, "client_secret_file": true, "upstream": true}
	for _, path := range leafPaths(reflect.TypeFor[config.Config](), "") {
		name := path[strings.LastIndex(path, ".")+1:]
		if _, secret := at(config.Default(), path).(config.Secret); secret {
			continue
		}
		if !short[path] && !regexp.MustCompile(`\b`+name+`:`).Match(data) {
			t.Errorf("says nothing of %s", path)
		}
	}
}
