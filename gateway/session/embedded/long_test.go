//go:build long

package embedded_test

import (
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/session/sessiontest"
)

// TestAHundredThousandSessionsAreListed, from a file, and half of them ended.
func TestAHundredThousandSessionsAreListed(t *testing.T) {
	s, keys := open(t, filepath.Join(t.TempDir(), "sallyport.db")), manyKeys()
	now := time.Now()
	const workers = 512 // they share commits
	var wait sync.WaitGroup
	for w := range workers {
		wait.Go(func() {
			for i := w; i < many; i += workers {
				in := sessiontest.Session(i)
				in.Identity.Ref = keys[i]
				if i%2 == 0 {
					in.Created = now.Add(-2 * time.Minute).UnixNano()
					in.Identity.Subject = "another"
				}
				if err := s.Create(t.Context(), in); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	if wait.Wait(); t.Failed() {
		return
	}
	t.Logf("%d sessions made in %v", many, time.Since(now).Round(time.Millisecond))
	one := sessiontest.Session(1).Identity
	sessiontest.ListCrowd(t, s, sessiontest.Crowd{
		Old: many / 2, Young: many / 2, Before: now.Add(-time.Minute), Issuer: one.Issuer, Subject: one.Subject, Users: many / 10,
	})
}
