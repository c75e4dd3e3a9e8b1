package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/config"
)

func TestAdminListenIsReadWhateverElseIsWrong(t *testing.T) {
	tests := map[string]struct{ yaml, env, want, fault string }{
		"as written":                 {yaml: "admin: {listen: 'unix:///run/admin.sock'}", want: "unix:///run/admin.sock"},
		"by default":                 {yaml: "upstream: http://127.0.0.1:3000", want: "127.0.0.1:9080"},
		"off":                        {yaml: "admin: {listen: ''}", want: ""},
		"the environment wins":       {yaml: "admin: {listen: '127.0.0.1:1'}", env: "SALLYPORT_ADMIN__LISTEN=127.0.0.1:2", want: "127.0.0.1:2"},
		"no secrets are there":       {yaml: "admin: {listen: ':9080', token_file: missing}\nsession: {keys_files: [missing]}", want: ":9080"},
		"faults elsewhere":           {yaml: "admin: {listen: ':9080', tokens: 1}\nroutes: nonsense\nrutes: []", env: "SALLYPORT_SERVER__LISTNE=1", want: ":9080"},
		"it is no address":           {yaml: "admin: {listen: 9080}", fault: "admin.listen: "},
		"it is no text":              {yaml: "admin: {listen: [a]}", fault: "admin.listen: "},
		"admin is no section":        {yaml: "admin: true", fault: "admin: "},
		"admin is given twice":       {yaml: "admin: {}\nadmin: {}", fault: "admin: "},
		"there are no keys at all":   {yaml: "- a", fault: "must be a section"},
		"it can't be read as YAML":   {yaml: "admin: [", fault: "YAML"},
		"the file is empty":          {yaml: "", fault: "the file is empty"},
		"the environment is no good": {yaml: "admin: {}", env: "SALLYPORT_ADMIN__LISTEN=9080", fault: "admin.listen: "},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "config.yaml")
			if err := os.WriteFile(file, []byte(tt.yaml), 0o600); err != nil {
				t.Fatal(err)
			}
			admin, err := config.AdminListen(file, []string{tt.env})
			got := admin.Listen
			switch {
			case tt.fault == "" && (err != nil || got != tt.want):
				t.Errorf("got %q, %v, want %q", got, err, tt.want)
			case tt.fault != "" && (err == nil || got != "" || !strings.Contains(err.Error(), tt.fault)):
				t.Errorf("got %q, %v, want a fault with %q", got, err, tt.fault)
			}
		})
	}
}
