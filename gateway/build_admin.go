package gateway

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"os"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/admin"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/listener"
	"github.com/sallyport/sallyport/gateway/session"
	"github.com/sallyport/sallyport/gateway/telemetry"
)

// buildAdminCertificates reads the certificates of the operators' listener; nothing
// without any.
func buildAdminCertificates(cfg *config.Config, log *zap.Logger, metrics *telemetry.Metrics, p *parts) error {
	if cfg.Admin.Listen == "" || cfg.Admin.TLS.CertFile == "" {
		return nil
	}
	certs, err := listener.NewCertificates(listener.CertificateOptions{
		TLS: cfg.Admin.TLS.TLS(), Key: "admin.tls", Log: log.Named("tls"), Reloaded: metrics.CertificateReload,
	})
	if err != nil {
		return certificateFaults(cfg, err)
	}
	p.certificates = append(p.certificates, certs.Ends)
	p.adminTLS = certs.Config()
	p.background = append(p.background, certs.Run)
	return nil
}

// adminGate says who may come in where operators do.
func adminGate(c *core, cfg *config.Config) admin.Gate {
	return admin.Gate{
		Token:        func() (config.Secret, error) { return config.ReadSecret("", cfg.Admin.TokenFile) },
		Certificates: cfg.Admin.TLS.ClientCAFile != "", Hosts: adminHosts(cfg),
		Signer: adminSigner{c.sealing}, Trail: c.audit, Visitors: c.visitors,
	}
}

// adminHosts are the names of the operators' listener: those that are configured,
// and those in its certificate.
func adminHosts(cfg *config.Config) []string {
	hosts := slices.Clone(cfg.Admin.Hosts)
	text, err := os.ReadFile(cfg.Admin.TLS.CertFile)
	if err != nil {
		return hosts // there is none, or it was a fault before
	}
	if block, _ := pem.Decode(text); block != nil {
		if leaf, err := x509.ParseCertificate(block.Bytes); err == nil {
			for _, name := range leaf.DNSNames {
				hosts = append(hosts, strings.ToLower(name))
			}
		}
	}
	return hosts
}

// adminSigner signs for the operators' pages.
type adminSigner struct{ ring *session.Keyring }

var _ admin.Signer = adminSigner{}

// Sign implements admin.Signer.
func (s adminSigner) Sign(message []byte) (keyID byte, mac [sha256.Size]byte) {
	return s.ring.Sign(session.PurposeAdmin, message)
}

// Check implements admin.Signer.
func (s adminSigner) Check(keyID byte, message, mac []byte) bool {
	return s.ring.Check(keyID, session.PurposeAdmin, message, mac)
}
