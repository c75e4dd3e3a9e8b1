package headers_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/headers"
	"github.com/sallyport/sallyport/gateway/identity"
)

func compile(tb testing.TB, rules ...config.Header) *headers.Set {
	tb.Helper()
	s, err := headers.Compile(rules, headers.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// forwarded runs the whole way: what an application sees of h for id.
func forwarded(tb testing.TB, s *headers.Set, id *identity.Identity, h http.Header) http.Header {
	tb.Helper()
	p, err := s.Prepare(id)
	if err != nil {
		tb.Fatal(err)
	}
	if h == nil {
		h = http.Header{}
	}
	s.Strip(h)
	p.Apply(h)
	return h
}

func alice() *identity.Identity {
	return &identity.Identity{
		Issuer: "https://id.example.com", Subject: "alice", Email: "alice@example.com", EmailVerified: true,
		Name: "Alice Özdemir", PreferredUsername: "alice", Groups: []string{"staff", "admin"},
		AMR: []string{"pwd", "otp"}, ACR: "silver", Method: "corp",
		Claims: identity.MapClaims{
			"department": "sales", "level": 7.0, "active": true, "nothing": nil, "list": []any{"a", 1.0, true, nil, []any{"x"}, map[string]any{"y": "z"}, ""},
			"realm_access": map[string]any{"roles": []any{"viewer", "editor"}}, "https://example.com/tier": "gold",
			"address": map[string]any{"city": "Ulm", "zip": "89073"}, "people": []any{map[string]any{"name": "Ann", "tags": []any{"x", "y"}}, map[string]any{"name": "Fábian"}},
			"https://example.com/app": map[string]any{"role.name": "owner"}, "pair": []any{"größe", "a,admin"}, "mixed": []any{1.0, true, "x", nil, map[string]any{"b": "2", "a": 1.0}},
			"odd": []any{"x", 9007199254740993.0}, "broken": "a\xff", "long": strings.Repeat("ö", 30), "empty": "", "none": []any{}, "id": json.Number("12345678901234567890"), "lossy": 9007199254740993.0,
		},
	}
}

func TestDefaultHeaders(t *testing.T) {
	want := http.Header{
		"X-Forwarded-User":               {"alice"},
		"X-Forwarded-Email":              {"alice@example.com"},
		"X-Forwarded-Preferred-Username": {"alice"},
		"X-Forwarded-Groups":             {"staff,admin"},
	}
	if diff := cmp.Diff(want, forwarded(t, compile(t), alice(), nil)); diff != "" {
		t.Error(diff)
	}
}

func TestUnverifiedAddressIsNotAnnounced(t *testing.T) {
	id := alice()
	id.EmailVerified = false
	s := compile(t, config.Header{Name: "X-Mail", Claim: "email"}, config.Header{Name: "X-Mail-Verified", Claim: "email_verified"})
	got := forwarded(t, s, id, http.Header{"X-Forwarded-Email": {"root@example.com"}})
	if v := got["X-Forwarded-Email"]; v != nil {
		t.Errorf("X-Forwarded-Email: %q", v)
	}
	if v := got["X-Mail"]; v != nil {
		t.Errorf("X-Mail: %q", v)
	}
	if v := got.Get("X-Mail-Verified"); v != "false" {
		t.Errorf("X-Mail-Verified: %q", v)
	}
}

func TestClaimsBecomeHeaders(t *testing.T) {
	tests := map[string]struct {
		rule config.Header
		want string // empty: absent
	}{
		"iss":                              {config.Header{Claim: "iss"}, "https://id.example.com"},
		"amr is a list":                    {config.Header{Claim: "amr"}, "pwd,otp"},
		"acr":                              {config.Header{Claim: "acr"}, "silver"},
		"method":                           {config.Header{Claim: "method"}, "corp"},
		"a qualified subject":              {config.Header{Claim: "qualified_subject"}, "https://id.example.com#alice"},
		"another claim":                    {config.Header{Claim: "department"}, "sales"},
		"a number":                         {config.Header{Claim: "level"}, "7"},
		"a long number":                    {config.Header{Claim: "id"}, "12345678901234567890"},
		"a number that lost digits":        {config.Header{Claim: "lossy"}, ""},
		"a boolean":                        {config.Header{Claim: "active"}, "true"},
		"a nested list":                    {config.Header{Claim: "realm_access.roles"}, "viewer,editor"},
		"a list with odd items":            {config.Header{Claim: "list"}, "a,1,true"},
		"a name with dots of its own":      {config.Header{Claim: "https://example.com/tier"}, "gold"},
		"a member of an object":            {config.Header{Claim: "address.city"}, "Ulm"},
		"an object":                        {config.Header{Claim: "address"}, ""},
		"null":                             {config.Header{Claim: "nothing"}, ""},
		"an empty string":                  {config.Header{Claim: "empty"}, ""},
		"an empty list":                    {config.Header{Claim: "none"}, ""},
		"an absent claim":                  {config.Header{Claim: "absent"}, ""},
		"a path through a string":          {config.Header{Claim: "department.x"}, ""},
		"a default where there is none":    {config.Header{Claim: "absent", Default: "guest"}, "guest"},
		"a default where there is a value": {config.Header{Claim: "department", Default: "guest"}, "sales"},
		"a default is encoded as well":     {config.Header{Claim: "absent", Default: "größe"}, "gr%C3%B6%C3%9Fe"},
		"another separator":                {config.Header{Claim: "groups", Join: ", "}, "staff, admin"},
		"letters beyond ASCII":             {config.Header{Claim: "name"}, "Alice %C3%96zdemir"},
		"the same in base64":               {config.Header{Claim: "name", Encoding: "base64"}, "QWxpY2Ugw5Z6ZGVtaXI="},
		"a list in base64":                 {config.Header{Claim: "groups", Encoding: "base64"}, "c3RhZmYsYWRtaW4="},
		"an item of a list":                {config.Header{Claim: "people.0.name"}, "Ann"},
		"a list in an item of a list":      {config.Header{Claim: "people.0.tags"}, "x,y"},
		"an item that is not there":        {config.Header{Claim: "people.2.name"}, ""},
		"an item by a strange number":      {config.Header{Claim: "people.00.name"}, ""},
		"an item by less than nothing":     {config.Header{Claim: "people.-1.name"}, ""},
		"dots in every name":               {config.Header{Claim: "https://example.com/app.role.name"}, "owner"},
		"the first claim that is there":    {config.Header{Claim: "absent", Or: []string{"empty", "none", "address", "department", "sub"}}, "sales"},
		"none of several":                  {config.Header{Claim: "absent", Or: []string{"empty"}, Default: "guest"}, "guest"},
		"the items that match":             {config.Header{Claim: "groups", Match: "^adm"}, "admin"},
		"no item that matches":             {config.Header{Claim: "groups", Match: "^x"}, ""},
		"no item, and another claim":       {config.Header{Claim: "groups", Match: "^sal", Or: []string{"department"}}, "sales"},
		"a single value that matches":      {config.Header{Claim: "department", Match: "^sal"}, "sales"},
		"a single value that does not":     {config.Header{Claim: "department", Match: "^x", Default: "none"}, "none"},
		"items without a text never match": {config.Header{Claim: "list", Match: ".*"}, "a,1,true"},
		"a subject that matches":           {config.Header{Claim: "qualified_subject", Match: "#alice$"}, "https://id.example.com#alice"},
		"a subject that does not":          {config.Header{Claim: "qualified_subject", Match: "#bob$"}, ""},
		"letters as they are":              {config.Header{Claim: "name", Encoding: "utf8"}, "Alice Özdemir"},
		"a list with letters as they are":  {config.Header{Claim: "pair", Encoding: "utf8"}, "größe,a%2Cadmin"},
		"broken UTF-8 as it is not":        {config.Header{Claim: "broken", Encoding: "utf8"}, "a%FF"},
		"encoded-words":                    {config.Header{Claim: "name", Encoding: "rfc2047"}, "=?utf-8?b?QWxpY2Ugw5Z6ZGVtaXI=?="},
		"no letter torn apart":             {config.Header{Claim: "long", Encoding: "rfc2047"}, "=?utf-8?b?" + strings.Repeat("w7bDtsO2", 7) + "w7Y=?= =?utf-8?b?" + strings.Repeat("w7bDtsO2", 2) + "w7bDtg==?="},
		"no word to encode":                {config.Header{Claim: "department", Encoding: "rfc2047"}, "sales"},
		"JSON of a text":                   {config.Header{Claim: "name", Encoding: "json"}, `"Alice \u00d6zdemir"`},
		"JSON of a list":                   {config.Header{Claim: "pair", Encoding: "json"}, `["gr\u00f6\u00dfe","a,admin"]`},
		"JSON of groups":                   {config.Header{Claim: "groups", Encoding: "json"}, `["staff","admin"]`},
		"JSON of the groups that match":    {config.Header{Claim: "groups", Encoding: "json", Match: "^adm"}, `["admin"]`},
		"JSON of an object":                {config.Header{Claim: "address", Encoding: "json"}, `{"city":"Ulm","zip":"89073"}`},
		"JSON of a mixture":                {config.Header{Claim: "mixed", Encoding: "json"}, `[1,true,"x",null,{"a":1,"b":"2"}]`},
		"JSON of a number":                 {config.Header{Claim: "level", Encoding: "json"}, "7"},
		"JSON of a long number":            {config.Header{Claim: "id", Encoding: "json"}, "12345678901234567890"},
		"JSON of a boolean":                {config.Header{Claim: "active", Encoding: "json"}, "true"},
		"JSON of a subject":                {config.Header{Claim: "qualified_subject", Encoding: "json"}, `"https://id.example.com#alice"`},
		"JSON with a number that is wrong": {config.Header{Claim: "odd", Encoding: "json"}, ""},
		"JSON of what is no text":          {config.Header{Claim: "broken", Encoding: "json"}, ""},
		"JSON of nothing":                  {config.Header{Claim: "none", Encoding: "json"}, ""},
		"JSON by default":                  {config.Header{Claim: "none", Encoding: "json", Default: ` [ "größe", 1 ] `}, `["gr\u00f6\u00dfe",1]`},
		"letters by default":               {config.Header{Claim: "none", Encoding: "utf8", Default: "größe, 100%"}, "größe%2C 100%25"},
		"a default in base64":              {config.Header{Claim: "absent", Default: "größe", Encoding: "base64"}, "Z3LDtsOfZQ=="},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tt.rule.Name = "X-Test"
			got := forwarded(t, compile(t, tt.rule), alice(), http.Header{"X-Test": {"forged"}})
			var want []string
			if tt.want != "" {
				want = []string{tt.want}
			}
			if diff := cmp.Diff(want, got["X-Test"]); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSubjectsOfTwoIssuersStayApart(t *testing.T) {
	s := compile(t, config.Header{Name: "X-Id", Claim: "qualified_subject"})
	a := forwarded(t, s, &identity.Identity{Issuer: "https://a", Subject: "b#c"}, nil).Get("X-Id")
	b := forwarded(t, s, &identity.Identity{Issuer: "https://a#b", Subject: "c"}, nil).Get("X-Id")
	if a == b || a != "https://a#b%23c" {
		t.Errorf("%q, %q", a, b)
	}
}

// CVE-2023-27493: a line break in a claim became a second header line. Lone
// carriage returns and the line breaks of Unicode are the same trick.
func TestLineBreaksInClaimsNeverGetThrough(t *testing.T) {
	for _, name := range []string{
		"alice\r\nX-Forwarded-Groups: admin", "alice\rX: y", "alice\nX: y", "alice\u0085x", "alice\u2028x", "alice\u2029x",
		"alice\x00", "alice\x7f", "alice\x85x", "\talice", " alice", "alice ",
	} {
		id := alice()
		id.PreferredUsername, id.Groups = name, []string{name}
		for _, encoding := range []string{"percent", "base64"} {
			s := compile(t,
				config.Header{Name: "X-Forwarded-Preferred-Username", Claim: "preferred_username", Encoding: encoding},
				config.Header{Name: "X-Forwarded-Groups", Claim: "groups", Encoding: encoding})
			for header, values := range forwarded(t, s, id, nil) {
				if v := values[0]; len(values) != 1 || strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r > '~' }) || strings.TrimSpace(v) != v {
					t.Errorf("%q in %s, %s: %q", name, header, encoding, values)
				}
			}
		}
	}
}

// One group that contains the separator must not be read as two groups.
func TestSeparatorInsideAListItemIsNoSeparator(t *testing.T) {
	tests := map[string]struct {
		groups []string
		join   string
		want   string
	}{
		"a comma":                       {[]string{"a,admin"}, "", "a%2Cadmin"},
		"a comma and a percent sign":    {[]string{"a%2Cadmin", "b"}, "", "a%252Cadmin,b"},
		"a semicolon between commas":    {[]string{"users", "x;admin"}, "", "users,x;admin"},
		"a semicolon as separator":      {[]string{"users", "x;admin"}, ";", "users;x%3Badmin"},
		"a comma where it is not":       {[]string{"users", "x,admin"}, ";", "users;x%2Cadmin"},
		"quotes":                        {[]string{`users","admin`}, "", `users"%2C"admin`},
		"a space as separator":          {[]string{"site admin"}, " ", "site%20admin"},
		"an empty group":                {[]string{"", "users", ""}, "", "users"},
		"only empty groups":             {[]string{"", ""}, "", ""},
		"a group that is a blank":       {[]string{" "}, "", "%20"},
		"letters beyond ASCII in items": {[]string{"größe,x"}, "", "gr%C3%B6%C3%9Fe%2Cx"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			id := alice()
			id.Groups = tt.groups
			s := compile(t, config.Header{Name: "x_forwarded_groups", Claim: "groups", Join: tt.join})
			var got []string
			for name, values := range forwarded(t, s, id, nil) {
				if strings.EqualFold(name, "x_forwarded_groups") {
					got = append(got, values...)
				}
			}
			if strings.Join(got, "|") != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestMissingRequiredClaimRefusesTheRequest(t *testing.T) {
	s := compile(t, config.Header{Name: "X-Department", Claim: "cost.center", Required: true})
	p, err := s.Prepare(alice())
	missing, ok := errors.AsType[*headers.MissingError](err)
	if !ok || p != nil {
		t.Fatalf("got %v, %v", p, err)
	}
	if diff := cmp.Diff(&headers.MissingError{Header: "X-Department", Claim: "cost.center"}, missing); diff != "" {
		t.Error(diff)
	}
}

func TestIdentityWithoutSubjectIsNotForwarded(t *testing.T) {
	if p, err := compile(t).Prepare(&identity.Identity{Email: "a@example.com", EmailVerified: true}); err == nil || p != nil {
		t.Errorf("got %v, %v", p, err)
	}
}

// A list cut short is another list: with half of his groups missing, nobody can
// tell what a user may not do.
func TestTooManyGroupsAreAnErrorAndNeverCutShort(t *testing.T) {
	id := alice()
	for range 10_000 {
		id.Groups = append(id.Groups, "a-group-of-20-letters")
	}
	p, err := compile(t).Prepare(id)
	large, ok := errors.AsType[*headers.TooLargeError](err)
	if !ok || p != nil {
		t.Fatalf("got %v, %v", p, err)
	}
	if large.Limit != headers.DefaultMaxBytes || large.Size < 200_000 {
		t.Errorf("%+v", large)
	}
	s, err := headers.Compile(nil, headers.Options{MaxBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	if got := forwarded(t, s, id, nil).Get("X-Forwarded-Groups"); strings.Count(got, ",") != 10_001 {
		t.Errorf("%d separators", strings.Count(got, ","))
	}
}

func TestPublicRouteSetsNothing(t *testing.T) {
	got := forwarded(t, compile(t, config.Header{Name: "X-A", Claim: "sub", Required: true}), nil, http.Header{
		"X-Forwarded-User": {"root"}, "X-Forwarded-Groups": {"admin"}, "X-A": {"root"}, "Accept": {"*/*"},
	})
	if diff := cmp.Diff(http.Header{"Accept": {"*/*"}}, got); diff != "" {
		t.Error(diff)
	}
}

func TestNilSetStripsAndSetsNothing(t *testing.T) {
	var s *headers.Set
	if got := forwarded(t, s, alice(), http.Header{"X_forwarded_user": {"root"}}); len(got) != 0 {
		t.Error(got)
	}
}

func TestEachGivesTheHeadersInOrder(t *testing.T) {
	s := compile(t, config.Header{Name: "X-Forwarded-Email", Claim: "sub"}, config.Header{Name: "x-dept", Claim: "department"})
	p, err := s.Prepare(alice())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	p.Each(func(name, value string) { got = append(got, name+": "+value) })
	want := []string{
		"X-Forwarded-User: alice", "X-Forwarded-Preferred-Username: alice", "X-Forwarded-Groups: staff,admin",
		"X-Forwarded-Email: alice", "X-Dept: sales",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	names := []string{"X-Forwarded-User", "X-Forwarded-Preferred-Username", "X-Forwarded-Groups", "X-Forwarded-Email", "X-Dept"}
	if diff := cmp.Diff(names, s.Names()); diff != "" {
		t.Error(diff)
	}
}

func TestPreparedHeadersAreKeptWithTheSession(t *testing.T) {
	s, other := compile(t), compile(t, config.Header{Name: "X-A", Claim: "acr"})
	id := alice()
	id.Memo = &identity.Memo{}
	first, err := s.Prepare(id)
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := s.Prepare(id); again != first {
		t.Error("the second request computed the headers again")
	}
	if p, _ := other.Prepare(id); p == first {
		t.Error("one route got the headers of another")
	}
	// Forgetting is allowed, mixing up is not.
	if diff := cmp.Diff(forwarded(t, s, alice(), nil), forwarded(t, s, id, nil)); diff != "" {
		t.Error(diff)
	}
}

func TestOneRequestCannotChangeTheHeadersOfTheNext(t *testing.T) {
	s, id := compile(t), alice()
	id.Memo = &identity.Memo{}
	h := forwarded(t, s, id, nil)
	h["X-Forwarded-User"][0] = "root"
	h.Add("X-Forwarded-User", "root")
	if diff := cmp.Diff([]string{"alice"}, forwarded(t, s, id, nil)["X-Forwarded-User"]); diff != "" {
		t.Error(diff)
	}
}

func TestCompileReportsEveryFault(t *testing.T) {
	_, err := headers.Compile([]config.Header{
		{Claim: "sub"},
		{Name: "X User", Claim: "sub"},
		{Name: "---", Claim: "sub"},
		{Name: "Host", Claim: "sub"},
		{Name: "Author_ization", Claim: "sub"},
		{Name: "Sallyport-Assertion", Claim: "sub"},
		{Name: "X-A"},
		{Name: "X-B", Claim: "sub", Encoding: "rot13"},
		{Name: "X-C", Claim: "groups", Join: "%"},
		{Name: "X-D", Claim: "groups", Join: "2"},
		{Name: "X-E", Claim: "groups", Join: "\n"},
		{Name: "X-F", Claim: "groups", Required: true, Default: "x"},
		{Name: "X-G", Claim: "sub"},
		{Name: "X_g", Claim: "sub"},
		{Name: strings.Repeat("a", 97), Claim: "sub"},
		{Name: "X-H", Claim: "sub", Match: "("},
		{Name: "X-I", Claim: "sub", Or: []string{""}},
		{Name: "X-J", Claim: "groups", Encoding: "json", Default: "none"},
	}, headers.Options{MaxBytes: -1, IDToken: "x_g"})
	if err == nil {
		t.Fatal("no fault found")
	}
	want := []string{
		"max_bytes: is negative", "headers[0].name: is empty", `headers[1].name: "X User" is no`, `headers[2].name: "---" is no`,
		"headers[3].name: Host is not for", "headers[4].name: Author_ization is not for", "headers[5].name: Sallyport-Assertion is not for",
		"headers[6].claim: is empty", `headers[7].encoding: "rot13"`, `headers[8].join: "%"`, `headers[9].join: "2"`, `headers[10].join: "\n"`,
		"headers[11].required: contradicts", "headers[13].name: X_g is the same header as headers[12]", "headers[14].name: ", "headers[15].match: is no", "headers[16].claim: is empty", "headers[17].default: is no JSON",
		"forward_id_token: X_g carries a claim already",
	}
	got := strings.Split(err.Error(), "\n")
	if len(got) != len(want) {
		t.Fatalf("want %d faults, got:\n%v", len(want), err)
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("want %s, got %s", want[i], got[i])
		}
	}
}
