package pages

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"html/template"
	"strings"
)

// script is a few lines that a page carries, and what the policy says of them:
// these very bytes run, and no others.
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
	return script{
		code:   template.JS(code), //nolint:gosec // our own embedded file, not input
		policy: "; script-src " + sourceHash(code),
	}, nil
}

// sourceHash allows these very bytes (Content Security Policy Level 3, section 2.3.1).
func sourceHash(source []byte) string {
	sum := sha256.Sum256(source)
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}
