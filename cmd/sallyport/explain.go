package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/policy"
	"github.com/sallyport/sallyport/policy/policytest"
)

// explainFlags are the request that is asked about, and who sends it.
type explainFlags struct {
	admin adminFlags

	as         string
	claims     []string
	session    string
	credential string
	at         string
	client     string
	listener   string
	headers    []string
	decision   string
	asJSON     bool
}

func explainCommand() *cobra.Command {
	var f explainFlags
	cmd := &cobra.Command{
		Use:   "explain {METHOD URL | --decision ID}",
		Short: "Say what is decided on a request, and why",
		Long: `Say which route a request finds and why the others are not meant, which
credentials are looked for, what every rule and every condition of the policy says,
what is decided, and which headers the application would get.

The user is described by a file (--as) or by single claims (--claim); without
them nobody has signed in. For that no running gateway is needed, and the
configuration file counts, also where it differs from what a gateway runs with.

--session asks a running gateway about a session that goes on. --decision asks it
about a denial: its ID stands on the page of a 403, in the header
Sallyport-Decision of the answer, and in the log. Each gateway keeps the last few
thousand in memory.

A file describes a user by the members issuer, subject, email, email_verified,
name, preferred_username, groups, acr, amr, auth_time, provider, credential and
claims, as YAML or JSON. --claim takes the names that tokens have (sub, iss, email,
groups, acr, amr, auth_time) and any other claim; dots go into objects, a name that
is given twice is a list, and a value that is JSON is taken as JSON.`,
		Example: `  sallyport explain GET https://app.example.com/reports --claim sub=alice --claim groups=staff
  sallyport explain POST /payments --as alice.yaml --at 2026-05-04T22:00:00+02:00
  sallyport explain GET /reports --session 3f9a1c5be0d24476
  sallyport explain --decision K5TQ2XN7A4BC`,
		Args: cobra.MaximumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			x, err := f.explain(cmd, args)
			if err != nil {
				return err
			}
			if f.asJSON {
				return writeJSON(cmd, x)
			}
			return showExplanation(cmd.OutOrStdout(), x)
		},
	}
	f.admin.add(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.as, "as", "", "file that describes the user, as YAML or JSON")
	flags.StringArrayVar(&f.claims, "claim", nil, "a claim of the user, as name=value; may be repeated")
	flags.StringVar(&f.session, "session", "", "a session at a running gateway, by the ID that logs show")
	flags.StringVar(&f.credential, "credential", "", "kind of credential that the user comes with (default: the one that the route prefers)")
	flags.StringVar(&f.at, "at", "", "time of the request, such as 2026-05-04T22:00:00+02:00 (default: now)")
	flags.StringVar(&f.client, "client", "", "address of the client")
	flags.StringVar(&f.listener, "listener", "", "name of the listener that it comes in by (default: one without a policy)")
	flags.StringArrayVarP(&f.headers, "header", "H", nil, "a header field of the request, as 'Name: value'; may be repeated")
	flags.StringVar(&f.decision, "decision", "", "explain a denial, by its ID")
	flags.BoolVar(&f.asJSON, "json", false, "write the explanation as JSON")
	return cmd
}

func (f *explainFlags) explain(cmd *cobra.Command, args []string) (*gateway.Explanation, error) {
	if f.decision != "" {
		if len(args) > 0 || f.session != "" || f.as != "" || len(f.claims) > 0 || len(f.headers) > 0 || f.at != "" || f.client != "" || f.listener != "" {
			return nil, errors.New("--decision names the request and the user already: leave the rest out")
		}
		return f.askGateway(cmd, http.MethodGet, "/decisions/"+url.PathEscape(f.decision), nil)
	}
	if len(args) != 2 {
		return nil, errors.New("name the method and the URL, such as GET https://app.example.com/reports")
	}
	q := gateway.Question{Method: args[0], URL: args[1], Credential: f.credential, Listener: f.listener}
	var err error
	if q.At, q.Client, q.Header, err = f.surroundings(); err != nil {
		return nil, err
	}
	if f.session != "" {
		if f.as != "" || len(f.claims) > 0 || f.credential != "" {
			return nil, errors.New("--session names the user already: leave out --as, --claim and --credential")
		}
		in := map[string]any{"method": q.Method, "url": q.URL, "session": f.session, "headers": q.Header, "listener": q.Listener}
		if !q.At.IsZero() {
			in["at"] = q.At
		}
		if q.Client.IsValid() {
			in["client"] = q.Client
		}
		return f.askGateway(cmd, http.MethodPost, "/explain", in)
	}
	if q.Identity, err = f.identity(q.At); err != nil {
		return nil, err
	}
	if q.Identity != nil && q.Credential == "" && q.Identity.Credential != defaultCredential {
		q.Credential = q.Identity.Credential
	}
	cfg, err := config.Load(f.admin.config, os.Environ())
	if err != nil {
		return nil, err
	}
	return gateway.Explain(cmd.Context(), cfg, &q)
}

// defaultCredential is what a description of a user has that says nothing of it.
const defaultCredential = "session"

func (f *explainFlags) askGateway(cmd *cobra.Command, method, path string, in any) (*gateway.Explanation, error) {
	client, err := f.admin.client()
	if err != nil {
		return nil, err
	}
	var x gateway.Explanation
	if err := client.call(cmd.Context(), method, path, in, &x); err != nil {
		return nil, err
	}
	return &x, nil
}

func (f *explainFlags) surroundings() (at time.Time, client netip.Addr, header http.Header, err error) {
	if f.at != "" {
		if at, err = time.Parse(time.RFC3339, f.at); err != nil {
			return at, client, nil, fmt.Errorf("--at %q is not a time: write one such as 2026-05-04T22:00:00+02:00", f.at)
		}
	}
	if f.client != "" {
		if client, err = netip.ParseAddr(f.client); err != nil {
			return at, client, nil, fmt.Errorf("--client %q is not an address: write one such as 10.1.2.3", f.client)
		}
	}
	header = http.Header{}
	for _, line := range f.headers {
		name, value, ok := strings.Cut(line, ":")
		if name = strings.TrimSpace(name); !ok || name == "" {
			return at, client, nil, fmt.Errorf("--header %q is not a header field: write 'Name: value'", line)
		}
		header.Add(name, strings.TrimSpace(value))
	}
	return at, client, header, nil
}

// identity is the user of --as and --claim, or nil for nobody.
func (f *explainFlags) identity(at time.Time) (*policy.Identity, error) {
	if f.as == "" && len(f.claims) == 0 {
		return nil, nil //nolint:nilnil // nobody has signed in
	}
	if at.IsZero() {
		at = time.Now()
	}
	if f.as != "" {
		if len(f.claims) > 0 {
			return nil, errors.New("--as describes the user already: put the claims into the file")
		}
		text, err := os.ReadFile(f.as)
		if err != nil {
			return nil, fmt.Errorf("--as: %w", err)
		}
		id, err := policytest.ParseIdentity(text, at)
		return &id, prefixed("--as "+f.as, err)
	}
	described, err := describe(f.claims)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(described)
	if err != nil {
		return nil, err
	}
	id, err := policytest.ParseIdentity(text, at)
	return &id, prefixed("--claim", err)
}

func prefixed(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}

// describe makes the description of a user, as a file has it, of single claims.
func describe(claims []string) (map[string]any, error) {
	described, others, given := map[string]any{}, map[string]any{}, map[string]bool{}
	for _, claim := range claims {
		name, text, ok := strings.Cut(claim, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("--claim %q is not a claim: write name=value", claim)
		}
		into, field, kind := described, ownField(name), kindOf(name)
		if field == "" {
			if into, field = inside(others, name); into == nil {
				return nil, fmt.Errorf("--claim %s: %s has a value already and is no object", claim, field)
			}
		}
		v := valueOf(text, kind)
		if list, again := into[field].([]any); again || given[name] || kind == listClaim {
			if !again && given[name] {
				list = []any{into[field]}
			}
			more, whole := v.([]any)
			if !whole {
				more = []any{v}
			}
			v = append(list, more...)
		}
		given[name], into[field] = true, v
	}
	if len(others) > 0 {
		described["claims"] = others
	}
	return described, nil
}

// ownField is the member of the description that a claim has of its own; empty for
// every other claim.
func ownField(claim string) string {
	switch claim {
	case "sub":
		return "subject"
	case "iss":
		return "issuer"
	case "email", "email_verified", "name", "preferred_username", "groups", "acr", "amr", "auth_time":
		return claim
	}
	return ""
}

// claimKind says how the value of a claim is read.
type claimKind int

const (
	anyClaim  claimKind = iota // as JSON where it is JSON
	textClaim                  // as it stands
	listClaim                  // as an array of JSON, or as one text of the list
)

func kindOf(claim string) claimKind {
	switch claim {
	case "groups", "amr":
		return listClaim
	case "email_verified":
		return anyClaim
	}
	if ownField(claim) != "" {
		return textClaim
	}
	return anyClaim
}

func valueOf(text string, kind claimKind) any {
	var v any
	if kind == textClaim || json.Unmarshal([]byte(text), &v) != nil {
		return text
	}
	if _, list := v.([]any); kind == listClaim && !list {
		return text
	}
	return v
}

// inside finds the object that a name with dots leads into. A name that is a URL is
// a name as it is.
func inside(object map[string]any, name string) (in map[string]any, field string) {
	for !strings.Contains(name, "://") {
		head, rest, ok := strings.Cut(name, ".")
		if !ok {
			break
		}
		next, isObject := object[head].(map[string]any)
		if !isObject {
			if object[head] != nil {
				return nil, head
			}
			next = map[string]any{}
			object[head] = next
		}
		object, name = next, rest
	}
	return object, name
}
