package gateway

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"time"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/jose"
	"github.com/sallyport/sallyport/gateway/jwks"
	"github.com/sallyport/sallyport/gateway/session"
	"github.com/sallyport/sallyport/gateway/telemetry"
)

// Where the store keeps a ring that the gateway made itself.
const (
	keyKind = "key"
	keyName = "sealing"
)

// fileKeyring reads the ring from keys_files.
func fileKeyring(cfg *config.Config) (*session.Keyring, error) {
	var secrets [][]byte
	var faults config.Faults
	for i, file := range cfg.Session.KeysFiles {
		path := fmt.Sprintf("session.keys_files[%d]", i)
		text, err := config.ReadSecret("", file)
		if err == nil {
			var secret []byte
			if secret, err = session.ParseKey(text.Reveal()); err == nil {
				secrets = append(secrets, secret)
				continue
			}
		}
		faults = append(faults, cfg.Fault(path, err.Error(), "write a file made by `openssl rand -base64 32`"))
	}
	if len(faults) > 0 {
		return nil, faults
	}
	ring, err := session.NewKeyring(secrets...)
	if err != nil {
		return nil, config.Faults{cfg.Fault("session.keys_files", err.Error(), "name different files")}
	}
	return ring, nil
}

// storedKeyring loads the ring that the store keeps, and makes it at the first
// start. Two gateways that start at once agree: the loser reads the winner's.
func storedKeyring(ctx context.Context, records session.Records) (*session.Keyring, error) {
	for {
		record, err := records.LoadRecord(ctx, keyKind, keyName)
		if err == nil {
			return session.NewKeyring(record.Value)
		}
		if !errors.Is(err, session.ErrNotFound) {
			return nil, fmt.Errorf("sealing key: %w", err)
		}
		secret := make([]byte, session.KeySize)
		rand.Read(secret)
		_, err = records.SaveRecord(ctx, keyKind, keyName, 0, secret, time.Time{})
		if err != nil && !errors.Is(err, session.ErrConflict) {
			return nil, fmt.Errorf("sealing key: %w", err)
		}
	}
}

// keySource finds the keys of a token issuer: a shared secret, a file, or a key
// set that is fetched and kept fresh.
func keySource(c config.TokenIssuer, log *zap.Logger, metrics *telemetry.Metrics) (*jwks.Source, error) {
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
	client.Transport = metrics.Provider(c.Issuer, client.Transport)
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
