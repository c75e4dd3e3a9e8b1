package valkeystore

import (
	"context"
	"crypto/rand"
	"strings"
	"time"

	"github.com/valkey-io/valkey-go"
)

// Trial is what one connection to the store has shown.
type Trial struct {
	Version   string
	Mode      string        // standalone, sentinel or cluster
	RoundTrip time.Duration // of one command
	Eviction  string        // maxmemory-policy where memory is bounded; "" where it is not, or can't be asked
	Plain     bool          // without TLS
}

// TrialError is why a store can't be used: the step that a connection failed at.
type TrialError struct {
	Step Step
	Err  error
}

// Error tells the step as well.
func (e *TrialError) Error() string { return string(e.Step) + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *TrialError) Unwrap() error { return e.Err }

// Try connects once, calls every command that a gateway uses, and lets go again. What
// it writes is removed, and ends by itself within a minute. The error is a
// *TrialError, or an *OptionError for a file that can't be used.
func Try(ctx context.Context, o Options) (*Trial, error) {
	o.Offline = true
	s, err := Open(o)
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.Close() }()
	type outcome struct {
		t   *Trial
		err error
	}
	done := make(chan outcome, 1)
	go func() { // valkey-go connects without a context
		t, err := s.try(ctx)
		done <- outcome{t, err}
	}()
	select {
	case o := <-done:
		if o.err != nil {
			return nil, &TrialError{stepOf(o.err), legible(o.err)}
		}
		return o.t, nil
	case <-ctx.Done():
		return nil, &TrialError{StepAnswer, ctx.Err()}
	}
}

func (s *Store) try(ctx context.Context) (*Trial, error) {
	c, err := s.newClient()
	if err != nil {
		return nil, err
	}
	defer c.Close()
	// A store that takes no writes passes the examination: those who are signed in
	// stay so.
	var h handle
	rand.Read(h[:])
	key := s.layout.session(h)
	begun := time.Now()
	if err := c.Do(ctx, c.B().Set().Key(key).Value("tried").Px(10*time.Second).Build()).Error(); err != nil {
		return nil, examined("SET", err)
	}
	t := &Trial{RoundTrip: time.Since(begun), Mode: string(c.Mode()), Plain: !s.addresses[0].TLS && s.addresses[0].Network != "unix"}
	if err := c.Do(ctx, c.B().Del().Key(key).Build()).Error(); err != nil {
		return nil, examined("DEL", err)
	}
	if err := s.examine(ctx, c); err != nil {
		return nil, err
	}
	text, err := c.Do(ctx, c.B().Info().Section("memory", "server").Build()).ToString()
	if err != nil {
		if valkey.IsValkeyNil(err) || stepOf(err) == StepPermissions {
			return t, nil // not being allowed to ask is fine
		}
		return nil, err
	}
	info := infoOf(text)
	if t.Version = info["valkey_version"]; t.Version == "" {
		t.Version = info["redis_version"]
	}
	if info["maxmemory"] != "0" {
		t.Eviction = info["maxmemory_policy"]
	}
	return t, nil
}

func infoOf(text string) map[string]string {
	info := make(map[string]string)
	for line := range strings.SplitSeq(text, "\r\n") {
		if name, value, ok := strings.Cut(line, ":"); ok {
			info[name] = value
		}
	}
	return info
}
