package gateway

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/sallyport/sallyport/gateway/admin"
	"github.com/sallyport/sallyport/gateway/auditlog"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/telemetry"
)

// openAudit lets the audit trail go where a configuration says. What is open stays
// open where nothing of it has changed. After an error, records go to the log.
func (c *core) openAudit(cfg *config.Config) error {
	if !c.open || c.audited != nil && *c.audited == cfg.Audit {
		return nil
	}
	secret, err := config.ReadSecret("", cfg.FileName(cfg.Audit.KeyFile))
	if err != nil && !errors.Is(err, config.ErrNoSecret) {
		return config.Faults{cfg.Fault("audit.key_file", err.Error(), "name a file that holds the secret and nothing else")}
	}
	people := telemetry.NewPeople(cfg.Audit.PII, []byte(secret.Reveal()))
	stream := &telemetry.AuditStream{People: people, Count: c.metrics.AuditRecord}
	if cfg.Audit.Output != config.AuditLog {
		// A file has one writer: while its successor is opened, records go to the log.
		if err := c.audit.Use(&telemetry.AuditStream{People: people}); err != nil {
			return fmt.Errorf("audit: %w", err)
		}
		c.audited = nil
		sink, err := auditlog.Open(cfg.Audit, []byte(secret.Reveal()), os.Stdout)
		if err != nil {
			return fmt.Errorf("audit: %w", err)
		}
		stream.Sink = sink
	}
	audited := cfg.Audit
	c.audited = &audited
	return c.audit.Use(stream)
}

// auditCheck shows whether records get where they belong. They are in the log until
// then, so a stream that takes none stops nobody.
func (c *core) auditCheck() admin.Check {
	return admin.Check{Name: "audit", Probe: func(context.Context) error { return c.audit.Failing() }}
}
