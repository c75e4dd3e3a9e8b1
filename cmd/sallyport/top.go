package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/sallyport/sallyport/gateway/telemetry"
)

func topCommand() *cobra.Command {
	var admin adminFlags
	var once bool
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Watch a gateway live, in the terminal",
		Long: `Watch a running gateway: requests by what was decided, how long decisions, upstreams
and the session store take, cache hits, bytes of credentials, sessions, streams, and
the last events. The figures are of the last second, the lines beside them of the last
minute. Keys: q ends it.

--once prints one frame without anything that only a terminal understands.`,
		Example: `  sallyport top
  sallyport top --admin http://10.0.0.7:9080 --token-file admin-token
  sallyport top --once`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := admin.client()
			if err != nil {
				return err
			}
			t := &topView{client: c}
			if once {
				if err := t.read(cmd.Context()); err != nil {
					return err
				}
				_, err := io.WriteString(cmd.OutOrStdout(), strings.Join(t.frame(80, 24, time.Now()), "\n")+"\n")
				return atRunTime(err)
			}
			in, inOK := cmd.InOrStdin().(*os.File)
			out, outOK := cmd.OutOrStdout().(*os.File)
			if !inOK || !outOK || !term.IsTerminal(int(in.Fd())) || !term.IsTerminal(int(out.Fd())) {
				return errors.New("top draws on a terminal: for a script or a file, use --once")
			}
			return t.run(cmd.Context(), in, out)
		},
	}
	admin.add(cmd)
	cmd.Flags().BoolVar(&once, "once", false, "print one frame and end")
	return cmd
}

// topView is what top shows, as it was last read.
type topView struct {
	client *adminClient
	stats  telemetry.Stats
	events []telemetry.HappenedEvent
	failed error // of the last reading
}

func (t *topView) read(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var stats telemetry.Stats
	if err := t.client.call(ctx, http.MethodGet, "/stats", nil, &stats); err != nil {
		return err
	}
	var page struct {
		Events []telemetry.HappenedEvent `json:"events"`
	}
	if err := t.client.call(ctx, http.MethodGet, "/events?limit=50", nil, &page); err != nil {
		return err
	}
	t.stats, t.events = stats, page.Events
	return nil
}

// What a terminal is told.
const (
	enterScreen = "\x1b[?1049h\x1b[?25l"
	leaveScreen = "\x1b[?25h\x1b[?1049l"
	goHome      = "\x1b[H"
	clearLine   = "\x1b[K"
	clearBelow  = "\x1b[J"
)

// run draws once a second until ctx ends or the user has enough, and leaves the
// terminal as it was.
func (t *topView) run(ctx context.Context, in, out *os.File) error {
	// The first reading tells a wrong token before anything is drawn over.
	if err := t.read(ctx); err != nil {
		return err
	}
	state, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return atRunTime(err)
	}
	defer func() {
		_, _ = io.WriteString(out, leaveScreen)
		_ = term.Restore(int(in.Fd()), state)
	}()
	if _, err := io.WriteString(out, enterScreen); err != nil {
		return atRunTime(err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		defer cancel()
		waitForQuit(in)
	}()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		width, height, err := term.GetSize(int(out.Fd()))
		if err != nil {
			width, height = 80, 24
		}
		// The last line stays free: writing into its last column would scroll.
		lines := t.frame(width, height-1, time.Now())
		if _, err := io.WriteString(out, screen(lines)); err != nil {
			return atRunTime(err)
		}
		select {
		case <-tick.C:
			t.failed = t.read(ctx)
		case <-ctx.Done():
			return nil
		}
	}
}

// screen draws lines over what is there. Each is cleared before it is written: behind a
// line that is full the cursor stands on its last character still.
func screen(lines []string) string {
	last := len(lines) - 1
	var b strings.Builder
	b.WriteString(goHome)
	for _, line := range lines[:last] {
		b.WriteString(clearLine + line + "\r\n")
	}
	b.WriteString(clearBelow + lines[last])
	return b.String()
}

// waitForQuit returns when the user wants to go. In raw mode a terminal sends
// interrupts as characters.
func waitForQuit(in io.Reader) {
	var key [1]byte
	for {
		if n, err := in.Read(key[:]); err != nil {
			return
		} else if n == 1 && strings.ContainsRune("qQ\x03\x04", rune(key[0])) {
			return
		}
	}
}

// frame draws at most height lines of at most width columns.
func (t *topView) frame(width, height int, now time.Time) []string {
	s := &t.stats
	d := &drawing{width: max(width, 20)}
	up := ""
	if s.Started > 0 {
		up = ", up " + shortSpan(now.Sub(time.Unix(s.Started, 0)))
	}
	d.line("sallyport at %s%s   %s", printable(t.client.base), up, now.UTC().Format("15:04:05Z"))
	if t.failed != nil {
		d.line("! no news: %s", printable(t.failed.Error()))
	}
	d.line("")
	d.requests(s)
	d.line("")
	d.latency("decisions", &s.Decision)
	d.latency("upstreams", &s.Upstream)
	d.latency("store", &s.Store)
	d.line("%-12s %8s/s   errors %s/s", "", rateText(last(s.StoreOperations)), rateText(last(s.StoreErrors)))
	d.line("")
	d.credentials(s)
	d.cache("near cache", s.CacheHits, s.CacheMisses)
	d.cache("token cache", s.TokenCacheHits, s.TokenCacheMisses)
	d.line("%-12s %8.0f %s", "sessions", last(s.Sessions), printable(s.SessionsWhich))
	d.line("%-12s %8.0f   connections %.0f", "streams", last(s.Streams), last(s.Connections))
	d.line("")
	room := max(0, height-len(d.lines))
	for _, e := range t.events[max(0, len(t.events)-room):] {
		d.line("%s", eventLine(&e, time.TimeOnly))
	}
	return d.lines[:min(len(d.lines), max(1, height))]
}
