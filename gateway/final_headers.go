package gateway

import (
	"strconv"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/telemetry"
)

// finalHeaders are what every answer of a listener gets, unless it has it.
type finalHeaders struct {
	always  []telemetry.Header
	leaving []telemetry.Header // the same, and the end of the connection
	// draining says that the gateway is going away. Clients that are told with
	// their answer do not send the next request into a connection that is being
	// closed: HTTP/1.1 has no other way to keep the two from crossing, and HTTP/2
	// gets a GOAWAY for it.
	draining *atomic.Bool
}

func newFinalHeaders(h config.HSTS, draining *atomic.Bool) finalHeaders {
	f := finalHeaders{draining: draining}
	if value := hstsValue(h); value != "" {
		f.always = []telemetry.Header{{Name: "Strict-Transport-Security", Values: []string{value}}}
	}
	f.leaving = append([]telemetry.Header{{Name: "Connection", Values: []string{"close"}}}, f.always...)
	return f
}

// now are those of an answer that is given now. A switch of protocols gets none: it is
// no final answer.
func (f *finalHeaders) now() []telemetry.Header {
	if f.draining.Load() {
		return f.leaving
	}
	return f.always
}

// hstsValue is the header of RFC 6797, section 6.1; "" for none.
func hstsValue(h config.HSTS) string {
	if h.MaxAge <= 0 {
		return ""
	}
	value := "max-age=" + strconv.FormatInt(int64(h.MaxAge/time.Second), 10)
	if h.IncludeSubdomains {
		value += "; includeSubDomains"
	}
	if h.Preload {
		value += "; preload"
	}
	return value
}
