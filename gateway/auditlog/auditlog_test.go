package auditlog_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/auditlog"
	"github.com/sallyport/sallyport/gateway/config"
)

func open(t *testing.T, cfg config.Audit, secret string, stdout io.Writer) *auditlog.Log {
	t.Helper()
	l, err := auditlog.Open(cfg, []byte(secret), stdout)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func toFile(path string) config.Audit {
	return config.Audit{Output: config.AuditFile, File: config.AuditFileOutput{Path: path, MaxBytes: 1 << 20}}
}

func fill(t *testing.T, l *auditlog.Log, n int) {
	t.Helper()
	for i := range n {
		if err := l.Append(time.Now(), fmt.Appendf(nil, `{"event":"login","subject":"user %d"}`, i)); err != nil {
			t.Fatal(err)
		}
	}
}

// verify reads texts as the files of one stream.
func verify(t *testing.T, secret string, restarts bool, texts ...string) (auditlog.Summary, error) {
	t.Helper()
	v, err := auditlog.NewVerifier([]byte(secret), restarts)
	if err != nil {
		t.Fatal(err)
	}
	for i, text := range texts {
		if err := v.Read(fmt.Sprintf("file%d", i+1), strings.NewReader(text)); err != nil {
			return v.Summary, err
		}
	}
	return v.Summary, nil
}

// TestWhatIsDoneToAuditRecordsShows: whoever covers his tracks removes, changes, moves
// or repeats records.
func TestWhatIsDoneToAuditRecordsShows(t *testing.T) {
	const secret = "a secret of the auditors"
	var out bytes.Buffer
	fill(t, open(t, config.Audit{Output: config.AuditStdout}, secret, &out), 6)
	lines := strings.SplitAfter(strings.TrimSuffix(out.String(), "\n"), "\n")
	lines[5] += "\n"
	forged := func() string {
		var other bytes.Buffer
		fill(t, open(t, config.Audit{Output: config.AuditStdout}, "", &other), 6)
		return other.String()
	}
	pick := func(numbers ...int) string {
		var text strings.Builder
		for _, n := range numbers {
			text.WriteString(lines[n-1])
		}
		return text.String()
	}
	for name, c := range map[string]struct {
		text, want string
	}{
		"untouched":         {out.String(), ""},
		"the first ones":    {pick(3, 4, 5, 6), ""}, // as when old files are gone: Summary.First tells
		"one removed":       {pick(1, 2, 4, 5, 6), "line 3: 1 records are missing between 2 and 4"},
		"several removed":   {pick(1, 5, 6), "line 2: 3 records are missing between 1 and 5"},
		"two exchanged":     {pick(1, 3, 2, 4), "line 2: 1 records are missing"},
		"one repeated":      {pick(1, 2, 2, 3), "line 3: record 2 stands after record 2"},
		"changed":           {strings.Replace(out.String(), "user 3", "user 9", 1), "line 4: record 4 was changed"},
		"a changed time":    {strings.Replace(out.String(), `"time":"2`, `"time":"3`, 1), "line 1: record 1 was changed"},
		"a changed number":  {strings.Replace(out.String(), `"seq":2`, `"seq":7`, 1), "line 2: record 7 was changed"},
		"a member added":    {strings.Replace(out.String(), `"event"`, `"x":1,"event"`, 1), "line 1: record 1 was changed"},
		"a line added":      {lines[0] + `{"event":"login"}` + "\n", "line 2: the line is no audit record"},
		"text":              {"nothing\n", "line 1: the line is no audit record"},
		"a line cut off":    {lines[0] + lines[1][:40], "line 2: the line is no audit record"},
		"all made up again": {forged(), "line 1: record 1 was changed, or was written with another key"},
		"begun anew":        {out.String() + lines[0], "line 7: a new stream begins after record 6"},
		"a very long line":  {strings.Repeat("x", 1<<20), "line 1: the line is too long"},
	} {
		t.Run(name, func(t *testing.T) {
			summary, err := verify(t, secret, false, c.text)
			if c.want == "" {
				if err != nil || summary.Last != 6 || len(summary.Head) != 64 {
					t.Errorf("%+v, %v", summary, err)
				}
				return
			}
			if broken, ok := errors.AsType[*auditlog.BreakError](err); !ok || !strings.Contains(broken.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
	if s, err := verify(t, secret, true, out.String()+lines[0]); err != nil || s.Chains != 2 || s.Records != 7 {
		t.Errorf("with restarts: %+v, %v", s, err)
	}
}

// TestAnAuditFileGoesOnAfterARestart: the chain spans processes and full files.
func TestAnAuditFileGoesOnAfterARestart(t *testing.T) {
	dir := t.TempDir()
	cfg := toFile(filepath.Join(dir, "audit.log"))
	cfg.File.MaxBytes = 1500 // five records or so
	for range 3 {
		l := open(t, cfg, "", nil)
		fill(t, l, 7)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	full, err := filepath.Glob(filepath.Join(dir, "audit-*.log"))
	if err != nil || len(full) < 3 {
		t.Fatalf("full files: %q, %v", full, err)
	}
	var texts []string
	for _, path := range append(full, cfg.File.Path) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if len(text) > 1500 {
			t.Errorf("%s has %d bytes", path, len(text))
		}
		texts = append(texts, string(text))
	}
	if s, err := verify(t, "", false, texts...); err != nil || s.Records != 21 || s.First != 1 {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := verify(t, "", false, append(texts[:1], texts[2:]...)...); err == nil {
		t.Error("a full file that is gone does not show")
	}
	info, err := os.Stat(cfg.File.Path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

func TestOldAuditFilesAreRemoved(t *testing.T) {
	dir := t.TempDir()
	cfg := toFile(filepath.Join(dir, "audit[1].log")) // no pattern
	cfg.File.MaxBytes, cfg.File.Keep = 1500, 2
	fill(t, open(t, cfg, "", nil), 40)
	names, err := os.ReadDir(dir)
	if err != nil || len(names) != 3 {
		t.Errorf("%v, %v", names, err)
	}
}

// TestALineThatACrashCutOffIsNoBreak: its record was never whole, and the next one
// follows the last that was.
func TestALineThatACrashCutOffIsNoBreak(t *testing.T) {
	cfg := toFile(filepath.Join(t.TempDir(), "audit.log"))
	l := open(t, cfg, "", nil)
	fill(t, l, 3)
	_ = l.Close()
	text, _ := os.ReadFile(cfg.File.Path)
	if err := os.WriteFile(cfg.File.Path, text[:len(text)-30], 0o600); err != nil {
		t.Fatal(err)
	}
	l = open(t, cfg, "", nil)
	fill(t, l, 1)
	text, _ = os.ReadFile(cfg.File.Path)
	if s, err := verify(t, "", false, string(text)); err != nil || s.Records != 3 {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestAnAuditFileHasOneWriter(t *testing.T) {
	cfg := toFile(filepath.Join(t.TempDir(), "audit.log"))
	open(t, cfg, "", nil)
	if _, err := auditlog.Open(cfg, nil, nil); err == nil || !strings.Contains(err.Error(), "another gateway") {
		t.Errorf("opened twice: %v", err)
	}
}

// TestAnAuditFileOnAFullDiskTakesNothing uses the device that is always full.
func TestAnAuditFileOnAFullDiskTakesNothing(t *testing.T) {
	cfg := toFile(filepath.Join(t.TempDir(), "audit.log"))
	if err := os.Symlink("/dev/full", cfg.File.Path); err != nil {
		t.Fatal(err)
	}
	l, err := auditlog.Open(cfg, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Append(time.Now(), []byte(`{"event":"login"}`)); err == nil {
		t.Error("a full disk took a record")
	}
}

// TestSyslogGetsOneMessageARecord reads RFC 5424 as a server does, over each kind of
// socket.
func TestSyslogGetsOneMessageARecord(t *testing.T) {
	dir := t.TempDir()
	packet := func(network, address string) (string, func() string) {
		c, err := net.ListenPacket(network, address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c.LocalAddr().String(), func() string {
			b := make([]byte, 64<<10)
			_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
			n, _, _ := c.ReadFrom(b)
			return string(b[:n])
		}
	}
	stream := func(network, address string) (string, func() string) {
		ln, err := net.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = ln.Close() })
		var r *bufio.Reader
		return ln.Addr().String(), func() string {
			if r == nil {
				c, err := ln.Accept()
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = c.Close() })
				_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
				r = bufio.NewReader(c)
			}
			var n int
			if _, err := fmt.Fscanf(r, "%d ", &n); err != nil {
				t.Fatal(err)
			}
			b := make([]byte, n)
			_, _ = io.ReadFull(r, b)
			return string(b)
		}
	}
	udp, readUDP := packet("udp", "127.0.0.1:0")
	tcp, readTCP := stream("tcp", "127.0.0.1:0")
	gram, readGram := packet("unixgram", filepath.Join(dir, "gram"))
	unix, readUnix := stream("unix", filepath.Join(dir, "stream"))
	for address, read := range map[string]func() string{"udp://" + udp: readUDP, "tcp://" + tcp: readTCP, "unix://" + gram: readGram, "unix://" + unix: readUnix} {
		l := open(t, config.Audit{Output: config.AuditSyslog, Syslog: config.AuditSyslogOutput{Address: address}}, "", nil)
		fill(t, l, 2)
		var records string
		for range 2 {
			message := read()
			head, body, _ := strings.Cut(message, " audit - ")
			if fields := strings.Fields(head); !strings.HasPrefix(head, "<86>1 ") || len(fields) != 5 || fields[3] != "sallyport" || !json.Valid([]byte(body)) {
				t.Errorf("%s: %q", address, message)
			}
			records += body + "\n"
		}
		if _, err := verify(t, "", false, records); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// TestASyslogServerThatIsGoneRefusesRecords: the gateway learns of it and writes them
// elsewhere, and waits for nobody.
func TestASyslogServerThatIsGoneRefusesRecords(t *testing.T) {
	l := open(t, config.Audit{Output: config.AuditSyslog, Syslog: config.AuditSyslogOutput{Address: "unix://" + filepath.Join(t.TempDir(), "none")}}, "", nil)
	deadline := time.Now().Add(10 * time.Second)
	for l.Append(time.Now(), []byte(`{"event":"login"}`)) == nil {
		if time.Now().After(deadline) {
			t.Fatal("records are taken for ever")
		}
	}
}

func FuzzVerifyNeverPanics(f *testing.F) {
	f.Add([]byte(`{"seq":1,"time":"2026-01-01T00:00:00Z","event":"x","prev":"` + strings.Repeat("0", 64) + `","hash":"` + strings.Repeat("0", 64) + `"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := auditlog.NewVerifier(nil, false)
		if err != nil {
			t.Fatal(err)
		}
		if err := v.Read("file", bytes.NewReader(data)); err == nil && v.Records > 0 {
			t.Errorf("%q was taken for a record", data)
		}
	})
}
