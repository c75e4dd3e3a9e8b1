package config

import "time"

// Default returns the configuration that an empty file would have: every
// default of every key, in one place. Defaults of list entries (the auth of a
// route, the scopes of a provider) are in entryDefaults.
func Default() *Config {
	return &Config{
		Server: Server{
			Listen:     "127.0.0.1:8080",
			PublicURL:  "http://localhost:8080",
			AuthPrefix: "/.auth",
			TLS: TLS{
				MinVersion: "1.2", ClientSubject: "cn",
				ACME: ACME{DirectoryURL: "https://acme-v02.api.letsencrypt.org/directory", Storage: "certificates"},
			},
			Limits: Limits{
				MaxConnections:    10000,
				MaxStreams:        250,
				MaxHeaderBytes:    32 << 10,
				MaxHeaders:        128,
				MaxTargetBytes:    16 << 10,
				MaxIdentityBytes:  16 << 10,
				ReadHeaderTimeout: 10 * time.Second,
				IdleTimeout:       2 * time.Minute,
			},
			Drain: Drain{Timeout: 15 * time.Second},
		},
		Admin: Admin{Listen: "127.0.0.1:9080"},
		Session: Session{
			Store:    StoreEmbedded,
			Embedded: Embedded{Path: "sallyport.db"},
			Valkey: Valkey{
				URLs:      []string{"valkey://127.0.0.1:6379"},
				Timeout:   250 * time.Millisecond,
				KeyPrefix: "sp",
			},
			Cache:           Cache{MaxBytes: 64 << 20, MaxStaleness: 5 * time.Second},
			Cookie:          Cookie{SameSite: "lax"},
			IdleTimeout:     30 * time.Minute,
			AbsoluteTimeout: 12 * time.Hour,
			KeysWarnAge:     180 * 24 * time.Hour,
			WhenFull:        "oldest_out",
			Refresh:         Refresh{Ahead: time.Minute, Grace: 5 * time.Minute, MinRemaining: 30 * time.Second},
		},
		Login: Login{Lockout: Lockout{Attempts: 10, PerAddress: 100, Window: 15 * time.Minute}},
		Tokens: Tokens{
			Cache:      TokenCache{MaxBytes: 32 << 20},
			DPoP:       DPoP{MaxAge: time.Minute},
			Revocation: TokenRevocation{MaxStaleness: 5 * time.Second},
			Exchange:   TokenExchange{Lifetime: 5 * time.Minute},
		},
		Assertions: Assertions{Algorithm: "ES256", Lifetime: time.Minute},
		Pages:      Pages{Name: "Sallyport"},
		Log:        Log{Level: "info", Format: "json"},
		Audit: Audit{
			Output: AuditLog, PII: PIIFull,
			File: AuditFileOutput{Path: "audit.log", MaxBytes: 100 << 20, Keep: 10},
		},
		Tracing: Tracing{Protocol: "http", SampleOneIn: 10},
	}
}
