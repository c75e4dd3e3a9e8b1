package gateway_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/sallyport/sallyport/gateway/admin"
	"github.com/sallyport/sallyport/gateway/telemetry"
)

func (s *site) events(t *testing.T, query string) admin.EventPage {
	t.Helper()
	var page admin.EventPage
	if status, text := s.ask(t, http.MethodGet, "/events?"+query, nil, &page); status != http.StatusOK {
		t.Fatalf("events?%s: %d %s", query, status, text)
	}
	return page
}

func kinds(list []telemetry.HappenedEvent) (kinds []string) {
	for i := range list {
		kinds = append(kinds, list[i].Kind)
	}
	return kinds
}

func TestOperatorsSeeWhatHappens(t *testing.T) {
	t.Parallel()
	s := newSite(t, plan{adminToken: adminToken(t)})
	alice := s.signIn(t, "alice")
	s.raw(t, s.request("GET", "/admin/x", "Cookie: "+alice, "Connection: close"))
	mark := s.events(t, "").Next
	s.raw(t, s.request("GET", "/", "Cookie: "+alice, "Connection: close"))
	s.ask(t, http.MethodPost, "/sessions/revoke", admin.Revocation{Issuer: "x", Subject: "y"}, nil)

	all := s.events(t, "").Events
	if got := kinds(all); !slices.Equal(got, []string{"login", "deny", "revoke"}) {
		t.Fatalf("events: %v", got)
	}
	if e := all[1]; e.Subject != "alice" || e.Route != "admin" || e.Reason == "" || e.Decision == "" || e.Time.IsZero() || e.Outcome != "ok" {
		t.Errorf("the denial: %+v", e)
	}
	for query, want := range map[string][]string{
		"kind=deny": {"deny"}, "kind=deny,login": {"login", "deny"}, "limit=1": {"revoke"}, "since=" + mark: {"revoke"},
		"since=2000-01-01T00:00:00Z&kind=login": {"login"}, "since=2100-01-01T00:00:00Z": nil,
	} {
		if got := kinds(s.events(t, query).Events); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", query, got, want)
		}
	}
	for _, query := range []string{"kind=x", "limit=0", "limit=5000", "since=yesterday", "follow=perhaps", "kinds=deny"} {
		if status, _ := s.ask(t, http.MethodGet, "/events?"+query, nil, nil); status != http.StatusBadRequest {
			t.Errorf("%s: %d", query, status)
		}
	}
}

// follower reads a stream of events, line by line, as fast as it is asked to.
type follower struct {
	lines *bufio.Scanner
	end   func()
}

func (s *site) follow(t *testing.T, query string) *follower {
	t.Helper()
	server := httptest.NewServer(s.gw.AdminHandler())
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/api/v1/events?follow=true"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer operator")
	res, err := server.Client().Do(r)
	if err != nil || res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "application/x-ndjson" {
		t.Fatalf("%v, %v", res, err)
	}
	f := &follower{lines: bufio.NewScanner(res.Body), end: func() {
		cancel()
		_, _ = io.Copy(io.Discard, res.Body)
		server.Close()
	}}
	t.Cleanup(f.end)
	return f
}

func (f *follower) next(t *testing.T) map[string]any {
	t.Helper()
	if !f.lines.Scan() {
		t.Fatalf("the stream ended: %v", f.lines.Err())
	}
	var line map[string]any
	if err := json.Unmarshal(f.lines.Bytes(), &line); err != nil {
		t.Fatalf("%v: %s", err, f.lines.Text())
	}
	return line
}

func TestOperatorsFollowWhatHappens(t *testing.T) {
	t.Parallel()
	s := newSite(t, plan{adminToken: adminToken(t)})
	s.signIn(t, "alice")
	f := s.follow(t, "&kind=login,deny")
	if line := f.next(t); line["event"] != "login" || line["subject"] != "alice" {
		t.Errorf("what was before: %v", line)
	}
	if line := f.next(t); line["mark"] != "alive" {
		t.Errorf("no mark that the past is over: %v", line)
	}
	s.as(t, "alice", "/admin/x")
	if line := f.next(t); line["event"] != "deny" {
		t.Errorf("what happens: %v", line)
	}
}

func TestOperatorsSeeTheFiguresOfTheLastMinutes(t *testing.T) {
	t.Parallel()
	s := newSite(t, plan{adminToken: adminToken(t)})
	s.as(t, "alice", "/")
	s.as(t, "", "/")
	var stats telemetry.Stats
	poll(t, "samples of both requests", func() bool {
		s.ask(t, http.MethodGet, "/stats", nil, &stats)
		sum := func(values []float32) (sum float32) {
			for _, v := range values {
				sum += v
			}
			return sum
		}
		return sum(stats.Requests["allow"]) > 0 && sum(stats.Requests["challenge"]) > 0 && sum(stats.CredentialBytes["session"]) > 0 && sum(stats.Decision.P99) > 0 &&
			len(stats.Sessions) > 0 && stats.Sessions[len(stats.Sessions)-1] == 1
	})
	if n := len(stats.Times); len(stats.Streams) != n || len(stats.Upstream.P50) != n || len(stats.Requests["allow"]) != n || stats.SessionsWhich != "in the store" {
		t.Errorf("lists of several lengths: %+v", stats)
	}
	if stats.CacheHits != nil || stats.TokenCacheHits != nil {
		t.Error("figures of a cache that there is not")
	}
}

// TestOperatorsSeeHowManyTokensWereProvenBefore: each costs its signature once.
func TestOperatorsSeeHowManyTokensWereProvenBefore(t *testing.T) {
	t.Parallel()
	s := newSite(t, plan{adminToken: adminToken(t)})
	token := "Authorization: Bearer " + s.token(t, nil)
	for range 3 {
		s.passed(t, s.as(t, "", "/api/", token))
	}
	s.denied(t, s.as(t, "", "/api/", token+"x"), http.StatusUnauthorized)
	for result, want := range map[string]string{"hit": "2", "miss": "2"} {
		if got := s.metric(t, `sallyport_token_cache_lookups_total{result="`+result+`"}`); got != want {
			t.Errorf("%s of %s, want %s", got, result, want)
		}
	}
	var stats telemetry.Stats
	poll(t, "a sample of it", func() bool {
		s.ask(t, http.MethodGet, "/stats", nil, &stats)
		hits, misses := 0.0, 0.0
		for i := range stats.TokenCacheHits {
			hits, misses = hits+float64(stats.TokenCacheHits[i]), misses+float64(stats.TokenCacheMisses[i])
		}
		return hits > 0 && misses > 0 && len(stats.TokenCacheHits) == len(stats.Times)
	})
}
