package gateway

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/sallyport/sallyport/gateway/admin"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/httperr"
)

// ReasonNoFile is that of a reload where there is no file.
const reasonNoFile = "no_configuration_file"

// status is what operators see of the configuration in use.
func (r *reloads) status() admin.ReloadStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := admin.ReloadStatus{Generation: r.generation, Since: r.since.UTC().Truncate(time.Second), File: r.file}
	if !r.last.At.IsZero() {
		s.Last = &admin.ReloadResult{At: r.last.At.UTC().Truncate(time.Second), Trigger: r.last.Trigger, Result: admin.ReloadTaken}
		s.Last.Refuse(r.last.Err)
	}
	return s
}

// err is why the configuration in use is not that of the file, nil where it is.
func (r *reloads) err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last.Err
}

// readiness shows it, and takes no gateway out of service for it.
func (r *reloads) readiness() admin.Check {
	return admin.Check{Name: "configuration", Probe: func(context.Context) error { return r.err() }}
}

// reloadFor exchanges the configuration for an operator. Nil is also a configuration
// with faults: the status tells it.
func (c *core) reloadFor(r *http.Request) error {
	if c.reload == nil {
		return noFile()
	}
	// Who goes away before the answer has asked for it nevertheless.
	err := c.reload(context.WithoutCancel(r.Context()), TriggerAPI)
	if errors.Is(err, ErrNoFile) {
		return noFile()
	}
	line := admin.ActOf(r, "reload", nil)
	if err != nil {
		line.Outcome = "failed"
	}
	c.audit.Record(line)
	if _, refused := errors.AsType[config.Faults](err); refused {
		return nil
	}
	return err
}

func noFile() error {
	return &httperr.Error{Code: http.StatusConflict, Reason: reasonNoFile, Public: "The configuration of this gateway does not come from a file that could be read again."}
}
