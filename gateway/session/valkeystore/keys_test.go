package valkeystore

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func randomHandle(r *rand.Rand) (h handle) {
	for i := range h {
		h[i] = byte(r.Uint32())
	}
	return h
}

func tagOf(t *testing.T, name string) string {
	t.Helper()
	_, rest, ok := strings.Cut(name, "{")
	tag, _, closed := strings.Cut(rest, "}")
	if !ok || !closed || len(tag) != tagSize {
		t.Fatalf("%q has no tag", name)
	}
	return tag
}

// TestWhatIsChangedTogetherIsInOneSlot: a command over two slots is an error in
// a cluster.
func TestWhatIsChangedTogetherIsInOneSlot(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	l := layout{"sp"}
	for range 10_000 {
		h := randomHandle(r)
		tag := tagOf(t, l.session(h))
		for _, name := range []string{l.tokens(h), l.tombstone(h), l.activity(h)} {
			if tagOf(t, name) != tag {
				t.Fatalf("%q is not in the slot of %q", name, l.session(h))
			}
		}
	}
}

func TestNamesLeadBackToSessions(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, l := range []layout{{"sp"}, {"a:b"}} {
		for range 10_000 {
			h := randomHandle(r)
			if got, err := l.parse(l.session(h)); err != nil || got != h {
				t.Fatalf("%x became %x, %v", h, got, err)
			}
			if got := h.member(); len(got) != handleSize-1 {
				t.Fatalf("member %x", got)
			}
			for _, other := range []string{l.tokens(h), l.tombstone(h), l.activity(h), l.session(h)[1:], l.session(h) + "A"} {
				if _, err := l.parse(other); err == nil {
					t.Fatalf("%q passes for the name of a session", other)
				}
			}
		}
	}
}

func TestBucketsAreInTheOrderOfKeys(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	all := make([]handle, 1000)
	for i := range all {
		all[i] = randomHandle(r)
	}
	slices.SortFunc(all, func(a, b handle) int { return bytes.Compare(a[:], b[:]) })
	if !slices.IsSortedFunc(all, func(a, b handle) int { return a.bucket() - b.bucket() }) {
		t.Error("they are not")
	}
	if last := (handle{0xff, 0xff}); last.bucket() != bucketCount-1 {
		t.Errorf("the last bucket is %d", last.bucket())
	}
	tags := map[string]bool{}
	for b := range bucketCount {
		tags[string(appendTag(nil, b))] = true
	}
	if len(tags) != bucketCount {
		t.Errorf("%d tags for %d buckets", len(tags), bucketCount)
	}
}

func TestIndexMembersLeadToSessions(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	h := randomHandle(r)
	p := pairOf("https://id", "alice")
	if got, ok := sessionOf(p.member(h)); !ok || got != h {
		t.Errorf("%x became %x", h, got)
	}
	if pairOf("a", "bc") == pairOf("ab", "c") || pairOf("", "abc") == pairOf("abc", "") {
		t.Error("pairs are run together")
	}
	for p, want := range map[pair]string{
		{0, 0, 'a', 'x'}: `ax*`, {0, 0, '*', '?'}: `\*\?*`, {0, 0, '[', ']'}: `\[\]*`, {0, 0, '\\', 0}: "\\\\\x00*",
	} {
		if got := p.pattern(); got != want {
			t.Errorf("pattern %q, want %q", got, want)
		}
	}
}

func FuzzName(f *testing.F) {
	f.Add("sp:{AAA}sAAAAAAAAAAAAAAAAAAAA")
	f.Add("sp:{---}s")
	f.Fuzz(func(t *testing.T, name string) {
		l := layout{"sp"}
		if h, err := l.parse(name); err == nil {
			if again, err := l.parse(l.session(h)); err != nil || again != h {
				t.Errorf("%q is %x, which is %q", name, h, l.session(h))
			}
		}
	})
}
