package session_test

import (
	"encoding/json"
	"testing"

	"github.com/sallyport/sallyport/gateway/session"
)

// flat is the control: the same fields for encoding/json, with short names.
type flat struct {
	V          uint64
	C, E, I, T int64
	P, S       string
	Iss, Sub   string
	Em, N, U   string
	EV         bool
	G, A       []string
	R, M       string
	Claims     map[string]any
}

func flatten(s *session.Session) flat {
	id := s.Identity
	return flat{
		V: s.Version, C: s.Created, E: s.ExpiresAt().UnixNano(), I: int64(s.IdleTimeout), T: id.AuthTime.UnixNano(),
		P: s.Provider, S: id.ProviderSession, Iss: id.Issuer, Sub: id.Subject, Em: id.Email, N: id.Name, U: id.PreferredUsername,
		EV: id.EmailVerified, G: id.Groups, A: id.AMR, R: id.ACR, M: id.Method, Claims: id.AllClaims(),
	}
}

func BenchmarkMarshal(b *testing.B) {
	s := typical()
	b.Run("record", func(b *testing.B) {
		b.ReportAllocs()
		var data []byte
		for b.Loop() {
			var err error
			if data, err = session.Marshal(s); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(len(data)), "size")
	})
	b.Run("json", func(b *testing.B) {
		b.ReportAllocs()
		control := flatten(s)
		var data []byte
		for b.Loop() {
			var err error
			if data, err = json.Marshal(&control); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(len(data)), "size")
	})
}

func BenchmarkUnmarshal(b *testing.B) {
	s := typical()
	record, err := session.Marshal(s)
	if err != nil {
		b.Fatal(err)
	}
	asJSON, err := json.Marshal(flatten(s))
	if err != nil {
		b.Fatal(err)
	}
	b.Run("record", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := session.Unmarshal(s.Key(), record); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("record and all claims", func(b *testing.B) { // what json does
		b.ReportAllocs()
		for b.Loop() {
			s, err := session.Unmarshal(s.Key(), record)
			if err != nil {
				b.Fatal(err)
			}
			_ = s.Identity.AllClaims()
		}
	})
	b.Run("json", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := json.Unmarshal(asJSON, new(flat)); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkClaim(b *testing.B) {
	s := typical()
	record, err := session.Marshal(s)
	if err != nil {
		b.Fatal(err)
	}
	if s, err = session.Unmarshal(s.Key(), record); err != nil {
		b.Fatal(err)
	}
	for _, name := range []string{"department", "roles", "absent"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = s.Identity.Claim(name)
			}
		})
	}
}
