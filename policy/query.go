package policy

import (
	"errors"
	"net/url"
	"strings"
)

// query are the parameters of a query that has one reading.
type query struct {
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

// CheckQuery says why a query has more than one reading, or none. A parameter that is
// there twice is a matter for whoever reads it.
func CheckQuery(raw string) error { return eachParameter(raw, func(string, string) {}) }

// parseQuery reads a query as WHATWG URL, section 5.1 does, and refuses what
// CheckQuery does.
func parseQuery(raw string) (query, error) {
	q := query{values: map[string]string{}}
	folded := map[string]bool{}
	err := eachParameter(raw, func(name, value string) {
		lower := strings.ToLower(name)
		if folded[lower] {
			if q.twice == nil {
				q.twice = map[string]bool{}
			}
			q.twice[lower] = true
		}
		folded[lower] = true
		q.values[name] = value
	})
	if err != nil {
		return query{}, err
	}
	return q, nil
}

// QueryValues reads what CheckQuery does not refuse, and returns every value of each
// parameter, in their order. Names that differ in letter case alone are one
// parameter to some programs: each of them has the values of all.
func QueryValues(raw string) (map[string][]string, error) {
	all, names := map[string][]string{}, map[string]string{}
	err := eachParameter(raw, func(name, value string) {
		lower := strings.ToLower(name)
		names[name] = lower
		all[lower] = append(all[lower], value)
	})
	if err != nil {
		return nil, err
	}
	values := make(map[string][]string, len(names))
	for name, lower := range names {
		values[name] = all[lower]
	}
	return values, nil
}

// eachParameter hands out the parameters in their order, until one can't be read.
func eachParameter(raw string, take func(name, value string)) error {
	if strings.Count(raw, "&") >= MaxParameters {
		return errManyParameters
	}
	if strings.Contains(raw, ";") {
		return errSemicolon
	}
	for part := range strings.SplitSeq(raw, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		name, err := url.QueryUnescape(name)
		if err != nil {
			return errEscape
		}
		if value, err = url.QueryUnescape(value); err != nil {
			return errEscape
		}
		take(name, value)
	}
	return nil
}
