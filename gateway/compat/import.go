package compat

import (
	"path"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/gateway/config"
)

// Imported is what a configuration of another product has become.
type Imported struct {
	Config  []byte // YAML, with comments and without secrets
	Notes   []Note
	Secrets []Secret
}

// Complete reports whether everything could be carried over.
func (i *Imported) Complete() bool {
	return !slices.ContainsFunc(i.Notes, func(n Note) bool { return n.Kind == Lost })
}

// NoteKind says what a note is for.
type NoteKind uint8

// The kinds of notes.
const (
	Lost NoteKind = iota // could not be carried over, at least not as it was
	ToDo                 // carried over, and something is left to do
	Moot                 // nothing to do: it is always so here, or there is no need for it
)

// Note is about one setting of the other product. It never holds a secret.
type Note struct {
	Kind    NoteKind
	Setting string // as it is written in its configuration file
	Problem string
	Fix     string // what to do about it; empty for Moot
}

// Secret is a file that the configuration names.
type Secret struct {
	File    string
	Setting string        // whose value it holds
	Value   config.Secret // empty where that is not in the configuration
}

// Source is one file of a configuration. Its name is for messages.
type Source struct {
	Name string
	Data []byte
}

// FormatError says that a source is in no form that is understood.
type FormatError struct{ Source, Problem string }

// Error names the source.
func (e *FormatError) Error() string { return e.Source + ": " + e.Problem }

// ImportOAuth2Proxy turns the configuration of oauth2-proxy into ours. The sources
// are its configuration file (TOML), its alpha configuration (YAML), an environment
// file, or its command line, also as it stands in a Deployment or a compose file;
// several of them add up, in the order of precedence that oauth2-proxy has. secrets
// is the folder that files with secrets are to be in.
//
// What can't be carried over is left out, or made narrower, and never wider. The
// error is a *FormatError.
func ImportOAuth2Proxy(sources []Source, secrets string) (*Imported, error) {
	in, err := readSources(sources)
	if err != nil {
		return nil, err
	}
	m := &importer{in: in, folder: secrets, out: newSection()}
	m.convert()
	m.elsewhere()
	m.leftovers()
	text, err := m.out.text(heading(sources))
	if err != nil {
		return nil, &FormatError{Source: sources[0].Name, Problem: "the outcome can't be written as YAML"}
	}
	m.verify(text)
	slices.SortStableFunc(m.notes, func(a, b Note) int { return int(a.Kind) - int(b.Kind) })
	return &Imported{Config: text, Notes: m.notes, Secrets: m.secrets}, nil
}

func heading(sources []Source) string {
	names := make([]string, len(sources))
	for i, s := range sources {
		names[i] = oneLine(path.Base(s.Name))
	}
	return "Made by `sallyport import oauth2-proxy` from " + strings.Join(names, ", ") + ".\n" +
		"What it could not carry over it has said; `sallyport check` says whether the rest is sound."
}

// importer is one import under way.
type importer struct {
	in      *settings
	folder  string
	out     *section
	notes   []Note
	secrets []Secret

	public   string // public_url
	host     string // of it
	domain   string // of the cookie; empty = it is for one host
	checks   bool   // other proxies ask, and nothing is forwarded
	provider *provider
	apps     []*app
}

func (m *importer) convert() {
	m.adoptAlpha()
	m.provider = providerOf(m.in.text("provider"))
	m.upstreams()
	m.server()
	m.session()
	m.login()
	m.tokens()
	m.policies()
	m.routes()
}

func (m *importer) lost(setting, problem, fix string) {
	m.notes = append(m.notes, Note{Lost, setting, problem, fix})
}

func (m *importer) todo(setting, problem, fix string) {
	m.notes = append(m.notes, Note{ToDo, setting, problem, fix})
}

func (m *importer) moot(setting, why string) {
	m.notes = append(m.notes, Note{Moot, setting, why, ""})
}

// secret returns the name of the file that is to hold the value of a setting.
func (m *importer) secret(setting, name, value string) string {
	file := path.Join(m.folder, name)
	m.secrets = append(m.secrets, Secret{File: file, Setting: setting, Value: config.Secret(value)})
	return file
}

// verify loads the outcome, so that nobody has to find out later. Files that are not
// there yet are no fault of it.
func (m *importer) verify(text []byte) {
	_, err := config.Parse("outcome", text, nil)
	faults, _ := err.(config.Faults) //nolint:errorlint // what Parse returns
	for _, f := range faults {
		last := f.Path[strings.LastIndexByte(f.Path, '.')+1:]
		if strings.Contains(last, "file") && strings.HasPrefix(f.Problem, "the file ") {
			continue
		}
		m.lost(f.Path, "does not load: "+f.Problem, f.Fix)
	}
}

// elsewhere tells of values that are in another place. Those of secrets have a file
// that waits for them.
func (m *importer) elsewhere() {
	for _, key := range m.in.order {
		where := m.in.elsewhere[key]
		switch {
		case where == "" || key == "cookie_secret":
		case slices.ContainsFunc(m.secrets, func(s Secret) bool { return s.Setting == key }):
			m.todo(key, "its value is "+where, "have it in the file that the configuration names for it")
		default:
			m.lost(key, "its value is "+where, "write it into these files, and run the command again")
		}
	}
}

// leftovers tells of every setting that no step has looked at.
func (m *importer) leftovers() {
	for _, key := range m.in.unused() {
		rule, known := fates()[key]
		blank := strings.Trim(strings.Join(m.in.list(key), ""), " -") == ""
		switch {
		case known && blank && m.in.elsewhere[key] == "":
			m.moot(key, "it is empty")
		case !known:
			m.lost(key, "is not a setting that this command knows", "look it up in the documentation of oauth2-proxy, and here in docs/configuration.md")
		case rule.fix == "" || rule.when != "" && m.in.text(key) != rule.when:
			m.moot(key, rule.why)
		default:
			m.lost(key, rule.why, rule.fix)
		}
	}
}

// oneLine is text that others wrote, fit for a comment.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}
