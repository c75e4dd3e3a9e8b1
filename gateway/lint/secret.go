package lint

import (
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/gateway/config"
)

func secretCodes() []Code {
	return []Code{
		{
			ID: "SP030", Severity: Warning, Title: "a secret stands in the configuration",
			Why:        "Configurations are copied, shown, and kept in version control. A secret that was ever there has to be exchanged.",
			References: []string{"ASVS 13.3.1"},
			Bad: `login:
  providers:
    - name: corp
      type: oidc
      issuer: https://id.example.com
      client_id: app
      client_secret: Fahwoo4e-keish7ieN  # SP030
`,
			Good: `login:
  providers:
    - name: corp
      type: oidc
      issuer: https://id.example.com
      client_id: app
      client_secret_file: /run/secrets/oidc
`,
			find: (*linter).inlineSecrets,
		},
		{
			ID: "SP031", Severity: Warning, Title: "others can read or change a file of secrets",
			Why:        "Every account of the machine, and every program that can be made to show a file, has the secret as well.",
			References: []string{"ASVS 13.3.2", "CWE 732"},
			Bad: `login:
  providers:
    - name: corp
      type: oidc
      issuer: https://id.example.com
      client_id: app
      client_secret_file: /run/secrets/world-readable  # SP031
`,
			Good: `login:
  providers:
    - name: corp
      type: oidc
      issuer: https://id.example.com
      client_id: app
      client_secret_file: /run/secrets/oidc
`,
			find: (*linter).openFiles,
		},
	}
}

// setting is one key of the configuration that has a text.
type setting struct {
	path, key string // key is the last part of path, without the number in a list
	value     string
	secret    bool
}

// settings walks over every text of the configuration, in the order of the schema,
// so that a key which is added later is looked at as well.
func settings(cfg *config.Config) []setting {
	return appendSettings(nil, "", "", reflect.ValueOf(cfg).Elem())
}

func appendSettings(all []setting, path, key string, v reflect.Value) []setting {
	switch v.Kind() { //nolint:exhaustive // numbers and switches are no texts
	case reflect.Pointer:
		if !v.IsNil() {
			return appendSettings(all, path, key, v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			name, ok := v.Type().Field(i).Tag.Lookup("mapstructure")
			switch {
			case name == ",squash":
				all = appendSettings(all, path, key, v.Field(i))
			case ok:
				all = appendSettings(all, strings.TrimPrefix(path+"."+name, "."), name, v.Field(i))
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			all = appendSettings(all, item(path, i), key, v.Index(i))
		}
	case reflect.String:
		if v.String() != "" {
			all = append(all, setting{path, key, v.String(), v.Type() == reflect.TypeFor[config.Secret]()})
		}
	}
	return all
}

// inlineSecrets leaves the environment alone: there the platform puts secrets.
func (l *linter) inlineSecrets() {
	for _, s := range settings(l.Config) {
		if s.secret && !l.FromEnvironment(s.path) {
			l.found(s.path, "is written out", "put it into a file that nobody else can read, and write "+s.key+"_file: FILE; exchange the secret if others have seen it")
		}
	}
}

// secretFiles are the keys that name files of secrets.
func secretFiles() []string {
	return []string{
		"key_file", "client_key_file", "keys_files", "secret_file", "client_secret_file", "password_file", "sentinel_password_file", "token_file", "users_file",
	}
}

func (l *linter) openFiles() {
	seen := map[string]bool{}
	for _, s := range settings(l.Config) {
		users := s.key == "file" && strings.HasPrefix(s.path, "login.providers[")
		database := s.path == "session.embedded.path" && l.Session.Store == config.StoreEmbedded
		if !users && !database && !slices.Contains(secretFiles(), s.key) {
			continue
		}
		// The short form stands twice in the configuration, as it was written and as
		// a provider.
		if file := l.FileName(s.value); !seen[file] {
			seen[file] = true
			l.openFile(s.path, file)
		}
	}
}

func (l *linter) openFile(path, file string) {
	info, err := os.Stat(file)
	if err != nil || !info.Mode().IsRegular() {
		return
	}
	mode := info.Mode().Perm()
	var who string
	switch {
	case mode&0o002 != 0:
		who = "everybody on the machine can change it"
	case mode&0o004 != 0:
		who = "everybody on the machine can read it"
	case mode&0o020 != 0:
		who = "its group can change it"
	default:
		return
	}
	l.found(path, fmt.Sprintf("%s has the mode %04o: %s", quoted(file), mode, who), fmt.Sprintf("chmod %04o it, or in Kubernetes set defaultMode: 0440 with an fsGroup", mode&^fs.FileMode(0o027)))
}
