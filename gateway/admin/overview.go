package admin

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/sallyport/sallyport/gateway/telemetry"
)

// Overview is what the first page shows.
type Overview struct {
	Stats func() telemetry.Stats
	// Configuration says what is in use. It may be nil.
	Configuration func() ReloadStatus
	// Reloadable says whether that can be exchanged. It may be nil.
	Reloadable func() bool
	// Warnings are about what works and should not stay so, such as old keys. It may
	// be nil.
	Warnings func(ctx context.Context) []string
}

type overviewView struct {
	Word          string // ready, not ready, draining
	Tiles         [][2]string
	Plots         []*plot
	Checks        []checkResult
	Configuration *ReloadStatus
	Reloadable    bool
	Warnings      []string
}

func overviewPages(o *Overview, ready *readiness) []Page {
	if o == nil {
		return nil
	}
	return []Page{{Path: "/", Name: "Overview", Show: func(r *http.Request) (*View, error) {
		return &View{Title: "Overview", File: "overview", Live: true, Data: o.view(r.Context(), ready)}, nil
	}}}
}

func (o *Overview) view(ctx context.Context, ready *readiness) *overviewView {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	v := &overviewView{Word: "ready"}
	ok, checks := ready.judge(ctx, time.Now())
	v.Checks = checks
	switch {
	case ready.draining != nil && ready.draining():
		v.Word = "draining"
	case !ok:
		v.Word = "not ready"
	}
	if o.Configuration != nil {
		c := o.Configuration()
		v.Configuration = &c
		v.Reloadable = o.Reloadable != nil && o.Reloadable()
	}
	if o.Warnings != nil {
		v.Warnings = o.Warnings(ctx)
	}
	s := o.Stats()
	since := "10 min ago"
	v.Plots = []*plot{
		requestsPlot(&s, since),
		draw("Time to decide", since, seconds, quantileLines(s.Decision)...),
		draw("Time until an upstream answers", since, seconds, quantileLines(s.Upstream)...),
		storePlot(&s, since),
		credentialsPlot(&s, since),
		draw("Open", since, number,
			line("Connections", "other", s.Connections, true), line("Streams", "warn", s.Streams, true)),
	}
	v.Tiles = [][2]string{
		{"Requests", v.Plots[0].Now},
		{"Sessions " + s.SessionsWhich, number(lastOf(s.Sessions))},
		{"Open streams", number(lastOf(s.Streams))},
		{"Connections", number(lastOf(s.Connections))},
	}
	if hits, misses := total(s.CacheHits), total(s.CacheMisses); hits+misses > 0 {
		v.Tiles = append(v.Tiles, [2]string{"From the near cache", number(100*hits/(hits+misses)) + " %"})
	}
	if hits, misses := total(s.TokenCacheHits), total(s.TokenCacheMisses); hits+misses > 0 {
		v.Tiles = append(v.Tiles, [2]string{"Tokens proven before", number(100*hits/(hits+misses)) + " %"})
	}
	return v
}

// requestsPlot tells apart what was let in, what was not, who was asked to sign in,
// and all that came to nothing otherwise.
func requestsPlot(s *telemetry.Stats, since string) *plot {
	var other [][]float32
	for _, outcome := range slices.Sorted(maps.Keys(s.Requests)) {
		if outcome != "allow" && outcome != "forbid" && outcome != "challenge" {
			other = append(other, s.Requests[outcome])
		}
	}
	p := draw("Requests", since, perSecond,
		line("Let in", "good", s.Requests["allow"], false),
		line("Denied", "bad", s.Requests["forbid"], false),
		line("Asked to sign in", "warn", s.Requests["challenge"], false),
		line("Other", "other", sum(other...), false))
	all := 0.0
	for i := range p.Series {
		all += p.Series[i].last
	}
	p.Now = perSecond(all)
	return p
}

func quantileLines(q telemetry.Quantiles) []series {
	return []series{line("Half within", "good", q.P50, true), line("99 % within", "warn", q.P99, true)}
}

// storePlot shows the near cache where there is one.
func storePlot(s *telemetry.Stats, since string) *plot {
	lines := []series{line("Operations", "good", s.StoreOperations, false), line("Errors", "bad", s.StoreErrors, false)}
	if s.CacheHits != nil {
		lines = []series{
			line("Near cache hits", "good", s.CacheHits, false), line("Misses", "warn", s.CacheMisses, false),
			line("Store operations", "other", s.StoreOperations, false), line("Errors", "bad", s.StoreErrors, false),
		}
	}
	return draw("Session store", since, perSecond, lines...)
}

// credentialsPlot shows what credentials cost on the way here, by kind.
func credentialsPlot(s *telemetry.Stats, since string) *plot {
	var lines []series
	var other [][]float32
	kinds := slices.SortedFunc(maps.Keys(s.CredentialBytes), func(a, b string) int {
		return int(total(s.CredentialBytes[b]) - total(s.CredentialBytes[a]))
	})
	classes := []string{"good", "warn", "bad"}
	for i, kind := range kinds {
		if i < len(classes) {
			lines = append(lines, line(kind, classes[i], s.CredentialBytes[kind], false))
		} else {
			other = append(other, s.CredentialBytes[kind])
		}
	}
	if len(other) > 0 {
		lines = append(lines, line("Other", "other", sum(other...), false))
	}
	return draw("Credentials on the wire", since, bytesPerSecond, lines...)
}

func total(samples []float32) float64 {
	t := 0.0
	for _, v := range samples {
		t += float64(v)
	}
	return t
}

func lastOf(samples []float32) float64 {
	if len(samples) == 0 {
		return 0
	}
	return float64(samples[len(samples)-1])
}
