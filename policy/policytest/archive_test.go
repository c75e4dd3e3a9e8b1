package policytest_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/policy/policytest"
)

const archive = `What this is about is for people.
-- policies.yaml --
policies: []
-- lists/admins.txt --
root
-- first-cases.yaml --
cases:
  - {name: one, policy: p, identity: {subject: a}, expect: deny}
-- more/second.cases.yaml --
defaults: {policy: q}
cases:
  - {name: two, identity: {subject: a}, expect: deny}`

func TestAnArchiveHoldsCasesPoliciesAndFiles(t *testing.T) {
	file, err := policytest.Parse("a.txtar", []byte(archive), at())
	if err != nil {
		t.Fatal(err)
	}
	if file.Config != "a.txtar" || len(file.Cases) != 2 || file.Archive.Whole {
		t.Errorf("%+v", file)
	}
	// Lines are those of the archive.
	lines := strings.Split(archive, "\n")
	for _, c := range file.Cases {
		if !strings.Contains(lines[c.Line-1], "name: "+c.Name) {
			t.Errorf("%s is not on line %d", c.Name, c.Line)
		}
	}
	if at := slices.Index(strings.Split(string(file.Archive.Config), "\n"), lines[2]); at != 2 {
		t.Errorf("the configuration begins after %d lines", at)
	}

	dir := t.TempDir()
	if err := file.Archive.Unpack(dir); err != nil {
		t.Fatal(err)
	}
	var found []string
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			found = append(found, strings.TrimPrefix(path, dir))
		}
		return err
	})
	text, _ := os.ReadFile(filepath.Join(dir, "lists", "admins.txt"))
	if err != nil || !slices.Equal(found, []string{filepath.FromSlash("/lists/admins.txt")}) || string(text) != "root\n" {
		t.Errorf("%v %q %v", found, text, err)
	}
}

func TestFaultyArchivesAreRefused(t *testing.T) {
	const (
		policies = "-- policies.yaml --\npolicies: []\n"
		cases    = "-- cases.yaml --\ncases: [{name: one, policy: p, identity: {subject: a}, expect: deny}]\n"
	)
	for name, tt := range map[string]struct{ text, want string }{
		"nothing":                       {"", "a.txtar: the archive has no cases"},
		"no policies":                   {cases, "a.txtar: the archive has no policies: add policies.yaml"},
		"no cases":                      {policies, "a.txtar: the archive has no cases: add a file that ends in cases.yaml"},
		"two configurations":            {policies + "-- config.yaml --\n" + cases, "a.txtar:3: a second configuration begins here"},
		"a file twice":                  {policies + cases + "-- x --\n-- x --\n", `a.txtar:6: "x" is in the archive twice`},
		"a way out":                     {policies + cases + "-- ../x --\n", `a.txtar:5: "../x" is not the name of a file in the archive`},
		"another way out":               {policies + cases + "-- a/../../x --\n", "is not the name of a file in the archive"},
		"an absolute name":              {policies + cases + "-- /etc/passwd --\n", "is not the name of a file in the archive"},
		"a roundabout name":             {policies + cases + "-- ./x --\n", "is not the name of a file in the archive"},
		"a folder that is a file":       {policies + cases + "-- a --\n-- a/b --\n", `a.txtar:6: "a/b" is a file here and a folder elsewhere`},
		"a file that is a folder":       {policies + cases + "-- a/b --\n-- a --\n", `a.txtar:6: "a" is a file here and a folder elsewhere`},
		"cases that name a config":      {policies + cases + "-- b.cases.yaml --\nconfig: x\ncases: []\n", "a.txtar:6: config: stands in an archive"},
		"the same name in two files":    {policies + cases + strings.Replace(cases, "-- c", "-- b.c", 1), `a.txtar:6: cases[0].name: "one" is the name of the case on line 4 already`},
		"faults have the lines of both": {policies + "-- cases.yaml --\ncases:\n  - {name: one}\n", "a.txtar:5: cases[0]: has no expect"},
		"no YAML":                       {policies + "-- cases.yaml --\n\n\"\n", "this is not YAML"},
		"size":                          {policies + cases + strings.Repeat("#\n", 1<<19), "a.txtar: the file is larger than 1 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			file, err := policytest.Parse("a.txtar", []byte(tt.text), at())
			if _, ok := errors.AsType[policytest.Faults](err); !ok || !strings.Contains(err.Error(), tt.want) || file != nil {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}
