package headers_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

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
