package pages

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"html/template"
	"strings"
)

// script is a few lines that a page carries, and what the policy says of them:
// these very bytes run, and no others (Content Security Policy Level 3, section
// 2.3.1).
type script struct {
	code   template.JS
	policy string
}

func readScript(file string) (script, error) {
	code, err := files.ReadFile("templates/" + file)
	if err != nil {
		return script{}, fmt.Errorf("pages: %w", err)
	}
	code = []byte(strings.TrimSpace(string(code)))
	sum := sha256.Sum256(code)
	return script{
		code:   template.JS(code), //nolint:gosec // our own embedded file, not input
		policy: "; script-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'",
	}, nil
}

// parseSignIn prepares the pages of a sign-in that does not go straight.
func (p *Renderer) parseSignIn(layout sheet) error {
	for _, t := range []struct {
		into *sheet
		file string
		zero any
	}{
		{&p.fragment, "fragment.html", fragmentView{}},
		{&p.loop, "loop.html", loopView{}},
		{&p.resubmit, "resubmit.html", resubmitView{}},
		{&p.done, "done.html", doneView{}},
	} {
		var err error
		if *t.into, err = p.parse(layout, t.file, t.zero); err != nil {
			return err
		}
	}
	for file, into := range map[string]*script{
		"login.js": &p.passFragment, "fragment.js": &p.keepFragment, "landed.js": &p.takeFragment,
	} {
		var err error
		if *into, err = readScript(file); err != nil {
			return err
		}
	}
	return nil
}
