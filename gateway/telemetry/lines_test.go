package telemetry_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/telemetry"
)

// calls remembers what is written, call by call.
type calls struct {
	mu  sync.Mutex
	all []string
}

func (c *calls) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, string(b))
	return len(b), nil
}

func (c *calls) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := c.all
	c.all = nil
	return all
}

func logger(t *testing.T, format string, out io.Writer) *zap.Logger {
	t.Helper()
	log, err := telemetry.NewLogger(config.Log{Level: "info", Format: format}, out)
	if err != nil {
		t.Fatal(err)
	}
	return log.Named("request")
}

func TestLinesOfRequestsAreWrittenTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &calls{}
		lines := telemetry.NewLines(out)
		log := logger(t, "json", lines)
		for range 3 {
			(&telemetry.Event{Start: time.Now(), Status: 200, Path: "/", Took: time.Millisecond}).Log(log)
		}
		if got := out.take(); len(got) != 0 {
			t.Errorf("written at once: %q", got)
		}
		time.Sleep(20 * time.Millisecond) //nolint:forbidigo // of the bubble
		if got := out.take(); len(got) != 1 || strings.Count(got[0], "\n") != 3 {
			t.Errorf("written: %q", got)
		}

		// What tells of trouble is there before anything else happens, in order.
		(&telemetry.Event{Start: time.Now(), Status: 200, Path: "/fine", Took: time.Millisecond}).Log(log)
		(&telemetry.Event{Start: time.Now(), Status: 503, Path: "/broken", Took: time.Millisecond}).Log(log)
		(&telemetry.Audit{Event: "deny"}).Log(log.Named("audit"))
		got := strings.Join(out.take(), "")
		if fine, broken, deny := strings.Index(got, "/fine"), strings.Index(got, "/broken"), strings.Index(got, "deny"); fine < 0 || broken < fine || deny < broken {
			t.Errorf("written: %q", got)
		}

		(&telemetry.Event{Start: time.Now(), Status: 200, Path: "/last", Took: time.Millisecond}).Log(log)
		if err := lines.Close(); err != nil {
			t.Fatal(err)
		}
		if got := out.take(); len(got) != 1 || !strings.Contains(got[0], "/last") {
			t.Errorf("written at the end: %q", got)
		}
	})
}

func TestManyLinesDoNotWait(t *testing.T) {
	out := &calls{}
	log := logger(t, "json", telemetry.NewLines(out))
	for range 10_000 {
		(&telemetry.Event{Start: time.Now(), Status: 200, Path: "/" + strings.Repeat("a", 100), Took: time.Millisecond}).Log(log)
	}
	size := 0
	for _, call := range out.take() {
		size += len(call)
	}
	if size < 1_000_000 {
		t.Errorf("of 10,000 lines %d bytes are written", size)
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("the disk is full") }

func TestLinesThatCanNotBeWrittenAreAnError(t *testing.T) {
	lines := telemetry.NewLines(broken{})
	if _, err := lines.Write([]byte("line\n")); err != nil {
		t.Error(err)
	}
	if err := lines.Sync(); err == nil {
		t.Error("there is no error")
	}
	if err := lines.Sync(); err != nil {
		t.Errorf("and again: %v", err)
	}
}

// TestALineIsTheSameWhoeverEncodesIt: the short way and zap's.
func TestALineIsTheSameWhoeverEncodesIt(t *testing.T) {
	for name, e := range map[string]telemetry.Event{
		"empty": {},
		"full": {
			RequestID: "0123456789abcdef", ClientAddr: "192.0.2.1", Method: "GET", Host: "app.example.test", Path: "/a/b", Route: "app", Outcome: "allow", Reason: "ok",
			Rule: "staff only", Decision: "d1", Credential: "session", Issuer: "https://id.example.test", Subject: "alice", Session: "0011223344556677",
			Shadow: "deny", ShadowRule: "r", ShadowReason: "x", DecideTime: 1234 * time.Nanosecond, UpstreamTime: 2 * time.Millisecond,
			Status: 200, BytesOut: 1 << 40, Ended: "revoked",
		},
		"quotes":             {Path: `/"a"`, Status: 200},
		"a backslash":        {Path: `/\a`, Status: 200},
		"lines":              {Path: "/a\r\n{\"level\":\"error\"}", Status: 200},
		"controls":           {Path: "/\x00\x1b[31m\x7f", Status: 200},
		"beyond ASCII":       {Path: "/ü", Subject: "한국어", Status: 200},
		"not UTF-8":          {Path: "/\xff\xfe", Status: 200},
		"markup":             {Path: "/<script>&", Status: 200},
		"long":               {Path: "/" + strings.Repeat("a", 2000), Status: 200},
		"an error":           {Path: "/", Status: 404, Err: errors.New("why")},
		"an error of ours":   {Path: "/", Status: 502, Err: errors.New("why")},
		"a long time":        {UpstreamTime: 36 * time.Hour, Status: 200},
		"a very short time":  {DecideTime: 1, Status: 200},
		"a status of nobody": {Status: 0},
	} {
		t.Run(name, func(t *testing.T) {
			e.Start, e.Took = time.Now(), 1500*time.Microsecond
			short, usual := &calls{}, &bytes.Buffer{}
			lines := telemetry.NewLines(short)
			e.Log(logger(t, "json", lines))
			_ = lines.Close()
			e.Log(logger(t, "json", usual))
			at := regexp.MustCompile(`"time":"[^"]*"`)
			got := strings.Join(short.take(), "")
			if got, want := at.ReplaceAllString(got, ""), at.ReplaceAllString(usual.String(), ""); got != want {
				t.Errorf("%s\nzap writes\n%s", got, want)
			}
			var fields struct{ Time time.Time }
			if err := json.Unmarshal([]byte(got), &fields); err != nil || time.Since(fields.Time).Abs() > time.Minute {
				t.Errorf("%v: %s", err, got)
			}
		})
	}
}

func TestALineBelowTheLevelIsNotWritten(t *testing.T) {
	out := &calls{}
	lines := telemetry.NewLines(out)
	log, err := telemetry.NewLogger(config.Log{Level: "warn", Format: "json"}, lines)
	if err != nil {
		t.Fatal(err)
	}
	(&telemetry.Event{Status: 200}).Log(log)
	_ = lines.Close()
	if got := out.take(); len(got) != 0 {
		t.Errorf("written: %q", got)
	}
}

func TestFieldsOfALoggerAreInTheLine(t *testing.T) {
	out := &calls{}
	lines := telemetry.NewLines(out)
	(&telemetry.Event{Status: 200}).Log(logger(t, "json", lines).With(zap.String("instance", "a")))
	(&telemetry.Event{Status: 200, Path: "/plain"}).Log(logger(t, "console", lines))
	_ = lines.Close()
	if got := strings.Join(out.take(), ""); !strings.Contains(got, `"instance":"a"`) || !strings.Contains(got, "INFO\trequest\trequest") {
		t.Errorf("written: %q", got)
	}
}

// TestDurationsAreWrittenAsZapWritesThem, digit by digit.
func TestDurationsAreWrittenAsZapWritesThem(t *testing.T) {
	short, usual := &calls{}, &bytes.Buffer{}
	lines := telemetry.NewLines(short)
	own, zaps := logger(t, "json", lines), logger(t, "json", usual)
	for d := time.Duration(1); d < 100*time.Hour; d = d*7/5 + 1 {
		e := telemetry.Event{Status: 200, DecideTime: d, UpstreamTime: d - 1}
		e.Log(own)
		e.Log(zaps)
	}
	_ = lines.Close()
	at := regexp.MustCompile(`"time":"[^"]*"`)
	if got, want := at.ReplaceAllString(strings.Join(short.take(), ""), ""), at.ReplaceAllString(usual.String(), ""); got != want {
		t.Errorf("%s\nzap writes\n%s", got, want)
	}
}
