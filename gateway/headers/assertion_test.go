package headers_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/headers"
	"github.com/sallyport/sallyport/gateway/identity"
)

func TestTheAssertionGoesWithTheIdentityHeaders(t *testing.T) {
	s, id := compile(t), alice()
	id.Memo = &identity.Memo{}
	plain, err := s.Prepare(id)
	if err != nil {
		t.Fatal(err)
	}
	with, err := plain.WithAssertion("a.b.c")
	if err != nil {
		t.Fatal(err)
	}
	h := http.Header{}
	with.Apply(h)
	if h.Get(headers.AssertionHeader) != "a.b.c" || h.Get("X-Forwarded-User") == "" {
		t.Errorf("%v", h)
	}
	h = http.Header{}
	plain.Apply(h)
	if _, leaked := h[headers.AssertionHeader]; leaked {
		t.Error("a route that asks for no assertion sends that of another route")
	}
	other, err := plain.WithAssertion("d.e.f")
	if err != nil {
		t.Fatal(err)
	}
	h = http.Header{}
	other.Apply(h)
	if h.Get(headers.AssertionHeader) != "d.e.f" {
		t.Errorf("another audience got %v", h)
	}
}

func TestTheAssertionCountsInTheBudget(t *testing.T) {
	s, err := headers.Compile(nil, headers.Options{MaxBytes: 1000})
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.Prepare(alice())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.WithAssertion(strings.Repeat("a", 500)); err != nil {
		t.Errorf("what fits: %v", err)
	}
	q, err := p.WithAssertion(strings.Repeat("a", 1000))
	if _, tooLarge := errors.AsType[*headers.TooLargeError](err); !tooLarge || q != nil {
		t.Errorf("what does not fit: %v", err)
	}
}

func TestTheSameAssertionAgainAllocatesNothing(t *testing.T) {
	s, id := compile(t), alice()
	id.Memo = &identity.Memo{}
	if got := testing.AllocsPerRun(100, func() {
		p, err := s.Prepare(id)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.WithAssertion("a.b.c"); err != nil {
			t.Fatal(err)
		}
	}); got > 0 {
		t.Errorf("%.1f allocations", got)
	}
}

func TestANilSetSendsAnAssertionAlone(t *testing.T) {
	var s *headers.Set
	p, err := s.Prepare(alice())
	if err != nil {
		t.Fatal(err)
	}
	p, err = p.WithAssertion("a.b.c")
	if err != nil {
		t.Fatal(err)
	}
	h := http.Header{}
	p.Apply(h)
	if len(h) != 1 || h.Get(headers.AssertionHeader) != "a.b.c" {
		t.Errorf("%v", h)
	}
}
