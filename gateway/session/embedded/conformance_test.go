package embedded_test

import (
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/sallyport/sallyport/gateway/session/embedded"
	"github.com/sallyport/sallyport/gateway/session/sessiontest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open opens a store and closes it with the test; an empty path is memory only.
func open(tb testing.TB, path string) *embedded.Store {
	tb.Helper()
	s, err := embedded.Open(embedded.Options{Path: path})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

func TestStoreInMemory(t *testing.T) {
	sessiontest.Run(t, func(t *testing.T) sessiontest.Store { return open(t, "") })
}

func TestStoreWithFile(t *testing.T) {
	sessiontest.Run(t, func(t *testing.T) sessiontest.Store {
		return open(t, filepath.Join(t.TempDir(), "sallyport.db"))
	})
}
