package headers_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/headers"
	"github.com/sallyport/sallyport/gateway/identity"
)

func TestTheAccessTokenGoesWithTheOtherHeaders(t *testing.T) {
	s, id := compile(t), alice()
	id.Memo = &identity.Memo{}
	plain, err := s.Prepare(id)
	if err != nil {
		t.Fatal(err)
	}
	asserted, err := plain.WithAssertion("a.b.c")
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{"first", "second"} {
		with, err := asserted.WithAccessToken(token)
		if err != nil {
			t.Fatal(err)
		}
		h := http.Header{"Authorization": {"Basic of-the-client"}}
		with.Apply(h)
		if got := h["Authorization"]; len(got) != 1 || got[0] != "Bearer "+token || h.Get(headers.AssertionHeader) != "a.b.c" || h.Get("X-Forwarded-User") == "" {
			t.Errorf("%v", h)
		}
	}
	h := http.Header{}
	asserted.Apply(h)
	if _, leaked := h["Authorization"]; leaked {
		t.Error("a route that asks for no token sends that of another route")
	}
}

func TestTheAccessTokenCountsInTheBudget(t *testing.T) {
	s, err := headers.Compile(nil, headers.Options{MaxBytes: 1000})
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.Prepare(alice())
	if err != nil {
		t.Fatal(err)
	}
	q, err := p.WithAccessToken(strings.Repeat("a", 1000))
	if _, tooLarge := errors.AsType[*headers.TooLargeError](err); !tooLarge || q != nil {
		t.Errorf("what does not fit: %v", err)
	}
}

// TestTheIDTokenGoesInItsHeader, which nobody else fills in any spelling.
func TestTheIDTokenGoesInItsHeader(t *testing.T) {
	for name, want := range map[string]string{"x-id-token": "a.b.c", "authorization": "Bearer a.b.c"} {
		t.Run(name, func(t *testing.T) {
			s, err := headers.Compile(nil, headers.Options{IDToken: name})
			if err != nil {
				t.Fatal(err)
			}
			plain, err := s.Prepare(alice())
			if err != nil {
				t.Fatal(err)
			}
			with, err := plain.WithIDToken("a.b.c")
			if err != nil {
				t.Fatal(err)
			}
			h := http.Header{s.IDTokenHeader(): {"forged", "twice"}, "X_id_token": {"forged"}, "Xidtoken": {"forged"}, "Accept": {"*/*"}}
			if name == "authorization" {
				h = http.Header{"Authorization": {"forged"}, "Author-Ization": {"forged"}}
			}
			s.Strip(h)
			for left := range h {
				if left != "Accept" {
					t.Errorf("%s was left", left)
				}
			}
			with.Apply(h)
			if got := h[s.IDTokenHeader()]; len(got) != 1 || got[0] != want {
				t.Errorf("%v", h)
			}
			if again, _ := plain.WithIDToken("a.b.c"); again != with {
				t.Error("the same token was put in anew")
			}
		})
	}
	plain, err := compile(t).Prepare(alice())
	if err != nil {
		t.Fatal(err)
	}
	if with, err := plain.WithIDToken("a.b.c"); with != plain || err != nil {
		t.Errorf("a route that sends no ID token got one: %v, %v", with, err)
	}
}

func TestNothingThatIsAddedIsTakenForSomethingElse(t *testing.T) {
	s, err := headers.Compile(nil, headers.Options{IDToken: "X-Id-Token", SetsAuthorization: true})
	if err != nil {
		t.Fatal(err)
	}
	plain, err := s.Prepare(alice())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		asserted, _ := plain.WithAssertion("same")
		access, _ := plain.WithAccessToken("same")
		id, _ := plain.WithIDToken("same")
		login, err := plain.WithCredential("same")
		if err != nil {
			t.Fatal(err)
		}
		for want, p := range map[string]*headers.Prepared{
			headers.AssertionHeader + ": same": asserted, "Authorization: Bearer same": access, "X-Id-Token: same": id, "Authorization: same": login,
		} {
			var last string
			p.Each(func(name, value string) { last = name + ": " + value })
			if last != want {
				t.Errorf("%s, want %s", last, want)
			}
		}
	}
}

func TestEverythingCountsInTheBudget(t *testing.T) {
	s, err := headers.Compile(nil, headers.Options{MaxBytes: 1000, IDToken: "X-Id-Token"})
	if err != nil {
		t.Fatal(err)
	}
	half := strings.Repeat("a", 450)
	p, err := s.Prepare(alice())
	if err != nil {
		t.Fatal(err)
	}
	if p, err = p.WithIDToken(half); err != nil {
		t.Fatalf("what fits: %v", err)
	}
	p, err = p.WithCredential(half)
	if _, tooLarge := errors.AsType[*headers.TooLargeError](err); !tooLarge || p != nil {
		t.Errorf("what does not fit: %v", err)
	}
}

// TestABudgetThatNobodyFitsIntoIsAFault, and is told when the rules are compiled.
func TestABudgetThatNobodyFitsIntoIsAFault(t *testing.T) {
	_, err := headers.Compile([]config.Header{{Name: "X-A", Claim: "a", Default: strings.Repeat("a", 100)}}, headers.Options{MaxBytes: 120})
	if err == nil || !strings.HasPrefix(err.Error(), "headers: names and defaults alone take 127 bytes, and all identity headers may have 120") {
		t.Errorf("%v", err)
	}
}

// TestHeadersOfAnotherRouteAreRemovedToo: the application behind both may be the
// same, and believe on a public route what it is told on the other.
func TestHeadersOfAnotherRouteAreRemovedToo(t *testing.T) {
	s, err := headers.Compile(nil, headers.Options{Strip: []string{"X-Department", "", "Team"}})
	if err != nil {
		t.Fatal(err)
	}
	got := forwarded(t, s, nil, http.Header{"X-Department": {"sales"}, "X_department": {"sales"}, "T-Eam": {"x"}, "Date": {"x"}, "Accept": {"*/*"}})
	if len(got) != 2 || got.Get("Accept") != "*/*" || got.Get("Date") != "x" {
		t.Errorf("%v", got)
	}
}
