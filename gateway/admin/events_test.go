package admin_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/admin"
	"github.com/sallyport/sallyport/gateway/httperr"
	"github.com/sallyport/sallyport/gateway/telemetry"
)

// A reader who stops to read costs those who make events nothing, and learns how
// much he missed.
func TestSlowReadersOfEventsDelayNobodyAndAreTold(t *testing.T) {
	t.Parallel()
	events := telemetry.NewEvents()
	trail := telemetry.NewTrail(zap.NewNop(), events)
	var draining atomic.Bool
	edge := &httperr.Edge{}
	server := httptest.NewServer(edge.Handle(admin.EventEndpoints(events, &draining)[0].Serve))
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/?follow=true", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	next := func() (line struct {
		Seq    uint64 `json:"seq"`
		Mark   string `json:"mark"`
		Missed uint64 `json:"missed"`
	},
	) {
		if !lines.Scan() {
			t.Fatalf("the stream ended: %v", lines.Err())
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		return line
	}
	at := next().Seq // it is open

	subject := strings.Repeat("a", 500)
	// Far more than the ring and the buffers of a connection hold.
	const many = 5 * telemetry.MaxEvents
	for i := range many {
		trail.Record(&telemetry.Audit{Event: "deny", Subject: subject, RequestID: strconv.Itoa(i)})
	}
	end, missed := at+many, uint64(0)
	for at < end {
		switch line := next(); {
		case line.Mark == "missed":
			missed += line.Missed
			at += line.Missed
		case line.Mark == "" && line.Seq != at+1:
			t.Fatalf("after %d comes %d, and nothing says what was between", at, line.Seq)
		case line.Mark == "":
			at = line.Seq
		}
	}
	if missed == 0 {
		t.Error("nothing was missed: the test proves nothing")
	}

	// A gateway that goes away does not wait for its readers.
	draining.Store(true)
	for lines.Scan() {
	}
	if ctx.Err() != nil {
		t.Error("the stream outlives the gateway")
	}
}
