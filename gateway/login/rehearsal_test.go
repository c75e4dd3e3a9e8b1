package login

import (
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/gateway/httperr"
)

func TestRehearsedTimeoutLastsAndIsAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &Rehearsal{Patience: 5 * time.Second}
		h.Next(TroubleTimeout)
		start := time.Now()
		err := h.meet(t.Context())
		if e, ok := errors.AsType[*httperr.Error](err); !ok || e.Code != http.StatusServiceUnavailable {
			t.Errorf("%v", err)
		}
		if took := time.Since(start); took != h.Patience {
			t.Errorf("it took %s", took)
		}
		if err := h.meet(t.Context()); err != nil {
			t.Errorf("the next one: %v", err)
		}
	})
}
