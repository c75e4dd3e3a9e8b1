package gateway

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/lint"
)

const (
	// liveWait is how long one thing that is tried may take.
	liveWait = 8 * time.Second
	// renewBefore is how long before its end a certificate should have been renewed.
	renewBefore = 14 * 24 * time.Hour
)

// trial tries one thing, and says what came of it.
type trial struct {
	subject, path string
	try           func(ctx context.Context, t *tried)
}

// tried collects the results of a trial.
type tried struct {
	trial
	results []lint.LiveResult
}

func (t *tried) add(check, state, detail, fix string) {
	t.results = append(t.results, lint.LiveResult{Subject: t.subject, Check: check, State: state, Path: t.path, Detail: detail, Fix: fix})
}

func (t *tried) ok(check, detail string)           { t.add(check, lint.LiveOK, detail, "") }
func (t *tried) weak(check, detail, fix string)    { t.add(check, lint.LiveWeak, detail, fix) }
func (t *tried) failing(check, detail, fix string) { t.add(check, lint.LiveFailing, detail, fix) }
func (t *tried) unknown(check, detail string)      { t.add(check, lint.LiveUnknown, detail, "") }

// CheckLive tries what a gateway of this configuration depends on, all at once and
// each for a few seconds: providers, issuers, the session store, applications,
// certificates. Nothing is changed there, but for a key in the store that is removed
// again. The order of the results is that of the configuration.
func CheckLive(ctx context.Context, cfg *config.Config) []lint.LiveResult {
	trials := slices.Concat(certificateTrials(cfg), providerTrials(cfg), tokenTrials(cfg), storeTrials(cfg), upstreamTrials(cfg))
	all := make([][]lint.LiveResult, len(trials))
	var running sync.WaitGroup
	for i, one := range trials {
		running.Go(func() {
			limited, cancel := context.WithTimeout(ctx, liveWait)
			defer cancel()
			t := &tried{trial: one}
			one.try(limited, t)
			all[i] = t.results
		})
	}
	running.Wait()
	return slices.Concat(all...)
}

// expiry judges how long a certificate is good for.
func (t *tried) expiry(check string, cert *x509.Certificate, renew string) {
	left := time.Until(cert.NotAfter)
	until := fmt.Sprintf("of %q is good until %s", certificateName(cert), cert.NotAfter.UTC().Format(time.DateOnly))
	switch {
	case left <= 0:
		t.failing(check, fmt.Sprintf("of %q has expired on %s", certificateName(cert), cert.NotAfter.UTC().Format(time.DateOnly)), renew)
	case time.Until(cert.NotBefore) > 0:
		t.failing(check, fmt.Sprintf("of %q counts from %s on", certificateName(cert), cert.NotBefore.UTC().Format(time.DateTime)), "set the clock right, or wait")
	case left < renewBefore:
		t.weak(check, until+fmt.Sprintf(", for %d more days", int(left.Hours()/24)), renew)
	default:
		t.ok(check, until)
	}
}

func certificateName(c *x509.Certificate) string {
	if len(c.DNSNames) > 0 {
		return c.DNSNames[0]
	}
	return c.Subject.CommonName
}

// certificateTrials are for the certificates that the gateway shows.
func certificateTrials(cfg *config.Config) []trial {
	var all []trial
	add := func(path, file string) {
		if file == "" {
			return
		}
		all = append(all, trial{"certificate " + file, path, func(_ context.Context, t *tried) {
			cert, err := readCertificate(cfg.FileName(file))
			if err != nil {
				t.failing("certificate", err.Error(), "name a file with a certificate in PEM")
				return
			}
			t.expiry("certificate", cert, "renew it: the file is read again when it changes")
		}})
	}
	add("server.tls.cert_file", cfg.Server.TLS.CertFile)
	for i, c := range cfg.Server.TLS.Certificates {
		add(fmt.Sprintf("server.tls.certificates[%d].cert_file", i), c.CertFile)
	}
	add("admin.tls.cert_file", cfg.Admin.TLS.CertFile)
	add("ext_authz.tls.cert_file", cfg.ExtAuthz.TLS.CertFile)
	return all
}

func readCertificate(file string) (*x509.Certificate, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			return x509.ParseCertificate(block.Bytes)
		}
	}
	return nil, fmt.Errorf("there is no certificate in %s", file)
}
