package headers

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/gateway/config"
)

// defaultRules are the headers that every route sets unless a rule of its own
// uses the same name. The subject is never empty, so requiring it costs nothing
// and keeps a broken identity out.
func defaultRules() []config.Header {
	return []config.Header{
		{Name: "X-Forwarded-User", Claim: "sub", Required: true},
		{Name: "X-Forwarded-Email", Claim: "email"},
		{Name: "X-Forwarded-Preferred-Username", Claim: "preferred_username"},
		{Name: "X-Forwarded-Groups", Claim: "groups"},
	}
}

// RuleError is one thing that is wrong in a list of header rules. Path is relative
// to the route, such as headers[0].name.
type RuleError struct {
	Path    string
	Problem string
	Fix     string
}

// Error renders "path: problem: fix".
func (f *RuleError) Error() string { return f.Path + ": " + f.Problem + ": " + f.Fix }

// Compile makes the Set of a route from the default headers and its rules. A
// rule with the name of a default header, in any spelling, takes its place. The
// error joins one *RuleError for everything that is wrong.
func Compile(rules []config.Header, o Options) (*Set, error) {
	s := &Set{maxBytes: o.MaxBytes, pairs: knownPairs()}
	var faults []error
	if o.MaxBytes < 0 {
		faults = append(faults, &RuleError{"max_bytes", "is negative", "write a number of bytes, or 0 for the default"})
	}
	if o.MaxBytes == 0 {
		s.maxBytes = DefaultMaxBytes
	}

	byName := map[string]int{}
	var own []field
	for i, r := range rules {
		at := fmt.Sprintf("headers[%d]", i)
		f, err := compileField(at, r)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		if j, ok := byName[f.folded]; ok {
			faults = append(faults, &RuleError{
				at + ".name", fmt.Sprintf("%s is the same header as headers[%d]", r.Name, j),
				"set each header once; names are compared on letters and digits only",
			})
			continue
		}
		byName[f.folded] = i
		own = append(own, f)
	}
	for _, r := range defaultRules() {
		f, err := compileField("default", r)
		if err != nil {
			faults = append(faults, err)
		}
		if _, ok := byName[f.folded]; !ok {
			s.fields = append(s.fields, f)
		}
	}
	s.fields = append(s.fields, own...)
	if o.IDToken != "" {
		s.idToken = http.CanonicalHeaderKey(o.IDToken)
		if fault := s.idTokenFault(); fault != nil {
			faults = append(faults, fault)
		}
	}
	if least := s.least(); s.maxBytes > 0 && least > s.maxBytes {
		faults = append(faults, &RuleError{
			"headers", fmt.Sprintf("names and defaults alone take %d bytes, and all identity headers may have %d", least, s.maxBytes),
			"raise server.limits.max_identity_bytes, or set fewer headers",
		})
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	s.fillStripped(o)
	return s, nil
}

// fillStripped fills in what is deleted.
func (s *Set) fillStripped(o Options) {
	s.own = map[string]struct{}{}
	add := func(folded string) {
		s.own[folded] = struct{}{}
		s.pairs.add(folded)
	}
	for i := range s.fields {
		add(s.fields[i].folded)
	}
	for _, name := range o.Strip {
		if folded := foldName(name); folded != "" {
			add(folded)
		}
	}
	if s.idToken != "" {
		add(foldName(s.idToken))
	}
	if o.SetsAuthorization {
		add(foldName(authorization))
	}
}

// least is what the headers take of a user of whom little is known.
func (s *Set) least() int {
	size := 0
	for i := range s.fields {
		if f := &s.fields[i]; f.required || f.fallback != "" {
			size += lineSize(f.name, f.fallback)
		}
	}
	return size
}

// idTokenFault is what is wrong with the name of the header for the ID token.
func (s *Set) idTokenFault() error {
	const at = "forward_id_token"
	if s.idToken == authorization {
		return nil
	}
	if fault := nameFault(s.idToken); fault != nil {
		fault.Path = at
		return fault
	}
	folded := foldName(s.idToken)
	for i := range s.fields {
		if s.fields[i].folded == folded {
			return &RuleError{at, s.idToken + " carries a claim already", "choose another name, such as X-Forwarded-Id-Token"}
		}
	}
	return nil
}

func compileField(at string, r config.Header) (field, error) {
	if fault := nameFault(r.Name); fault != nil {
		fault.Path = at + ".name"
		return field{}, fault
	}
	f := field{
		name: http.CanonicalHeaderKey(r.Name), folded: foldName(r.Name),
		claims: append([]string{r.Claim}, r.Or...), join: r.Join, required: r.Required,
	}
	if f.join == "" {
		f.join = ","
	}
	var known bool
	if f.encoding, known = encodingOf(r.Encoding); !known {
		return field{}, &RuleError{at + ".encoding", fmt.Sprintf("%q is unknown", r.Encoding), "write percent, utf8, base64, rfc2047 or json"}
	}
	if r.Match != "" {
		var err error
		if f.match, err = regexp.Compile(r.Match); err != nil {
			return field{}, &RuleError{at + ".match", "is no regular expression", "write it in Go's RE2 syntax"}
		}
	}
	switch {
	case slices.Contains(f.claims, ""):
		return field{}, &RuleError{at + ".claim", "is empty", "write a claim, such as sub, email, groups or realm_access.roles"}
	case !goodJoin(f.join):
		return field{}, &RuleError{
			at + ".join", fmt.Sprintf("%q cannot stand between list items", r.Join),
			`write ASCII punctuation or a space, such as "," or ", "; letters, digits and % occur inside encoded items`,
		}
	case r.Required && r.Default != "":
		return field{}, &RuleError{at + ".required", "contradicts default", "keep one of them"}
	}
	err := f.setDefault(at, r.Default)
	return f, err
}

// setDefault encodes what is sent where the user has no value.
func (f *field) setDefault(at, value string) error {
	switch {
	case value == "":
	case f.encoding == jsonText:
		var ok bool
		if f.fallback, ok = jsonDefault(value); !ok {
			return &RuleError{at + ".default", "is no JSON, which the header is", `write JSON in quotes, such as "[]" or "\"none\""`}
		}
	case f.encoding == base64Text || f.encoding == rfc2047Text:
		f.fallback = f.encoding.finish(value)
	default:
		f.fallback = f.encoding.item(value, f.escaped())
	}
	return nil
}

// goodJoin asks for a separator that escaping can keep out of the items: no
// character of it may be part of an escape sequence.
func goodJoin(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' || s[i] == '%' || foldByte(s[i]) != 0 {
			return false
		}
	}
	return true
}

func nameFault(name string) *RuleError {
	folded := foldName(name)
	switch {
	case name == "":
		return &RuleError{"", "is empty", "write a header name, such as X-Forwarded-Name"}
	case !isToken(name) || folded == "":
		return &RuleError{"", fmt.Sprintf("%q is no header name", name), "use letters, digits and hyphens"}
	case len(folded) > maxFolded:
		return &RuleError{"", fmt.Sprintf("%q is too long", name), fmt.Sprintf("use at most %d letters and digits", maxFolded)}
	case isReserved(folded):
		return &RuleError{"", fmt.Sprintf("%s is not for identities", name), "choose another name, such as X-Forwarded-Name"}
	}
	return nil
}

// isReserved lists the headers that HTTP itself, the proxy or authentication
// owns. An identity in one of them would change what the request means.
func isReserved(folded string) bool {
	for _, prefix := range []string{"content", "proxy", "secwebsocket", "sallyport"} {
		if strings.HasPrefix(folded, prefix) {
			return true
		}
	}
	switch folded {
	case "host", "cookie", "authorization", "connection", "keepalive", "te", "trailer", "transferencoding", "upgrade", "expect", "range",
		"forwarded", "via", "xforwardedfor", "xforwardedhost", "xforwardedproto", "xrealip", "origin", "referer":
		return true
	}
	return false
}

// isToken checks the grammar of RFC 9110, section 5.6.2.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if foldByte(c) == 0 && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}
