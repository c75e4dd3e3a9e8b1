package valkeystore

import (
	"context"
	"errors"
	"strings"

	"github.com/sallyport/sallyport/gateway/session"
)

// discreet returns err with a text that has none of the passwords: servers before
// Redis 6, and proxies, repeat the commands that they don't know, and the password is
// part of one.
func (d *dialer) discreet(err error) error {
	for _, plain := range []error{session.ErrNotFound, session.ErrConflict, context.DeadlineExceeded, context.Canceled} {
		if errors.Is(err, plain) {
			return err
		}
	}
	if err == nil {
		return nil
	}
	text := err.Error()
	for _, read := range []func() (string, error){d.password, d.sentinelPassword} {
		if password, _ := read(); password != "" {
			text = strings.ReplaceAll(text, password, "[redacted]")
		}
	}
	if text == err.Error() {
		return err
	}
	return &discreetError{text, err}
}

type discreetError struct {
	text string
	err  error
}

func (e *discreetError) Error() string { return e.text }
func (e *discreetError) Unwrap() error { return e.err }
