package policytest

import (
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/sallyport/sallyport/policy"
)

// requestDraft is a request that is being read, and who sends it.
type requestDraft struct {
	request policy.Request
	client  policy.Client
}

func (d *requestDraft) input() policy.Input {
	in := policy.Input{Request: d.request, Client: d.client}
	if in.Request.Method == "" {
		in.Request.Method = http.MethodGet
	}
	if in.Request.Path == "" {
		in.Request.Path = "/"
	}
	return in
}

// checked returns what reads a text that problem has nothing to say about.
func (r *reader) checked(to *string, problem func(string) (problem, fix string)) func(n *yaml.Node, at string) {
	return func(n *yaml.Node, at string) {
		s, ok := r.text(n, at)
		if !ok {
			return
		}
		if problem, fix := problem(s); problem != "" {
			r.fault(n, at, excerpt(s)+" "+problem, fix)
			return
		}
		*to = s
	}
}

func (r *reader) requestKeys(d *requestDraft) []key {
	return []key{
		{"method", r.checked(&d.request.Method, methodProblem)},
		{"host", r.checked(&d.request.Host, hostProblem)},
		{"path", r.checked(&d.request.Path, pathProblem)},
		{"query", r.checked(&d.request.RawQuery, queryProblem)},
		{"headers", func(n *yaml.Node, at string) { d.request.Header = r.headers(n, at) }},
	}
}

func (r *reader) clientKeys(d *requestDraft) []key {
	return []key{{"address", func(n *yaml.Node, at string) {
		s, ok := r.text(n, at)
		if !ok {
			return
		}
		address, err := netip.ParseAddr(s)
		if err != nil {
			r.fault(n, at, excerpt(s)+" is not an address", "write one such as 10.0.0.1, without a port")
			return
		}
		d.client.Address = address
	}}}
}

// methodProblem knows that methods are case-sensitive (RFC 9110, section 9.1).
func methodProblem(s string) (problem, fix string) {
	if s == "" || strings.ContainsFunc(s, func(c rune) bool { return c != '-' && c != '_' && (c < 'A' || c > 'Z') }) {
		return "is no method", "write one such as GET, in capitals"
	}
	return "", ""
}

func hostProblem(s string) (problem, fix string) {
	const write = "write it in lower case and without a port, such as app.example.com"
	if _, err := netip.ParseAddr(s); err == nil {
		return "", ""
	}
	if s == "" || s != strings.ToLower(s) || strings.ContainsAny(s, ":/?#@ ") {
		return "is not a host as policies see it", write
	}
	return "", ""
}

var escape = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)

// pathProblem refuses what policies never see: they are asked about paths in one
// spelling, and a case in another would tell nothing.
func pathProblem(s string) (problem, fix string) {
	segments := strings.Split(s, "/")
	switch {
	case !strings.HasPrefix(s, "/"):
		return "does not begin with a slash", "write a path such as /reports"
	case strings.Contains(s, "?"):
		return "has a query", "write what follows the ? as query"
	case strings.ContainsAny(s, "#;\\"), strings.Contains(s, "//"), slices.Contains(segments, "."), slices.Contains(segments, ".."):
		return "is not a path as policies see it", "write it without parameters, empty segments and dots, as the gateway reads it"
	case escape.MatchString(s):
		return "is encoded", "write it decoded, as policies see it"
	}
	return "", ""
}

func queryProblem(s string) (problem, fix string) {
	if strings.HasPrefix(s, "?") || strings.Contains(s, "#") {
		return "is not a query", "write what follows the ?, such as a=b&c=d"
	}
	return "", ""
}

// fieldName is a token of RFC 9110, section 5.6.2.
var fieldName = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")

// headers reads fields with one value, or a list of the values of several lines.
func (r *reader) headers(n *yaml.Node, at string) map[string][]string {
	if n.Kind != yaml.MappingNode {
		if n.Kind != yaml.AliasNode {
			r.fault(n, at, "must be a section of fields, not "+describe(n), "write {X-Tenant: a}")
		}
		return nil
	}
	out, seen := http.Header{}, map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, ok := r.keyName(n.Content[i], at, seen)
		if !ok {
			continue
		}
		at, value := join(at, name), n.Content[i+1]
		if _, twice := out[http.CanonicalHeaderKey(name)]; twice {
			r.fault(n.Content[i], at, "is given twice", "names of fields have no letter case: write one list")
			continue
		}
		if !fieldName.MatchString(name) {
			r.fault(n.Content[i], at, "is not the name of a field", "write one such as X-Tenant")
			continue
		}
		if value.Kind == yaml.SequenceNode {
			list, _ := r.texts(value, at)
			out[http.CanonicalHeaderKey(name)] = list
		} else if s, ok := r.text(value, at); ok {
			out.Set(name, s)
		}
	}
	return out
}
