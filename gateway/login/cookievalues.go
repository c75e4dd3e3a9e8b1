package login

import (
	"iter"
	"net/http"
	"strings"
)

// cookieValues are the values of every cookie of a name, as they came: a browser
// may have several, of other paths and domains.
func cookieValues(h http.Header, name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, line := range h["Cookie"] {
			for pair := range strings.SplitSeq(line, ";") {
				if value, ok := strings.CutPrefix(strings.Trim(pair, " \t"), name+"="); ok && !yield(value) {
					return
				}
			}
		}
	}
}
