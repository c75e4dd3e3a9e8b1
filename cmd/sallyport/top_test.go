package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sallyport/sallyport/gateway/telemetry"
)

// busyView is a gateway with everything in it, and a subject who would like to write
// on the operator's screen.
func busyView() *topView {
	v := &topView{client: &adminClient{base: "http://127.0.0.1:9080"}}
	series := func(scale float32) []float32 {
		list := make([]float32, 600)
		for i := range list {
			list[i] = scale * float32(i%60)
		}
		return list
	}
	q := telemetry.Quantiles{P50: series(1e-6), P90: series(1e-4), P99: series(1e-2)}
	v.stats = telemetry.Stats{
		Started: 1, Times: make([]int64, 600), Decision: q, Upstream: q, Store: q,
		Requests:        map[string][]float32{"allow": series(100), "forbid": series(1), "challenge": series(2), "none": series(3), "no_route": series(0), "malformed": series(0), "bad_host": series(0)},
		CredentialBytes: map[string][]float32{"session": series(40), "bearer": series(90_000)},
		StoreOperations: series(5), StoreErrors: series(0), CacheHits: series(100), CacheMisses: series(1), TokenCacheHits: series(100), TokenCacheMisses: series(1),
		Sessions: series(1e4), SessionsWhich: "in the store", Streams: series(2), Connections: series(3),
	}
	for i := range 50 {
		v.events = append(v.events, telemetry.HappenedEvent{
			Time: time.Unix(int64(i), 0), Kind: "deny",
			Audit: telemetry.Audit{Event: "deny", Outcome: "ok", Subject: "mallory\x1b[2J\r\n\u202e", Route: "app", Reason: "not_allowed"},
		})
	}
	return v
}

func TestTopStaysWithinTheScreen(t *testing.T) {
	v := busyView()
	for _, size := range [][2]int{{80, 24}, {200, 60}, {40, 10}, {20, 3}, {1, 1}, {0, 0}} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			lines := v.frame(size[0], size[1], time.Now())
			if len(lines) > max(1, size[1]) {
				t.Errorf("%d lines", len(lines))
			}
			for _, line := range lines {
				if utf8.RuneCountInString(line) > max(20, size[0]) {
					t.Errorf("%d columns: %q", utf8.RuneCountInString(line), line)
				}
				if strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }) {
					t.Errorf("a terminal would obey %q", line)
				}
			}
		})
	}
}

// TestTopGivesWideCharactersTheirRoom: Korean and others take two columns each.
func TestTopGivesWideCharactersTheirRoom(t *testing.T) {
	for text, want := range map[string]string{
		"abcde": "abcde", "abcdef": "abcd…", "가나": "가나", "가나다": "가나…", "a가나": "a가나", "a가나다": "a가…", "가b나다": "가b…", "abcd가": "abcd…", "abc가": "abc가", "": "",
	} {
		d := drawing{width: 5}
		if d.line("%s", text); d.lines[0] != want {
			t.Errorf("%q: %q, want %q", text, d.lines[0], want)
		}
	}
}

func TestTopShowsWhatItKnows(t *testing.T) {
	v := busyView()
	frame := strings.Join(v.frame(80, 24, time.Now()), "\n")
	for _, want := range []string{"requests", "allow          5900/s", "decisions    p50 59.0µs", "99.0% hits", "bearer 5.3 MB/s, session 2.4 kB/s", "sessions       590000 in the store", "streams           118   connections 177", "deny    mallory", "▁", "█"} {
		if !strings.Contains(frame, want) {
			t.Errorf("no %q in\n%s", want, frame)
		}
	}
	if frame := strings.Join(v.frame(200, 60, time.Now()), "\n"); !strings.Contains(frame, "near cache      99.0% hits") || !strings.Contains(frame, "token cache     99.0% hits") {
		t.Errorf("the caches are not shown:\n%s", frame)
	}
	v.failed = errors.New("the gateway's admin listener does not answer")
	if frame := strings.Join(v.frame(80, 24, time.Now()), "\n"); !strings.Contains(frame, "! no news: the gateway's admin listener") {
		t.Errorf("an outage is not shown:\n%s", frame)
	}
	empty := topView{client: v.client}
	if lines := empty.frame(80, 24, time.Now()); len(lines) < 10 {
		t.Errorf("nothing is known yet, and %q shown", lines)
	}
}

func TestBarsGrowWithTheirValues(t *testing.T) {
	for _, c := range []struct {
		values []float32
		width  int
		want   string
	}{
		{nil, 10, ""}, {[]float32{0, 0}, 10, "▁▁"}, {[]float32{0, 1, 2, 4, 8}, 10, "▁▂▃▅█"}, {[]float32{9, 1, 2}, 2, "▅█"}, {[]float32{1}, -3, ""},
	} {
		if got := spark(c.values, c.width); got != c.want {
			t.Errorf("%v in %d: %s, want %s", c.values, c.width, got, c.want)
		}
	}
}
