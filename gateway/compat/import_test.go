package compat_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/sallyport/sallyport/gateway/compat"
	"github.com/sallyport/sallyport/gateway/config"
)

var update = flag.Bool("update", false, "write the golden files of testdata anew")

// imported turns the files of an archive, but for those that are wanted, into ours.
func imported(t *testing.T, file string) (*txtar.Archive, *compat.Imported) {
	t.Helper()
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var sources []compat.Source
	for _, f := range archive.Files {
		if !strings.HasPrefix(f.Name, "want/") {
			sources = append(sources, compat.Source{Name: f.Name, Data: f.Data})
		}
	}
	got, err := compat.ImportOAuth2Proxy(sources, "secrets")
	if err != nil {
		t.Fatal(err)
	}
	return archive, got
}

func notes(i *compat.Imported) string {
	var b strings.Builder
	kinds := map[compat.NoteKind]string{compat.Lost: "lost", compat.ToDo: "to do", compat.Moot: "moot"}
	for _, n := range i.Notes {
		fmt.Fprintf(&b, "%s: %s: %s: %s\n", kinds[n.Kind], n.Setting, n.Problem, n.Fix)
	}
	for _, s := range i.Secrets {
		fmt.Fprintf(&b, "secret: %s: %s: %v\n", s.File, s.Setting, s.Value != "")
	}
	return b.String()
}

func archives(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) < 5 {
		t.Fatal(files, err)
	}
	return files
}

func TestConfigurationsBecomeWhatIsWanted(t *testing.T) {
	t.Parallel()
	for _, file := range archives(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			archive, got := imported(t, file)
			want := map[string]string{}
			var inputs []txtar.File
			for _, f := range archive.Files {
				if strings.HasPrefix(f.Name, "want/") {
					want[f.Name] = string(f.Data)
				} else {
					inputs = append(inputs, f)
				}
			}
			have := map[string]string{"want/config.yaml": string(got.Config), "want/notes": notes(got)}
			if *update {
				archive.Files = inputs
				for _, name := range []string{"want/config.yaml", "want/notes"} {
					archive.Files = append(archive.Files, txtar.File{Name: name, Data: []byte(have[name])})
				}
				if err := os.WriteFile(file, txtar.Format(archive), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want, have); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestOutcomesLoad, once the files are there that they name.
func TestOutcomesLoad(t *testing.T) {
	t.Parallel()
	for _, file := range archives(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			_, got := imported(t, file)
			_, err := config.Parse("outcome", got.Config, nil)
			faults, _ := errors.AsType[config.Faults](err)
			for _, f := range faults {
				if !strings.HasPrefix(f.Problem, "the file ") {
					t.Error(f)
				}
			}
		})
	}
}

// TestNoSecretIsShown, neither in the configuration nor in what is said about it.
func TestNoSecretIsShown(t *testing.T) {
	t.Parallel()
	found := 0
	for _, file := range archives(t) {
		_, got := imported(t, file)
		all := string(got.Config) + notes(got) + fmt.Sprintf("%v %+v %#v", got.Secrets, got.Secrets, got.Secrets)
		for _, s := range got.Secrets {
			if s.Value == "" {
				continue
			}
			found++
			if strings.Contains(all, s.Value.Reveal()) {
				t.Errorf("%s shows %s", file, s.Setting)
			}
		}
		for _, other := range []string{"the-cookie-secret", "basic-password", "the-signature-key", "OQINaRO", "c2VjcmV0"} {
			if strings.Contains(all, other) {
				t.Errorf("%s shows %s", file, other)
			}
		}
	}
	if found < 5 {
		t.Errorf("only %d secrets were found", found)
	}
}

func TestEverySettingIsAccountedFor(t *testing.T) {
	t.Parallel()
	got, err := compat.ImportOAuth2Proxy([]compat.Source{{Name: "x", Data: []byte("--brand-new=1 --cookie-secret=x --email-domain=* --client-id=a --no-such")}}, "secrets")
	if err != nil {
		t.Fatal(err)
	}
	text := notes(got)
	for _, want := range []string{"lost: brand_new: is not a setting", "lost: no_such: is not a setting", "moot: cookie_secret: "} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is missing:\n%s", want, text)
		}
	}
	if got.Complete() {
		t.Error("the import says that it is complete")
	}
}

// TestRestrictionsThatCannotBeCarriedOverCloseTheDoor: without them, everybody would
// come in.
func TestRestrictionsThatCannotBeCarriedOverCloseTheDoor(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ line, want string }{
		"groups of Google":       {"--provider=google --google-group=a@example.com", "groups: [google_groups a@example.com]"},
		"a repository of GitHub": {"--provider=github --github-repo=a/b", "groups: [github_repo a/b]"},
		"repository and groups":  {"--provider=github --github-repo=a/b --allowed-group=c", "groups: [github_repo a/b]"},
		"projects of GitLab":     {"--provider=gitlab --gitlab-project=a/b", "groups: [gitlab_projects a/b]"},
		"projects or groups":     {"--provider=gitlab --gitlab-project=a/b --gitlab-group=c", "groups: [c, gitlab_projects a/b]"},
		"a team of nowhere":      {"--provider=github --github-team=a", "groups: [github_team a]"},
		"no address at all":      {"--provider=oidc", "email_domains: [example.invalid]"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			line := tt.line + " --client-id=x"
			if name != "no address at all" {
				line += " --email-domain=*"
			}
			got, err := compat.ImportOAuth2Proxy([]compat.Source{{Name: "x", Data: []byte("oauth2-proxy " + line)}}, "secrets")
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(got.Config), tt.want) || !strings.Contains(string(got.Config), "policy: members") || got.Complete() {
				t.Errorf("want %s in\n%s\n%s", tt.want, got.Config, notes(got))
			}
		})
	}
}

func TestUnreadableSourcesSaySo(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ text, want string }{
		"nothing":          {"", "it has no setting"},
		"comments alone":   {"# a = 1\n", "it has no setting"},
		"half a table":     {"email_domains = [\n", "as TOML, line"},
		"something else":   {"hello", "it is neither"},
		"an open quote":    {"oauth2-proxy --client-id='x", "a quote of the command line does not end"},
		"a list of lists":  {"- [a, b]\n", "it is neither"},
		"alpha, misshapen": {"providers: {a: b}\n", "it looks like the alpha configuration"},
		"a broken line":    {"OAUTH2_PROXY_A=b\nhello\n", "line 2 is not NAME=VALUE"},
		"1 MiB":            {strings.Repeat("#", 1<<20+1), "larger than 1 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := compat.ImportOAuth2Proxy([]compat.Source{{Name: "x.cfg", Data: []byte(tt.text)}}, "secrets")
			if _, ok := errors.AsType[*compat.FormatError](err); !ok || got != nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "x.cfg: ") {
				t.Errorf("%v", err)
			}
		})
	}
}

// FuzzImport: whatever the bytes, the outcome loads or there is none.
func FuzzImport(f *testing.F) {
	for _, file := range []string{"proxy", "alpha", "deployment", "command-line", "redis-sentinel"} {
		archive, err := txtar.ParseFile("testdata/" + file + ".txtar")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(archive.Files[0].Data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := compat.ImportOAuth2Proxy([]compat.Source{{Name: "x", Data: data}}, "secrets")
		if (got == nil) == (err == nil) {
			t.Fatal(got, err)
		}
	})
}
