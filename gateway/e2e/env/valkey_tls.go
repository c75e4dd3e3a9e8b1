//go:build e2e

package env

import "github.com/sallyport/sallyport/gateway/tlstest"

// ValkeyTLS makes the server speak TLS only, with a certificate of ca for
// 127.0.0.1 and localhost. It asks clients for no certificate.
func ValkeyTLS(ca *tlstest.CA) ValkeyOption { return valkeyTLS(ca, "no") }

// ValkeyMutualTLS is ValkeyTLS for a server that refuses clients without a
// certificate of ca.
func ValkeyMutualTLS(ca *tlstest.CA) ValkeyOption { return valkeyTLS(ca, "yes") }

func valkeyTLS(ca *tlstest.CA, clients string) ValkeyOption {
	return func(v *Valkey) {
		pair := ca.Server("127.0.0.1", "localhost")
		v.tls = true
		v.args = append(v.args, "--tls-cert-file", pair.CertFile, "--tls-key-file", pair.KeyFile,
			"--tls-ca-cert-file", ca.CertFile, "--tls-auth-clients", clients,
			"--tls-replication", "yes", "--tls-cluster", "yes")
		v.cli = append(v.cli, "--tls", "--cacert", ca.CertFile)
		if clients == "yes" {
			client := ca.Client("valkey-cli")
			v.cli = append(v.cli, "--cert", client.CertFile, "--key", client.KeyFile)
		}
	}
}
