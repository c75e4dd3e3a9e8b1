package gateway

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/sallyport/sallyport/gateway/devpanel"
	"github.com/sallyport/sallyport/gateway/httperr"
	"github.com/sallyport/sallyport/gateway/login"
	"github.com/sallyport/sallyport/gateway/sealing"
	"github.com/sallyport/sallyport/gateway/session"
	"github.com/sallyport/sallyport/gateway/telemetry"
)

// operatorPanel is whose act it was, in the audit records of the panel.
const operatorPanel = "panel"

// acts are what the buttons of the panel do. Each leaves an audit record.
func (d *development) acts(p *parts, signIn *login.Service) []devpanel.Act {
	act := func(name, event string, do func(r *http.Request, form url.Values, line *telemetry.Audit) error) devpanel.Act {
		return devpanel.Act{Name: name, Do: func(r *http.Request, form url.Values) error {
			line := &telemetry.Audit{Event: event}
			err := do(r, form, line)
			p.recordPanel(r, line, err)
			return err
		}}
	}
	onSession := func(do func(ctx context.Context, key session.Key) error) func(*http.Request, url.Values, *telemetry.Audit) error {
		return func(r *http.Request, _ url.Values, line *telemetry.Audit) error {
			live, err := signIn.Session(r)
			if err != nil || live == nil { // there is nothing left to end
				return err
			}
			line.Session, line.Provider = live.Key().String(), live.Provider
			line.Issuer, line.Subject = live.Identity.Issuer, live.Identity.Subject
			return storeTrouble(do(r.Context(), live.Key()))
		}
	}
	change := func(how func(*session.Session)) func(context.Context, session.Key) error {
		return func(ctx context.Context, key session.Key) error {
			_, err := p.core.store.Update(ctx, key, func(s *session.Session) error {
				how(s)
				return nil
			})
			return err
		}
	}
	return []devpanel.Act{
		act(devpanel.ActExpireIdle, "expire_session", onSession(change(func(s *session.Session) { s.IdleTimeout = time.Nanosecond }))),
		act(devpanel.ActExpireAbsolute, "expire_session", onSession(change(func(s *session.Session) { s.Identity.ExpiresAt = time.Now() }))),
		act(devpanel.ActRevoke, "revoke_session", onSession(p.core.store.Delete)),
		act(devpanel.ActRotateSigning, "rotate_signing_key", func(r *http.Request, _ url.Values, _ *telemetry.Audit) error {
			return ringError(p.core.ring.Rotate(r.Context(), true))
		}),
		act(devpanel.ActRotateSealing, "rotate_sealing_key", func(r *http.Request, _ url.Values, line *telemetry.Audit) error {
			err := p.core.keyring.Rotate(r.Context())
			switch {
			case errors.Is(err, sealing.ErrFiles):
				return malformed("The keys are those of session.keys_files: put a new one there.")
			case errors.Is(err, sealing.ErrCrowded):
				return malformed("There are as many keys as there can be, and sessions still need the old ones.")
			}
			line.Key = string(p.core.sealing.Sealing())
			return storeTrouble(err)
		}),
		act(devpanel.ActTrouble, "rehearse_trouble", func(_ *http.Request, form url.Values, line *telemetry.Audit) error {
			switch t := login.Trouble(form.Get("trouble")); t {
			case login.TroubleNone, login.TroubleError, login.TroubleTimeout, login.TroubleDenied:
				line.Note = string(t)
				d.rehearsal.Next(t)
				return nil
			}
			return malformed("A sign-in fails with error, timeout or denied.")
		}),
		act(devpanel.ActOutage, "rehearse_outage", func(_ *http.Request, form url.Values, line *telemetry.Audit) error {
			n, err := strconv.ParseUint(form.Get("seconds"), 10, 16)
			if err != nil || n > 3600 {
				return malformed("Write a number of seconds, at most 3600.")
			}
			line.Note = strconv.FormatUint(n, 10) + "s"
			d.store.breakFor(time.Duration(n) * time.Second)
			return nil
		}),
	}
}

// recordPanel completes the record of an act of the panel, which err says the end of.
func (p *parts) recordPanel(r *http.Request, line *telemetry.Audit, err error) {
	line.Outcome, line.Operator = "ok", operatorPanel
	if err != nil {
		line.Outcome, line.Reason = "failed", httperr.As(err).Reason
	}
	line.RequestID, line.ClientAddr = r.Header.Get(httperr.RequestIDHeader), p.trust.client(r)
	p.core.audit.Record(line)
}
