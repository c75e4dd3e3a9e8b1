package login

import (
	"context"
	"crypto/sha256"
	"errors"
	"os"
	"sync"

	"github.com/sallyport/sallyport/gateway/config"
)

// Memory is what Services count and what must not begin anew with another
// configuration: wrong passwords, and who begins how many sign-ins. It is safe for
// concurrent use.
type Memory struct {
	flood             flood
	hashing, programs hashSlots

	mu       sync.Mutex
	settings config.Lockout
	lockout  *lockout
}

// NewMemory remembers nothing yet.
func NewMemory() *Memory {
	m := &Memory{hashing: newHashSlots()}
	m.programs = make(hashSlots, max(1, cap(m.hashing)/2))
	return m
}

// lockoutOf is what counts by settings. It begins anew when these are others.
func (m *Memory) lockoutOf(settings config.Lockout) *lockout {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.lockout == nil || m.settings != settings {
		m.settings, m.lockout = settings, newLockout(settings)
	}
	return m.lockout
}

// Carry is what Options.Carry is.
type Carry func(kind string, settings any, anew func() (value any, run func(context.Context), err error)) (any, error)

// providerSettings are what a provider is made of. What its secret file holds is read
// again whenever it is needed.
type providerSettings struct {
	provider config.Provider
	server   config.Server // of a development provider
	files    [2][sha256.Size]byte
}

// providerOf makes a provider, or takes the one that is there.
func (s *Service) providerOf(cfg config.Provider, o *Options) (provider, error) {
	anew := func() (provider, error) {
		return newProvider(cfg, o.Server, s.log.Named(cfg.Name), o.Memory.hashing, o.Calls)
	}
	if o.Carry == nil {
		return anew()
	}
	// One that is carried over needs a secret as much as one that is made anew.
	if _, err := config.ReadSecret(cfg.ClientSecret, cfg.ClientSecretFile); err != nil && !errors.Is(err, config.ErrNoSecret) {
		return nil, err
	}
	settings := providerSettings{provider: cfg, files: [2][sha256.Size]byte{sumOf(cfg.CAFile), sumOf(cfg.ClientKeyFile)}}
	if cfg.Type == config.ProviderDev {
		settings.server = o.Server
	}
	got, err := o.Carry("provider", settings, func() (any, func(context.Context), error) {
		p, err := anew()
		if err != nil {
			return nil, nil, err
		}
		return p, p.run, nil
	})
	if err != nil {
		return nil, err
	}
	return got.(provider), nil //nolint:forcetypeassert // it is what was made here
}

// sumOf tells contents of a file apart; zero for none, which whoever needs the file
// finds out by itself.
func sumOf(file string) (sum [sha256.Size]byte) {
	if file == "" {
		return sum
	}
	if text, err := os.ReadFile(file); err == nil {
		sum = sha256.Sum256(text)
	}
	return sum
}
