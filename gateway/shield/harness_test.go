package shield_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/shield"
)

// gatewayCookies are the gateway's own, as package session knows them.
type gatewayCookies struct{}

func (gatewayCookies) Owns(name string) bool {
	rest, ok := strings.CutPrefix(name, "__Host-sp")
	return ok && (rest == "" || rest[0] == '_')
}

// watched is a shield, and what it found.
type watched struct {
	*shield.Shield
	watch   *shield.Watch
	counted sync.Map // of *atomic.Int64, by what the metric is labelled with
}

// raise makes a shield with the defaults of the configuration.
func raise(tb testing.TB, publicURL, settings string) *watched {
	tb.Helper()
	cfg, err := config.Parse("test.yaml", fmt.Appendf(nil, `
server: {public_url: %q}
routes:
  - {name: app, upstream: builtin:echo, public: true, shield: {%s}}
`, publicURL, settings), nil)
	if err != nil {
		tb.Fatal(err)
	}
	w := &watched{}
	w.watch = shield.NewWatch(shield.WatchOptions{Count: func(route, mode string, f shield.Finding) func() {
		n, _ := w.counted.LoadOrStore(route+" "+mode+" "+f.String(), new(atomic.Int64))
		return func() { n.(*atomic.Int64).Add(1) } //nolint:forcetypeassert // nothing else is stored
	}})
	w.Shield = w.watch.Shield("app", &cfg.Routes[0].Shield, &cfg.Server)
	return w
}

// found lists what was found, as "finding of name: count".
func (w *watched) found() []string {
	var out []string
	for _, f := range w.watch.Report().Routes[0].Findings {
		name := f.Cookie + f.Header
		if f.Others {
			name = "others"
		}
		out = append(out, fmt.Sprintf("%s of %s: %d", f.Finding, name, f.Count))
	}
	slices.Sort(out)
	return out
}

// metric returns what was counted under labels.
func (w *watched) metric(labels string) int64 {
	n, ok := w.counted.Load(labels)
	if !ok {
		return 0
	}
	return n.(*atomic.Int64).Load() //nolint:forcetypeassert // nothing else is stored
}

// set sends Set-Cookie lines through the shield.
func (w *watched) set(lines ...string) []string {
	h := http.Header{"Set-Cookie": slices.Clone(lines)}
	w.Response(http.StatusOK, h, gatewayCookies{})
	return h["Set-Cookie"]
}

// sent sends Cookie lines through the shield.
func (w *watched) sent(lines ...string) []string {
	h := http.Header{"Cookie": slices.Clone(lines)}
	w.Request(h, gatewayCookies{})
	return h["Cookie"]
}

func names(h http.Header) []string { return slices.Sorted(maps.Keys(h)) }
