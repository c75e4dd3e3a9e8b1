package pages

import (
	"embed"
	"fmt"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"

	"golang.org/x/text/language"
)

//go:embed texts
var textFiles embed.FS

// base is the language that every text is written in first. Whoever asks for
// none that is there gets it, and so does a text that is not translated yet.
const base = "en"

// maxAcceptLanguage bounds what is parsed of a header that anybody can send.
// Browsers send less than a tenth of it.
const maxAcceptLanguage = 1024

// wording is what the pages say in one language: texts by id.
type wording struct {
	tag   language.Tag
	lang  string // the same, as written in the lang attribute: BCP 47
	texts map[string]string
}

// readLanguages reads every file of texts/, the base language first. Texts that
// a language lacks are taken from the base.
func readLanguages() ([]*wording, error) {
	entries, err := textFiles.ReadDir("texts")
	if err != nil {
		return nil, fmt.Errorf("pages: %w", err)
	}
	var all []*wording
	for _, entry := range entries {
		content, err := textFiles.ReadFile(path.Join("texts", entry.Name()))
		if err != nil {
			return nil, fmt.Errorf("pages: %w", err)
		}
		name := strings.TrimSuffix(entry.Name(), ".txt")
		tag, err := language.Parse(name)
		if err != nil {
			return nil, fmt.Errorf("pages: texts/%s: %w", entry.Name(), err)
		}
		texts, err := parseTexts(string(content))
		if err != nil {
			return nil, fmt.Errorf("pages: texts/%s: %w", entry.Name(), err)
		}
		w := &wording{tag: tag, lang: name, texts: texts}
		if name == base {
			all = slices.Insert(all, 0, w)
		} else {
			all = append(all, w)
		}
	}
	if len(all) == 0 || all[0].lang != base {
		return nil, fmt.Errorf("pages: texts/%s.txt is missing", base)
	}
	for _, w := range all[1:] {
		whole := maps.Clone(all[0].texts)
		maps.Copy(whole, w.texts)
		w.texts = whole
	}
	return all, nil
}

// Reasons returns the reasons that pages explain.
func Reasons() ([]string, error) {
	languages, err := readLanguages()
	if err != nil {
		return nil, err
	}
	var all []string
	for id := range languages[0].texts {
		if word, ok := strings.CutPrefix(id, "reason."); ok && !strings.Contains(word, ".") {
			all = append(all, word)
		}
	}
	return all, nil
}

// parseTexts reads lines of "id = text". Several ids, with commas between, may
// share a text. Empty lines and lines that begin with # say nothing.
func parseTexts(content string) (map[string]string, error) {
	texts := map[string]string{}
	n := 0
	for line := range strings.Lines(content) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		ids, text, ok := strings.Cut(line, " = ")
		if !ok {
			return nil, fmt.Errorf("line %d: want: id = text", n)
		}
		for id := range strings.SplitSeq(ids, ",") {
			id = strings.TrimSpace(id)
			if _, twice := texts[id]; twice {
				return nil, fmt.Errorf("line %d: %s is there already", n, id)
			}
			texts[id] = strings.TrimSpace(text)
		}
	}
	return texts, nil
}

// t returns the text of id, its placeholders filled in: pairs are the name of a
// placeholder and its value. Templates call it as {{t "login.with" "provider" .Title}}.
// It fails on an id that no language has.
func (w *wording) t(id string, pairs ...string) (string, error) {
	text, ok := w.texts[id]
	if !ok {
		return "", fmt.Errorf("no text %q", id)
	}
	if len(pairs) == 0 {
		return text, nil
	}
	if len(pairs)%2 != 0 {
		return "", fmt.Errorf("text %q: a placeholder without a value", id)
	}
	pairs = slices.Clone(pairs)
	for i := 0; i < len(pairs); i += 2 {
		pairs[i] = "{" + pairs[i] + "}"
	}
	return strings.NewReplacer(pairs...).Replace(text), nil // one pass: a value is never read as a placeholder
}

// around returns the text of id before and after a placeholder, for values that
// have markup of their own; where that stands in the sentence is the language's.
func (w *wording) around(id, name string) (halves, error) {
	text, err := w.t(id)
	if err != nil {
		return halves{}, err
	}
	before, after, ok := strings.Cut(text, "{"+name+"}")
	if !ok {
		return halves{}, fmt.Errorf("text %q lacks {%s}", id, name)
	}
	return halves{Before: before, After: after}, nil
}

type halves struct{ Before, After string }

// first returns the text of the first id that there is, or "".
func (w *wording) first(ids ...string) string {
	for _, id := range ids {
		if text, ok := w.texts[id]; ok {
			return text
		}
	}
	return ""
}

// language chooses for a reader by Accept-Language (RFC 9110, section 12.5.4),
// and returns the index in p.languages. It is 0, the base, for whoever sends no
// such header, a broken one, or asks for nothing that there is.
func (p *Renderer) language(r *http.Request) int {
	wish := strings.Join(r.Header.Values("Accept-Language"), ",")
	if wish == "" || len(wish) > maxAcceptLanguage {
		return 0
	}
	tags, _, err := language.ParseAcceptLanguage(wish)
	if err != nil {
		return 0
	}
	_, i, _ := p.matcher.Match(tags...)
	return i
}

// words returns the wording for the reader of r's answer.
func (p *Renderer) words(r *http.Request) *wording { return p.languages[p.language(r)] }
