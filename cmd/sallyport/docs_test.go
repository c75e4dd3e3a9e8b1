package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/sallyport/sallyport/gateway/porttest"
	"github.com/sallyport/sallyport/gateway/tlstest"
)

// TestEveryCommandInTheDocsRuns runs the shell blocks of each page from top to
// bottom in one shell, as a reader does who follows it, in a folder with the files
// that the page shows. What a page takes for granted, such as an application that
// runs, is in comments that readers don't see. Programs that a test can't have, such
// as a cluster's, are stood in for by testdata/bin, where they look at what they are
// given. Lines of a console block without "$ " are what must be printed.
func TestEveryCommandInTheDocsRuns(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	var pages []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/decisions/*.md", "deploy/*.md", "deploy/*/README.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, found...)
	}
	run := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		blocks := blocksOf(string(text))
		if !slices.ContainsFunc(blocks, block.runs) {
			continue
		}
		run++
		name, err := filepath.Rel(root, page)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			follow(t, root, name, blocks)
		})
	}
	if run < 10 {
		t.Errorf("only %d pages have commands", run)
	}
}

// block is one fenced block of a page, or a comment with what the page takes for
// granted.
type block struct {
	line int
	lang string
	args []string // what follows the language: a file's name, "background" and a port, or "exits" and a code
	text string
}

func (b block) shell() bool {
	return slices.Contains([]string{"sh", "bash", "shell", "console"}, b.lang)
}
func (b block) runs() bool       { return b.shell() }
func (b block) background() bool { return len(b.args) == 2 && b.args[0] == "background" }

func (b block) exits() string {
	if len(b.args) == 2 && b.args[0] == "exits" {
		return b.args[1]
	}
	return ""
}

var fence = regexp.MustCompile("(?ms)^([ ]*)(?:```|<!-- )([a-z]+)([^\n]*)\n(.*?)^[ ]*(?:```|-->)$")

func blocksOf(page string) []block {
	var blocks []block
	for _, at := range fence.FindAllStringSubmatchIndex(page, -1) {
		part := func(i int) string { return page[at[2*i]:at[2*i+1]] }
		text := regexp.MustCompile("(?m)^"+part(1)).ReplaceAllString(part(4), "")
		blocks = append(blocks, block{
			line: 1 + strings.Count(page[:at[0]], "\n"), lang: part(2), args: strings.Fields(part(3)), text: text,
		})
	}
	return blocks
}

// follow runs the blocks of one page.
func follow(t *testing.T, root, name string, blocks []block) {
	t.Helper()
	p := &reader{t: t, root: root, dir: t.TempDir(), ports: map[string]string{}, secrets: readersSecrets(t)}
	p.folder(root)
	if strings.HasPrefix(name, "deploy/") && filepath.Dir(name) != "deploy" {
		p.deployed = true
		p.folder(filepath.Join(root, filepath.Dir(name)))
	}
	var script strings.Builder
	script.WriteString("set -euo pipefail\n" + waitReady)
	for i, b := range blocks {
		switch {
		case b.shell():
			fmt.Fprintf(&script, "echo '@@ %d' >&2; echo '@@ %d'\n", i, i)
			text := p.adapt(commands(b))
			if code := b.exits(); code != "" {
				text = fmt.Sprintf("code=0; ( %s\n) || code=$?; [ $code = %s ]", strings.TrimSpace(text), code)
			}
			if b.background() {
				fmt.Fprintf(&script, "free %[3]s; (exec %[1]s\n) > background.%[2]d 2>&1 &\nawait_ready background.%[2]d %[3]s\n", strings.TrimSpace(text), i, p.port(b.args[1]))
				continue
			}
			script.WriteString(text + "\n")
		case len(b.args) > 0 && b.lang != "mermaid":
			name := p.adapt(b.args[0])
			fmt.Fprintf(&script, "mkdir -p \"$(dirname %[1]q)\"; cat > %[1]q <<'END OF THE FILE'\n%[2]sEND OF THE FILE\n", name, p.adapt(b.text))
		}
	}
	printed := p.bash(script.String())
	for i, b := range blocks {
		if b.lang == "console" {
			compare(t, b, p.adapt(b.text), section(printed, i))
		}
	}
}

// waitReady waits until a command in the background listens at its port.
const waitReady = `
trap 'kill $(jobs -p) 2>/dev/null || :; wait || :' EXIT
free() { ! (exec 3<>/dev/tcp/127.0.0.1/"$1") 2>/dev/null || { echo "somebody listens at $1" >&2; exit 1; }; }
await_ready() {
  for _ in $(seq 400); do
    (exec 3<>/dev/tcp/127.0.0.1/"$2") 2>/dev/null && return
    kill -0 $! 2>/dev/null || break
    sleep 0.05
  done
  cat "$1" >&2
  return 1
}
`

type reader struct {
	t         *testing.T
	root, dir string
	deployed  bool // the files say where to listen
	ports     map[string]string
	secrets   string
}

// folder gives the reader the files of a folder of the clone: of configurations a
// copy, which has the page's ports and may be written over.
func (p *reader) folder(of string) {
	p.t.Helper()
	entries, err := os.ReadDir(of)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, e := range entries {
		from, to := filepath.Join(of, e.Name()), filepath.Join(p.dir, e.Name())
		if strings.HasPrefix(e.Name(), ".") || e.Name() == "README.md" {
			continue
		}
		if filepath.Ext(e.Name()) != ".yaml" {
			if err := os.Symlink(from, to); err != nil {
				p.t.Fatal(err)
			}
			continue
		}
		text, err := os.ReadFile(from)
		if err != nil {
			p.t.Fatal(err)
		}
		if err := writeFile(to, p.adapt(string(text))); err != nil {
			p.t.Fatal(err)
		}
	}
}

var (
	port     = regexp.MustCompile(`\b(3000|3001|5173|8080|8081|8443|9080|9090|9191|10000)\b`)
	mounted  = regexp.MustCompile(`/run/secrets\b`)
	etc      = regexp.MustCompile(`/etc/sallyport\b`)
	wildcard = regexp.MustCompile(`\\\.\\\.\\\.`)
)

// adapt gives the page ports, secrets and folders that are its own.
func (p *reader) adapt(text string) string {
	text = port.ReplaceAllStringFunc(text, p.port)
	text = mounted.ReplaceAllLiteralString(text, p.secrets)
	return etc.ReplaceAllLiteralString(text, filepath.Join(p.dir, "etc"))
}

func (p *reader) port(shown string) string {
	if p.ports[shown] == "" {
		p.ports[shown] = strconv.Itoa(porttest.Free(p.t))
	}
	return p.ports[shown]
}

// bash runs the script and returns what it printed.
func (p *reader) bash(script string) string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-s")
	cmd.Dir = p.dir
	cmd.Stdin = strings.NewReader(script)
	cmd.Env = append(os.Environ(),
		"PATH="+filepath.Join(p.root, "cmd/sallyport/testdata/bin")+":"+os.Getenv("PATH"),
		"HOME="+p.dir, "REPOSITORY="+p.root, "NO_COLOR=1", "SALLYPORT_ADMIN__LISTEN="+p.adapt("127.0.0.1:9080"))
	if !p.deployed {
		cmd.Env = append(cmd.Env, "SALLYPORT_SERVER__LISTEN="+p.adapt("127.0.0.1:8080"))
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		p.t.Fatalf("%v\n-- printed\n%s\n-- errors\n%s", err, tail(stdout.String()), tail(stderr.String()))
	}
	return stdout.String()
}

func tail(text string) string { return text[max(0, len(text)-4000):] }

// commands are what is to be run of a block.
func commands(b block) string {
	if b.lang != "console" {
		return b.text
	}
	var lines []string
	continued := false
	for line := range strings.Lines(b.text) {
		rest, ok := strings.CutPrefix(line, "$ ")
		if ok || continued {
			lines = append(lines, rest)
			continued = strings.HasSuffix(strings.TrimSpace(rest), `\`)
		}
	}
	return strings.Join(lines, "")
}

// section is what the block with this number printed.
func section(printed string, i int) string {
	_, rest, _ := strings.Cut(printed, fmt.Sprintf("@@ %d\n", i))
	rest, _, _ = strings.Cut(rest, "\n@@ ")
	return rest
}

// compare looks for the lines of the page in what was printed, in their order. Three
// dots stand for anything.
func compare(t *testing.T, b block, want, printed string) {
	t.Helper()
	for line := range strings.Lines(want) {
		line = strings.TrimRight(line, " \n")
		if strings.HasPrefix(line, "$ ") || line == "" || line == "..." {
			continue
		}
		found := regexp.MustCompile("(?m)^" + wildcard.ReplaceAllLiteralString(regexp.QuoteMeta(line), ".*") + `[ \r]*$`).FindStringIndex(printed)
		if found == nil {
			t.Errorf("line %d: the block shows\n\t%s\nwhich was not printed, or not there:\n%s", b.line, line, tail(printed))
			return
		}
		printed = printed[found[1]:]
	}
}

// readersSecrets makes the files that pages name below /run/secrets.
func readersSecrets(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	hash, err := bcrypt.GenerateFromPassword([]byte("a password"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"oidc": "a client secret", "admin": "an admin token of the operators", "valkey": "a password", "opa": "a token",
		"session-key": base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef")),
		"users.yaml":  "users: [{username: alice, password_hash: '" + string(hash) + "'}]",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pair := tlstest.New(t).Server("app.example.com")
	for name, from := range map[string]string{"app.crt": pair.CertFile, "app.key": pair.KeyFile} {
		if err := os.Symlink(from, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
