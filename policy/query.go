package policy

import (
	"errors"
	"net/url"
	"strings"
)

// Query are the parameters of a query that has one reading.
type Query struct {
	values map[string]string
	twice  map[string]bool // in lower case: there more than once
}

// MaxParameters is how many parameters a query may have that a policy looks at.
const MaxParameters = 1000

var (
	errManyParameters = errors.New("there are too many parameters")
	errSemicolon      = errors.New("a semicolon separates parameters for some programs alone")
	errEscape         = errors.New("an escape is malformed")
)

// ParseQuery reads a query as WHATWG URL, section 5.1 does, and refuses what
// programs read in different ways.
func ParseQuery(raw string) (Query, error) {
	q := Query{values: map[string]string{}}
	if strings.Count(raw, "&") >= MaxParameters {
		return Query{}, errManyParameters
	}
	if strings.Contains(raw, ";") {
		return Query{}, errSemicolon
	}
	folded := map[string]bool{}
	for part := range strings.SplitSeq(raw, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		name, err := url.QueryUnescape(name)
		if err != nil {
			return Query{}, errEscape
		}
		if value, err = url.QueryUnescape(value); err != nil {
			return Query{}, errEscape
		}
		lower := strings.ToLower(name)
		if folded[lower] {
			if q.twice == nil {
				q.twice = map[string]bool{}
			}
			q.twice[lower] = true
		}
		folded[lower] = true
		q.values[name] = value
	}
	return q, nil
}
