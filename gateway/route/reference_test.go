package route_test

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/sallyport/sallyport/gateway/route"
)

// reference is the contract of Match written down as directly as possible: look
// at every route, keep those that fit, take the one that ranks first.
func reference(entries []route.Entry, method, target, host string) string {
	if method == "CONNECT" || method == "TRACE" {
		return "405"
	}
	if strings.Contains(target, "#") {
		return route.ReasonAmbiguousPath
	}
	if !strings.HasPrefix(target, "/") {
		return route.ReasonAbsoluteTarget
	}
	raw, _, _ := strings.Cut(target, "?")
	if _, err := route.Canonical(raw, true); err != nil {
		return reason(err)
	}

	host, _, _ = strings.Cut(strings.ToLower(host), ":")
	served := servedOn(entries, host)
	if served == nil {
		_, parent, _ := strings.Cut(host, ".")
		served = servedOn(entries, "*."+parent)
	}
	if served == nil {
		return "421"
	}

	// Every way in which an upstream can read the path.
	slashed := slashesAs(raw, "/")
	answers := map[string]bool{}
	for _, form := range []string{slashed, merged(slashed), unparametered(slashed), merged(unparametered(slashed)), afterAuthority(slashed)} {
		answers[ask(served, method, form)] = true
	}
	if len(answers) > 1 {
		return route.ReasonAmbiguousPath
	}
	answer := ask(served, method, merged(unparametered(slashed)))
	encoded := strings.Contains(strings.ToLower(raw), "%2f")
	r := named(entries, answer)
	if encoded && r != nil && !r.AllowEncodedSlash {
		return route.ReasonAmbiguousPath
	}
	if encoded && r != nil && r.Public {
		if o := named(entries, ask(served, method, merged(unparametered(slashesAs(raw, "%2F"))))); o == nil || !o.Public {
			return route.ReasonAmbiguousPath
		}
	}
	return answer
}

type candidate struct {
	entry  route.Entry
	path   string
	kind   int // 2 exact, 1 expression, 0 prefix
	length int
}

func servedOn(entries []route.Entry, host string) (served []candidate) {
	for _, e := range entries {
		if !slices.Contains(e.Hosts, host) {
			continue
		}
		for _, p := range e.Paths {
			c := candidate{entry: e, path: p}
			switch p[0] {
			case '=':
				c.kind, c.length = 2, len(p)
			case '~':
				c.kind, c.length = 1, len(regexp.MustCompile(`^~\^?[/a-z]*`).FindString(strings.ReplaceAll(p, "^", "")))-1
			default:
				if p != "/" {
					c.path = strings.TrimSuffix(p, "/")
				}
				c.length = len(c.path)
			}
			served = append(served, c)
		}
	}
	return served
}

func (c candidate) fits(path string) bool {
	switch c.kind {
	case 2:
		return path == c.path[1:]
	case 1:
		return regexp.MustCompile(`^(` + c.path[1:] + `)$`).MatchString(path)
	}
	return c.path == "/" || path == c.path || strings.HasPrefix(path, c.path+"/")
}

// before is the order of precedence.
func (c candidate) before(d candidate) bool {
	if (c.kind == 2) != (d.kind == 2) {
		return c.kind == 2
	}
	if c.length != d.length {
		return c.length > d.length
	}
	if c.kind != d.kind {
		return c.kind > d.kind
	}
	if len(c.path) != len(d.path) {
		return len(c.path) > len(d.path)
	}
	return c.path < d.path
}

func ask(served []candidate, method, path string) string {
	var best *candidate
	for _, c := range served {
		if c.fits(path) && (best == nil || c.before(*best)) {
			best = &c
		}
	}
	if best == nil {
		return "404"
	}
	for _, c := range served {
		if c.path == best.path && (len(c.entry.Methods) == 0 || slices.Contains(c.entry.Methods, method)) {
			return c.entry.Route.Name
		}
	}
	return "405 " + best.path // two paths that both refuse are still two paths
}

func named(entries []route.Entry, name string) *route.Route {
	for _, e := range entries {
		if e.Route.Name == name {
			return e.Route
		}
	}
	return nil
}

func slashesAs(raw, slash string) string {
	parts := regexp.MustCompile(`(?i)%2f`).Split(raw, -1)
	for i := range parts {
		parts[i], _ = url.PathUnescape(parts[i])
	}
	return strings.Join(parts, slash)
}

// afterAuthority is how a URL parser reads a path that begins with two slashes.
func afterAuthority(path string) string {
	clean := merged(unparametered(path))
	if !strings.HasPrefix(path, "//") {
		return clean
	}
	_, rest, _ := strings.Cut(clean[1:], "/")
	return "/" + rest
}

func merged(path string) string { return regexp.MustCompile(`//+`).ReplaceAllString(path, "/") }

func unparametered(path string) string {
	return regexp.MustCompile(`;[^/]*`).ReplaceAllString(path, "")
}

// agree compares Match with the reference. Which of the refusals of a path is
// given, where several apply, is nobody's concern.
func agree(t interface {
	Helper()
	Fatalf(format string, args ...any)
}, tab *route.Table, entries []route.Entry, method, target, host string,
) {
	t.Helper()
	got := outcome(tab, request(method, target, host))
	want, _, _ := strings.Cut(reference(entries, method, target, host), " ")
	if got == want {
		return
	}
	if got == route.ReasonAmbiguousPath && strings.Contains(strings.ToLower(target), "%2f") && (want == "404" || want == "405") {
		return
	}
	t.Fatalf("%s %s on %s: got %s, want %s", method, target, host, got, want)
}

var (
	somePaths   = []string{"/", "/a", "/a/", "/a/b", "/a/b/c", "/b", "=/a", "=/a/", "=/a/b/c", "~/a.*", "~^/a/[bc]+", "~/a/(b|c)/.*", "~.*", "~/b/[a-c]/?"}
	someHosts   = []string{"app.example.test", "x.example.test", "*.example.test"}
	someMethods = []string{"GET", "POST", "PUT"}
)

func drawEntries(t *rapid.T) []route.Entry {
	entries := make([]route.Entry, rapid.IntRange(1, 8).Draw(t, "routes"))
	for i := range entries {
		entries[i] = route.Entry{
			Route: &route.Route{
				Name: string(rune('A' + i)), Public: rapid.Bool().Draw(t, "public"), AllowEncodedSlash: rapid.Bool().Draw(t, "slash"),
			},
			Hosts:   rapid.SliceOfNDistinct(rapid.SampledFrom(someHosts), 1, 2, rapid.ID[string]).Draw(t, "hosts"),
			Paths:   rapid.SliceOfNDistinct(rapid.SampledFrom(somePaths), 1, 3, rapid.ID[string]).Draw(t, "paths"),
			Methods: rapid.SliceOfNDistinct(rapid.SampledFrom(someMethods), 0, 2, rapid.ID[string]).Draw(t, "methods"),
		}
	}
	return entries
}

func drawTarget(t *rapid.T) string {
	pieces := rapid.SliceOfN(rapid.SampledFrom([]string{
		"/", "/", "/a", "/b", "/c", "a", "b", "/a/b/c", "//", ";", ";x", "%2f", "%2F", "%61", "%2e", "..", "/..", "%3b", "%252f", "?", "#", `\`, "x",
	}), 1, 6).Draw(t, "pieces")
	return "/" + strings.TrimPrefix(strings.Join(pieces, ""), "/")
}

func TestMatchIsThePrecedenceOfTheContract(t *testing.T) {
	compiled := 0
	rapid.Check(t, func(t *rapid.T) {
		entries := drawEntries(t)
		tab, err := route.NewTable(entries, nil)
		if err != nil {
			return // the drawn routes clash
		}
		compiled++
		shuffled, err := route.NewTable(rapid.Permutation(entries).Draw(t, "shuffled"), nil)
		if err != nil {
			t.Fatalf("the order of routes made a fault: %v", err)
		}
		for range 5 {
			method, target := rapid.SampledFrom(someMethods).Draw(t, "method"), drawTarget(t)
			host := rapid.SampledFrom([]string{"app.example.test", "x.example.test", "Y.example.test:80", "z.test"}).Draw(t, "host")
			agree(t, tab, entries, method, target, host)
			if a, b := outcome(tab, request(method, target, host)), outcome(shuffled, request(method, target, host)); a != b {
				t.Fatalf("%s %s on %s: %s, and in another order of routes %s", method, target, host, a, b)
			}
			explained(t, tab, method, target, host)
		}
	})
	if compiled == 0 {
		t.Error("every drawn table was faulty: nothing was compared")
	}
}

// explained asserts that the explanation is of the same match, and that of all routes
// it calls exactly that one the match.
func explained(t *rapid.T, tab *route.Table, method, target, host string) {
	want, _ := tab.Match(request(method, target, host))
	got, candidates, _ := tab.Explain(request(method, target, host))
	if got.Route != want.Route || len(candidates) != len(tab.Routes()) {
		t.Fatalf("%s %s on %s: found %+v, explained %+v with %v", method, target, host, want, got, candidates)
	}
	for _, c := range candidates {
		if c.Matches != (want.Route != nil && c.Route == want.Route.Name) || c.Why == "" {
			t.Fatalf("%s %s on %s: found %+v, explained %+v", method, target, host, want, c)
		}
	}
}

func FuzzMatch(f *testing.F) {
	entry := func(name, host, path string, public bool, methods ...string) route.Entry {
		return route.Entry{
			Route: &route.Route{Name: name, Public: public, AllowEncodedSlash: !strings.HasPrefix(name, "x")},
			Hosts: []string{host}, Paths: []string{path}, Methods: methods,
		}
	}
	entries := []route.Entry{
		entry("root", "app.example.test", "/", false),
		entry("public", "app.example.test", "/public/", true),
		entry("x-strict", "app.example.test", "/a/b", true),
		entry("admin", "app.example.test", "/admin", false, "GET"),
		entry("admin-write", "app.example.test", "/admin", false, "POST"),
		entry("expression", "app.example.test", "~/v[0-9]+/.*", true),
		entry("exact", "app.example.test", "=/public/exact", false),
		entry("wild", "*.example.test", "/", false),
	}
	tab, err := route.NewTable(entries, nil)
	if err != nil {
		f.Fatal(err)
	}
	for _, target := range []string{"/", "/public/../admin", "//admin", "/public%2fx", "/admin;x/y", "/v1/x?y", "/a#b", "/%61dmin", "x:y", "/a//b;c"} {
		f.Add("GET", target, "app.example.test")
		f.Add("POST", target, "y.example.test:80")
	}
	f.Fuzz(func(t *testing.T, method, target, host string) {
		m, err := tab.Match(request(method, target, host))
		if (err == nil) != (m.Route != nil) {
			t.Fatalf("%+v with %v", m, err)
		}
		if target == "" || reason(err) == route.ReasonBadMethod {
			return
		}
		at := outcome(tab, request("GET", "/", host))
		if known := at == "root" || at == "wild"; tab.KnownHost(host) != known {
			t.Fatalf("%q: known %v, but / gives %s", host, !known, at)
		}
		if at == route.ReasonBadHost {
			return
		}
		agree(t, tab, entries, method, target, strings.TrimSuffix(canonicalizable(host), "."))
	})
}

// canonicalizable takes the port off, so that the dot before it can go.
func canonicalizable(host string) string {
	if strings.HasPrefix(host, "[") {
		return "address"
	}
	host, _, _ = strings.Cut(host, ":")
	return host
}
