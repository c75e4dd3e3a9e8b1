package policy

import (
	"slices"
	"strings"
	"sync"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// activation gives an expression the values that it names, each when it is asked
// for.
type activation struct {
	lang *language
	in   Input // a copy, so that the one of the caller can stay on the stack
}

var _ cel.Activation = (*activation)(nil)

//nolint:gochecknoglobals // memory to use again holds no state
var activations = sync.Pool{New: func() any { return new(activation) }}

func newActivation(l *language, in *Input) *activation {
	a, _ := activations.Get().(*activation)
	a.lang, a.in = l, *in
	return a
}

func (a *activation) free() {
	*a = activation{}
	activations.Put(a)
}

// ResolveName implements cel.Activation.
func (a *activation) ResolveName(name string) (any, bool) {
	v, ok := a.lang.names[name]
	if !ok {
		return nil, false
	}
	return v.read(a), true
}

// Parent implements cel.Activation.
func (a *activation) Parent() cel.Activation { return nil }

// timestamp reads the zero time as 1970, which is longer ago than anything that
// counts.
func timestamp(t time.Time) ref.Val {
	if t.IsZero() {
		t = time.Unix(0, 0)
	}
	return types.Timestamp{Time: t.UTC()}
}

// headers are those that a policy may read, by name in lower case.
func (a *activation) headers() ref.Val {
	return types.NewStringStringMap(types.DefaultTypeAdapter, a.in.Request.Headers())
}

// Headers returns the header fields that a policy may read, by name in lower case, with
// the values of several lines joined. X_Tenant counts as another line of X-Tenant:
// applications that follow CGI, WSGI or PHP take the one for the other, and would get
// a value that no policy has seen.
func (r *Request) Headers() map[string]string {
	all := make(map[string]string, len(r.Header))
	var odd []string
	for name, values := range r.Header {
		if strings.ContainsFunc(name, isOddSeparator) {
			odd = append(odd, name)
			continue
		}
		addHeader(all, name, values)
	}
	slices.Sort(odd)
	for _, name := range odd {
		addHeader(all, name, r.Header[name])
	}
	return all
}

// HeaderName writes the name of a header field as Headers does.
func HeaderName(name string) string { return strings.Map(headerLetter, name) }

func addHeader(all map[string]string, name string, values []string) {
	if name = HeaderName(name); CarriesCredential(name) {
		return
	}
	value := strings.Join(values, ", ")
	if before, ok := all[name]; ok {
		value = before + ", " + value
	}
	all[name] = value
}

func isOddSeparator(c rune) bool { return headerLetter(c) == '-' && c != '-' }

// headerLetter writes letters small, and everything that is neither letter nor digit
// as the dash.
func headerLetter(c rune) rune {
	switch {
	case 'A' <= c && c <= 'Z':
		return c + ('a' - 'A')
	case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		return c
	}
	return '-'
}

// CarriesCredential reports whether a header field, in whatever spelling, is one that
// no policy gets to see, because it carries a credential.
func CarriesCredential(name string) bool {
	switch HeaderName(name) {
	case "cookie", "authorization", "proxy-authorization", "x-api-key":
		return true
	}
	return false
}

// query is an error, whatever is asked of it, where the whole of it has two readings.
func (a *activation) query() ref.Val {
	q, err := parseQuery(a.in.Request.RawQuery)
	if err != nil {
		return types.NewErr("the query: %v", err)
	}
	return queryValue{Mapper: types.NewStringStringMap(types.DefaultTypeAdapter, q.values), twice: q.twice}
}

// queryValue is the map of parameters. It answers an error for one that is there
// more than once.
type queryValue struct {
	traits.Mapper
	twice map[string]bool // in lower case
}

var _ traits.Mapper = queryValue{}

func (q queryValue) fault(key ref.Val) ref.Val {
	if name, ok := key.(types.String); ok && q.twice[strings.ToLower(string(name))] {
		return types.NewErr("the query has the parameter more than once")
	}
	return nil
}

// Equal implements ref.Val.
func (q queryValue) Equal(other ref.Val) ref.Val {
	if len(q.twice) > 0 {
		return types.NewErr("the query has a parameter more than once")
	}
	return q.Mapper.Equal(other)
}

// Contains implements traits.Container.
func (q queryValue) Contains(key ref.Val) ref.Val {
	if err := q.fault(key); err != nil {
		return err
	}
	return q.Mapper.Contains(key)
}

// Get implements traits.Indexer.
func (q queryValue) Get(key ref.Val) ref.Val {
	if err := q.fault(key); err != nil {
		return err
	}
	return q.Mapper.Get(key)
}

// Find implements traits.Mapper.
func (q queryValue) Find(key ref.Val) (ref.Val, bool) {
	if err := q.fault(key); err != nil {
		return err, false
	}
	return q.Mapper.Find(key)
}
