package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/gateway/telemetry"
)

func eventsCommand() *cobra.Command {
	var admin adminFlags
	w := &eventWatcher{}
	var kinds []string
	var since string
	var limit int
	var follow bool
	cmd := &cobra.Command{
		Use:   "events",
		Short: "Show sign-ins, denials, revocations and other events of a gateway",
		Long: fmt.Sprintf(`Show what has happened at a running gateway, and with -f what happens: sign-ins and
sign-outs, denials, revocations, refreshes that ended a session, and what operators
did. A gateway keeps its last %d events in memory and knows nothing of the others';
the audit log has them all.

With -f the command goes on until it is interrupted. When the gateway does not
answer it tries again, and goes on where it was. What a slow reader missed is said
in a line of its own.

Kinds: %s.`, telemetry.MaxEvents, strings.Join(telemetry.EventKinds(), ", ")),
		Example: `  sallyport events
  sallyport events -f
  sallyport events -f --kind deny,login
  sallyport events --since 2026-03-01T12:00:00Z --json | jq -r 'select(.kind == "deny") | .subject'`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q := url.Values{"limit": {strconv.Itoa(limit)}}
			if len(kinds) > 0 {
				q.Set("kind", strings.Join(kinds, ","))
			}
			if since != "" {
				if _, err := strconv.ParseUint(since, 10, 64); err != nil {
					at, err := parseTime(since, time.Now())
					if err != nil {
						return fmt.Errorf("--since: %w", err)
					}
					since = at.UTC().Format(time.RFC3339)
				}
				q.Set("since", since)
			}
			c, err := admin.client()
			if err != nil {
				return err
			}
			w.client, w.out, w.errs, w.query = c, cmd.OutOrStdout(), cmd.ErrOrStderr(), q
			if follow {
				return w.follow(cmd.Context())
			}
			var page struct {
				Events []telemetry.HappenedEvent `json:"events"`
				Missed uint64                    `json:"missed"`
			}
			if err := c.call(cmd.Context(), http.MethodGet, "/events?"+q.Encode(), nil, &page); err != nil {
				return err
			}
			if page.Missed > 0 {
				w.missed(page.Missed)
			}
			for i := range page.Events {
				if err := w.show(&page.Events[i]); err != nil {
					return atRunTime(err)
				}
			}
			return nil
		},
	}
	admin.add(cmd)
	f := cmd.Flags()
	f.BoolVarP(&follow, "follow", "f", false, "go on as things happen")
	f.StringSliceVar(&kinds, "kind", nil, "only these kinds, separated by commas")
	f.StringVar(&since, "since", "", "from a time on (RFC 3339, or now), or after the event with this seq")
	f.IntVar(&limit, "limit", 100, "the last so many, of those that have happened already")
	f.BoolVar(&w.asJSON, "json", false, "write each event as a line of JSON")
	return cmd
}

// eventWatcher shows events in lines.
type eventWatcher struct {
	client *adminClient
	out    io.Writer
	errs   io.Writer
	query  url.Values
	asJSON bool
}

const (
	firstPause = 500 * time.Millisecond
	lastPause  = 10 * time.Second
	// silence is how long a stream may say nothing, not even that it is alive.
	silence = 45 * time.Second
)

// follow shows events until ctx ends, over as many connections as it takes.
func (w *eventWatcher) follow(ctx context.Context) error {
	w.query.Set("follow", "true")
	pause := firstPause
	for connected := false; ; {
		lines, err := w.read(ctx)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the interrupt is how it ends
		}
		if lines > 0 {
			connected, pause = true, firstPause
		}
		if _, final := errors.AsType[refusal](err); final || !connected {
			return err
		}
		fmt.Fprintf(w.errs, "The gateway does not answer. Trying again in %s.\n", pause)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil
		}
		pause = min(2*pause, lastPause)
	}
}

// errStreamOver says that a stream came to its end, as all do when a gateway goes away.
var errStreamOver = errors.New("the stream is over")

// refusal is an answer of the gateway that trying again does not change.
type refusal struct{ error }

func (r refusal) Unwrap() error { return r.error }

// read shows the events of one connection, and says how many lines came.
func (w *eventWatcher) read(ctx context.Context) (lines int, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	body, err := w.client.open(ctx, "/events?"+w.query.Encode())
	if err != nil {
		return 0, err
	}
	defer body.Close() //nolint:errcheck // it was read
	quiet := time.AfterFunc(silence, cancel)
	defer quiet.Stop()
	scanner := bufio.NewScanner(body)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		quiet.Reset(silence)
		lines++
		var line struct {
			Mark   string `json:"mark"`
			Missed uint64 `json:"missed"`
			telemetry.HappenedEvent
		}
		if err := json.Unmarshal(scanner.Bytes(), &line); err != nil {
			return lines, errStreamOver
		}
		switch line.Mark {
		case "missed":
			w.missed(line.Missed)
		case "":
			if err := w.show(&line.HappenedEvent); err != nil {
				return lines, refusal{atRunTime(err)}
			}
		}
		if line.Seq > 0 {
			w.query.Set("since", strconv.FormatUint(line.Seq, 10))
			w.query.Set("limit", strconv.Itoa(telemetry.MaxEvents))
		}
	}
	return lines, errStreamOver
}

func (w *eventWatcher) missed(n uint64) {
	fmt.Fprintf(w.errs, "%s were overwritten before they could be shown; the audit log has them.\n", count(int(n), "event"))
}

func (w *eventWatcher) show(e *telemetry.HappenedEvent) error {
	if w.asJSON {
		return json.NewEncoder(w.out).Encode(e)
	}
	_, err := fmt.Fprintln(w.out, eventLine(e, time.RFC3339))
	return err
}

// eventLine is an event in one line for people.
func eventLine(e *telemetry.HappenedEvent, layout string) string {
	parts := []string{e.Time.UTC().Format(layout), fmt.Sprintf("%-7s", e.Kind)}
	who := e.Subject
	if who == "" {
		who = "-"
	}
	parts = append(parts, who)
	if e.Event != e.Kind {
		parts = append(parts, e.Event)
	}
	if e.Outcome != "" && e.Outcome != "ok" {
		parts = append(parts, e.Outcome)
	}
	if e.Count > 0 {
		parts = append(parts, "count="+strconv.Itoa(e.Count))
	}
	for _, one := range []struct{ name, value string }{
		{"reason", e.Reason},
		{"route", e.Route},
		{"rule", e.Rule},
		{"provider", e.Provider},
		{"session", e.Session},
		{"token", e.Token},
		{"decision", e.Decision},
		{"by", e.Operator},
		{"from", e.ClientAddr},
		{"request", e.RequestID},
	} {
		if one.value == "" {
			continue
		}
		value := printable(one.value)
		if strings.ContainsRune(value, ' ') {
			value = strconv.Quote(value)
		}
		parts = append(parts, one.name+"="+value)
	}
	return printable(strings.Join(parts, " "))
}

// open begins to read an answer that may have no end.
func (c *adminClient) open(ctx context.Context, path string) (io.ReadCloser, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+"/api/v1"+path, nil)
	if err != nil {
		return nil, atRunTime(err)
	}
	r.Header.Set("Authorization", "Bearer "+c.token.Reveal())
	endless := http.Client{Transport: c.http.Transport}
	res, err := endless.Do(r)
	if err != nil {
		return nil, atRunTime(fmt.Errorf("the gateway's admin listener does not answer: %w", err))
	}
	if res.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(res.Body, 64<<10))
		_ = res.Body.Close()
		err := atRunTime(refusedBy(res.StatusCode, text))
		if res.StatusCode < http.StatusInternalServerError && res.StatusCode != http.StatusTooManyRequests {
			err = refusal{err}
		}
		return nil, err
	}
	return res.Body, nil
}
