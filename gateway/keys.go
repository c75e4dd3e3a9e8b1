package gateway

import (
	"context"
	"fmt"
	"os"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/jose"
	"github.com/sallyport/sallyport/gateway/jwks"
	"github.com/sallyport/sallyport/gateway/sealing"
	"github.com/sallyport/sallyport/gateway/telemetry"
)

// judgeKeyFiles finds every fault of session.keys_files.
func judgeKeyFiles(cfg *config.Config) error {
	if len(cfg.Session.KeysFiles) == 0 {
		return nil
	}
	var faults config.Faults
	for i, file := range cfg.Session.KeysFiles {
		if _, err := sealing.RingFromFiles([]string{file}, readKeyFile); err != nil {
			faults = append(faults, cfg.Fault(fmt.Sprintf("session.keys_files[%d]", i), err.Error(), "write a file made by `sallyport keys generate sealing`"))
		}
	}
	if len(faults) > 0 {
		return faults
	}
	if _, err := sealing.RingFromFiles(cfg.Session.KeysFiles, readKeyFile); err != nil {
		return config.Faults{cfg.Fault("session.keys_files", err.Error(), "name different files")}
	}
	return nil
}

// openSealing opens the ring that seals: from files, or as the store keeps it.
func (c *core) openSealing(ctx context.Context, cfg *config.Config) error {
	host, err := os.Hostname()
	if err != nil {
		host = "gateway"
	}
	ring, err := sealing.Open(ctx, sealing.Options{
		Records: c.records, Files: cfg.Session.KeysFiles, Read: readKeyFile, Host: host,
		Shared: cfg.Session.Store == config.StoreValkey, Offline: !c.open,
		Absolute: cfg.Session.AbsoluteTimeout, Told: c.keyNews.teller(newsOfSealing), Log: c.log.Named("sealing"),
	})
	if err != nil {
		return err
	}
	c.keyring, c.sealing = ring, ring.Keyring()
	c.signed = &sealedRing{
		records: c.records, sealing: c.sealing, saved: c.keyNews.teller(newsOfSigning),
		adopt: cfg.Session.Store == config.StoreEmbedded && len(cfg.Session.KeysFiles) > 0,
	}
	ring.Bind(func() sealing.Sessions { return c.now().sessions }, c.signed.reseal)
	if c.open {
		c.background = append(c.background, ring.Run)
	}
	return nil
}

// keySource finds the keys of a token issuer: a shared secret, a file, or a key
// set that is fetched and kept fresh.
func keySource(c config.TokenIssuer, log *zap.Logger, metrics *telemetry.Metrics, calls callWatch) (*jwks.Source, error) {
	switch {
	case c.Secret != "" || c.SecretFile != "":
		secret, err := config.ReadSecret(c.Secret, c.SecretFile)
		if err != nil {
			return nil, err
		}
		set, err := jose.SecretKeySet([]byte(secret.Reveal()))
		if err != nil {
			return nil, err
		}
		return jwks.Static(set), nil
	case c.JWKSFile != "":
		return keyFile(c.JWKSFile)
	}
	client, err := jwks.NewClient(c.CAFile)
	if err != nil {
		return nil, err
	}
	client.Transport = calls(c.Issuer, client.Transport)
	return jwks.New(jwks.Options{
		Issuer: c.Issuer, JWKSURL: c.JWKSURL, Client: client, Algorithms: c.Algorithms, InsecureHTTP: c.InsecureHTTP,
		MaxStale: c.MaxStale,
		Log:      log.Named("jwks"),
		OnFetch:  func(result string) { metrics.JWKSFetch(c.Issuer, result) },
	}), nil
}

// keyFile reads a JWKS from a file.
func keyFile(path string) (*jwks.Source, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	set, dropped, err := jose.ParseKeySet(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if set.Len() == 0 {
		return nil, fmt.Errorf("%s: holds no usable key (%d were left out)", path, dropped)
	}
	return jwks.Static(set), nil
}
