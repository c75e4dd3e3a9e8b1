package admin

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/gateway/httperr"
	"github.com/sallyport/sallyport/gateway/telemetry"
)

// EventPage is some of what has happened at this gateway, oldest first.
type EventPage struct {
	Events []telemetry.HappenedEvent `json:"events"`
	// Next is the since of a later request that goes on from here.
	Next string `json:"next"`
	// Missed is how many events after since were overwritten.
	Missed uint64 `json:"missed,omitempty"`
}

// eventMark is a line between the events of a stream: that it is alive, or how many
// events were overwritten before they could be sent.
type eventMark struct {
	Mark   string    `json:"mark"` // alive, missed
	Time   time.Time `json:"time"`
	Seq    uint64    `json:"seq"` // of the last event before
	Missed uint64    `json:"missed,omitempty"`
}

const (
	defaultEvents = 100
	// heartbeat is how often a stream says that it is alive. Proxies in between
	// tend to cut silent answers off after half a minute.
	heartbeat = 15 * time.Second
	// lineTimeout is how long a reader may take for what is written at once. The
	// ring holds what happens meanwhile.
	lineTimeout = 30 * time.Second
	// drainCheck is how often a silent stream looks whether the gateway goes away.
	drainCheck = time.Second
	// maxFollowers bounds the streams that are open at one time.
	maxFollowers = 64
)

// EventEndpoints are the endpoints of what has happened at this gateway lately.
// Streams end soon after draining says that the gateway is going away.
func EventEndpoints(events *telemetry.Events, draining *atomic.Bool) []Endpoint {
	e := &eventEndpoints{events: events, draining: draining}
	return []Endpoint{{
		Method: http.MethodGet, Path: "/events", Serve: e.serve, Gives: EventPage{},
		Summary: "Shows what has happened at this gateway: sign-ins, sign-outs, denials, revocations, failed refreshes and acts of operators. The last 4096 are kept, until it is restarted.",
		Query: []Parameter{
			{"kind", "of these kinds alone, separated by commas: " + strings.Join(telemetry.EventKinds(), ", ")},
			{"since", "after this seq, or from this time on (RFC 3339)"},
			{"limit", "the last so many, up to 4096; 100 without it"},
			{"follow", "true goes on as things happen, in lines of JSON (application/x-ndjson): an event each, and between them marks"},
		},
	}}
}

type eventEndpoints struct {
	events    *telemetry.Events
	draining  *atomic.Bool
	followers atomic.Int32
}

func (e *eventEndpoints) serve(w http.ResponseWriter, r *http.Request) error {
	f, limit, follow, problem := readEventQuery(r.URL.Query())
	if problem != "" {
		return badRequest(problem)
	}
	list, next, missed := e.events.Read(f, limit)
	if !follow {
		if list == nil {
			list = []telemetry.HappenedEvent{}
		}
		return writeJSON(w, http.StatusOK, EventPage{list, strconv.FormatUint(next, 10), missed})
	}
	if e.followers.Add(1) > maxFollowers {
		e.followers.Add(-1)
		return &httperr.Error{
			Code: http.StatusTooManyRequests, Reason: "too_many_requests",
			Public: "As many as may follow the events do already.", Header: http.Header{"Retry-After": {"10"}},
		}
	}
	defer e.followers.Add(-1)
	s := &eventStream{endpoints: e, to: http.NewResponseController(w), enc: json.NewEncoder(w), filter: f}
	h := w.Header()
	h.Set("Content-Type", "application/x-ndjson")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Accel-Buffering", "no") // nginx would keep lines back
	w.WriteHeader(http.StatusOK)
	s.run(r.Context(), list, next, missed)
	return nil
}

func readEventQuery(values url.Values) (f telemetry.EventFilter, limit int, follow bool, problem string) {
	limit = defaultEvents
	for name, given := range values {
		if len(given) != 1 || given[0] == "" {
			return f, 0, false, "Give " + name + " once, and not empty."
		}
		value := given[0]
		var err error
		switch name {
		case "kind":
			f.Kinds = strings.Split(value, ",")
			for _, kind := range f.Kinds {
				if !slices.Contains(telemetry.EventKinds(), kind) {
					return f, 0, false, "kind is one or more of " + strings.Join(telemetry.EventKinds(), ", ") + ", separated by commas."
				}
			}
		case "since":
			if f.After, err = strconv.ParseUint(value, 10, 64); err != nil {
				if f.Since, err = time.Parse(time.RFC3339, value); err != nil {
					return f, 0, false, "since is the seq of an event, or a time such as 2026-03-01T12:00:00Z."
				}
			}
		case "limit":
			if limit, err = strconv.Atoi(value); err != nil || limit < 1 || limit > telemetry.MaxEvents {
				return f, 0, false, "limit is a number from 1 to " + strconv.Itoa(telemetry.MaxEvents) + "."
			}
		case "follow":
			if follow, err = strconv.ParseBool(value); err != nil {
				return f, 0, false, "follow is true or false."
			}
		default:
			return f, 0, false, "Events can't be narrowed by " + strconv.Quote(name[:min(len(name), 40)]) + "."
		}
	}
	return f, limit, follow, ""
}

// eventStream sends events to one reader, as they happen.
type eventStream struct {
	endpoints *eventEndpoints
	to        *http.ResponseController
	enc       *json.Encoder
	filter    telemetry.EventFilter
}

func (s *eventStream) run(ctx context.Context, list []telemetry.HappenedEvent, next, missed uint64) {
	var sent time.Time
	for first := true; ; first = false {
		s.filter.After = next
		_ = s.to.SetWriteDeadline(time.Now().Add(lineTimeout)) // where it can't be set, the connection decides
		if missed > 0 && s.enc.Encode(eventMark{"missed", time.Now().UTC(), next, missed}) != nil {
			return
		}
		for i := range list {
			if s.enc.Encode(&list[i]) != nil {
				return
			}
		}
		if first && s.enc.Encode(eventMark{Mark: "alive", Time: time.Now().UTC(), Seq: next}) != nil {
			return
		}
		if first || missed > 0 || len(list) > 0 {
			if s.to.Flush() != nil {
				return
			}
			sent = time.Now()
		}
		if !s.wait(ctx, next, &sent) {
			return
		}
		list, next, missed = s.endpoints.events.Read(s.filter, 0)
	}
}

// wait returns whether there is more to send, and keeps the stream alive meanwhile.
func (s *eventStream) wait(ctx context.Context, after uint64, sent *time.Time) bool {
	for {
		short, cancel := context.WithTimeout(ctx, drainCheck)
		err := s.endpoints.events.Wait(short, after)
		cancel()
		switch {
		case err == nil:
			return true
		case !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil || s.endpoints.draining.Load():
			return false
		case time.Since(*sent) >= heartbeat:
			_ = s.to.SetWriteDeadline(time.Now().Add(lineTimeout))
			if s.enc.Encode(eventMark{Mark: "alive", Time: time.Now().UTC(), Seq: after}) != nil || s.to.Flush() != nil {
				return false
			}
			*sent = time.Now()
		}
	}
}
