package upstream

import (
	"errors"
	"fmt"
)

// ErrNoUpstream means that no upstream is fit to get requests: all fail their
// health checks.
var ErrNoUpstream = errors.New("upstream: no upstream is healthy")

// BusyError means that every upstream had as many requests as it may have, for as
// long as a request waits for its turn.
type BusyError struct {
	Limit int // of one upstream at a time
}

// Error implements error.
func (e *BusyError) Error() string {
	return fmt.Sprintf("upstream: each upstream has the %d requests that it may have at a time", e.Limit)
}

// ConnectError means that an upstream could not be connected to, or that its TLS
// handshake failed: nothing of a request has reached it.
type ConnectError struct{ Err error }

// Error implements error.
func (e *ConnectError) Error() string { return "upstream: connect: " + e.Err.Error() }

// Unwrap returns the cause.
func (e *ConnectError) Unwrap() error { return e.Err }

// OptionError is what is wrong with one key of a route.
type OptionError struct {
	Path string // of the key, in the route
	Err  error
}

// Error implements error.
func (e *OptionError) Error() string { return e.Path + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *OptionError) Unwrap() error { return e.Err }
