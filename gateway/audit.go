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

// openAudit lets the audit trail go where a configuration says.
func (c *core) openAudit(cfg *config.Config) error {
	if !c.open {
		return nil
	}
	secret, err := config.ReadSecret("", cfg.FileName(cfg.Audit.KeyFile))
	if err != nil && !errors.Is(err, config.ErrNoSecret) {
		return config.Faults{cfg.Fault("audit.key_file", err.Error(), "name a file that holds the secret and nothing else")}
	}
	if c.sameAuditFile(cfg.Audit) && c.auditKey != secret {
		// Nobody could verify a file that is chained by two keys.
		return config.Faults{cfg.Fault("audit.key_file", "is another key than that of the records in audit.file.path", "name another audit.file.path with it, or put back the key that was there")}
	}
	return c.moveAudit(cfg.Audit, secret)
}

// sameAuditFile reports whether records go to a file now and would go on to do so.
func (c *core) sameAuditFile(to config.Audit) bool {
	return c.audited != nil && c.audited.Output == config.AuditFile && to.Output == config.AuditFile && c.audited.File.Path == to.File.Path
}

// moveAudit lets the audit trail go somewhere. What is open stays open where nothing of
// it has changed, and after an error, unless it is the same file: then records go to
// the log.
func (c *core) moveAudit(to config.Audit, key config.Secret) error {
	if !c.open || c.audited != nil && *c.audited == to && c.auditKey == key {
		return nil
	}
	people := telemetry.NewPeople(to.PII, []byte(key.Reveal()))
	stream := &telemetry.AuditStream{People: people, Count: c.metrics.AuditRecord}
	if c.sameAuditFile(to) {
		// A file has one writer: until it is open again, records go to the log.
		if err := c.audit.Use(&telemetry.AuditStream{People: people}); err != nil {
			return fmt.Errorf("audit: %w", err)
		}
		c.audited = nil
	}
	if to.Output != config.AuditLog {
		sink, err := auditlog.Open(to, []byte(key.Reveal()), os.Stdout)
		if err != nil {
			return fmt.Errorf("audit: %w", err)
		}
		stream.Sink = sink
	}
	c.audited, c.auditKey = &to, key
	return c.audit.Use(stream)
}

// auditCheck shows whether records get where they belong. They are in the log until
// then, so a stream that takes none stops nobody.
func (c *core) auditCheck() admin.Check {
	return admin.Check{Name: "audit", Probe: func(context.Context) error { return c.audit.Failing() }}
}
