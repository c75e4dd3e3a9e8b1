package jwks

import (
	"context"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"
)

// Run fetches the key set at once and keeps it fresh until ctx ends. It never
// gives up: while the issuer fails it tries again after one second, then twice as
// long each time, up to a minute. A source is run once.
func (s *Source) Run(ctx context.Context) {
	defer s.stopOnce.Do(func() { close(s.stopped) })
	if s.static {
		<-ctx.Done()
		return
	}
	for failures := 0; ; {
		next, err := s.refresh(ctx)
		if err == nil {
			failures = 0
		} else {
			next = min(minBackoff<<min(failures, 10), maxBackoff)
			failures++
		}
		next = jitter(next)
		if next < firstWait {
			s.announce()
		}
		timer := time.NewTimer(next)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-s.wake:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// refresh fetches once and tells everybody who waits for it. It returns how
// long the set is fresh.
func (s *Source) refresh(ctx context.Context) (time.Duration, error) {
	running, asked := s.begin()
	fresh, err := s.fetch(ctx)
	if ctx.Err() == nil {
		s.report(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	running.err = err
	close(running.done)
	s.running = nil
	if asked != nil {
		asked.err = err
		close(asked.done)
		s.asked = nil
	}
	return fresh, err
}

// begin notes who is served by the fetch that starts now: those who asked
// before it. A later one needs another fetch, for this one may have left already.
func (s *Source) begin() (running, asked *round) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.wake:
	default:
	}
	if s.running == nil {
		s.running = newRound()
	}
	return s.running, s.asked
}

// announce lets those who need the first set wait for the fetch that comes in a moment:
// somebody who comes from the provider's page has seen that it answers again.
func (s *Source) announce() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running == nil && s.current.Load() == nil {
		s.running = newRound()
	}
}

// report logs changes of state, not every failure.
func (s *Source) report(err error) {
	class := ""
	if err != nil {
		class = classOf(err)
	}
	s.mu.Lock()
	before := s.lastError
	s.lastError = class
	s.mu.Unlock()

	log := s.o.Log.With(zap.String("issuer", s.o.Issuer))
	set := s.current.Load()
	tooOld := set != nil && !s.Ready()
	switch {
	case class != before && class != "":
		log.Warn("key set could not be fetched", zap.String("class", class), zap.Error(err), zap.Bool("serving_last_good", s.Ready()))
	case class != before:
		log.Info("key set could be fetched again")
	}
	if tooOld && !s.fetcher.toldTooOld {
		log.Error("key set is too old: tokens of this issuer cannot be checked", zap.Duration("max_stale", s.o.MaxStale))
	}
	s.fetcher.toldTooOld = tooOld
}

// freshFor is how long an answer may be used before it is asked for again.
func (s *Source) freshFor(h http.Header) time.Duration {
	age, _ := maxAge(h)
	return min(max(age, s.o.MinRefresh), s.o.MaxRefresh)
}

// maxAge reads Cache-Control (RFC 9111 section 5.2.2).
func maxAge(h http.Header) (time.Duration, bool) {
	var directives []string
	for _, line := range h.Values("Cache-Control") {
		for one := range strings.SplitSeq(line, ",") {
			directives = append(directives, strings.ToLower(strings.TrimSpace(one)))
		}
	}
	if slices.Contains(directives, "no-store") || slices.Contains(directives, "no-cache") {
		return 0, false
	}
	for _, one := range directives {
		value, ok := strings.CutPrefix(one, "max-age=")
		if !ok {
			continue
		}
		seconds, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31)
		if err != nil {
			return 0, false
		}
		return time.Duration(seconds) * time.Second, true
	}
	return 0, false
}

// jitter spreads the fetches of many gateways: ten percent either way.
func jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.9 + 0.2*rand.Float64())) //nolint:gosec // spreads load, hides nothing
}
