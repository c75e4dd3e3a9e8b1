package gateway_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// http2Frames is an HTTP/2 connection with prior knowledge, frame by frame. One
// goroutine uses it.
type http2Frames struct {
	*http2.Framer
	conn net.Conn
	host string
	head *hpack.Encoder
	text bytes.Buffer
	away string // what GOAWAY said, if it did
}

func (s *site) http2Frames(t *testing.T) *http2Frames {
	t.Helper()
	c := s.dial(t)
	t.Cleanup(func() { _ = c.Close() })
	h := &http2Frames{Framer: http2.NewFramer(c, c), conn: c, host: s.host}
	h.head = hpack.NewEncoder(&h.text)
	h.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	if _, err := io.WriteString(c, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	if err := h.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	return h
}

// block is the header block of a GET.
func (h *http2Frames) block(path string, more ...hpack.HeaderField) []byte {
	h.text.Reset()
	for _, f := range append([]hpack.HeaderField{
		{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "http"}, {Name: ":authority", Value: h.host}, {Name: ":path", Value: path},
	}, more...) {
		_ = h.head.WriteField(f) // to a buffer
	}
	return h.text.Bytes()
}

func cookieField(pair string) hpack.HeaderField {
	return hpack.HeaderField{Name: "cookie", Value: pair}
}

// fields is more of a header block.
func (h *http2Frames) fields(fields ...hpack.HeaderField) []byte {
	h.text.Reset()
	for _, f := range fields {
		_ = h.head.WriteField(f)
	}
	return bytes.Clone(h.text.Bytes())
}

// get sends a whole request. An error is a connection that was closed.
func (h *http2Frames) get(stream uint32, path string, more ...hpack.HeaderField) error {
	return h.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: h.block(path, more...), EndStream: true, EndHeaders: true})
}

// until reads frames until one is as wanted; false when the connection is closed.
func (h *http2Frames) until(t *testing.T, wanted func(http2.Frame) bool) bool {
	t.Helper()
	for {
		f, err := h.ReadFrame()
		if timeout, ok := err.(net.Error); ok && timeout.Timeout() { //nolint:errorlint // straight from the connection
			t.Fatal("no such frame, and the connection stays open")
		}
		if err != nil {
			return false
		}
		if s, ok := f.(*http2.SettingsFrame); ok && !s.IsAck() {
			if h.WriteSettingsAck() != nil {
				return false
			}
		}
		if g, ok := f.(*http2.GoAwayFrame); ok {
			h.away = fmt.Sprintf("%s after stream %d", g.ErrCode, g.LastStreamID)
		}
		if wanted(f) {
			return true
		}
	}
}

// status reads on to the answer of a stream; "" where it was reset, or the
// connection was closed.
func (h *http2Frames) status(t *testing.T, stream uint32) (status string) {
	t.Helper()
	h.until(t, func(f http2.Frame) bool {
		if f.Header().StreamID != stream {
			return false
		}
		switch f := f.(type) {
		case *http2.MetaHeadersFrame:
			status = f.PseudoValue("status")
			return true
		case *http2.RSTStreamFrame:
			return true
		}
		return false
	})
	return status
}

// others shows that somebody else is served as ever.
func (s *site) others(t *testing.T) {
	t.Helper()
	if a := s.raw(t, s.request("GET", "/public/", "Connection: close")); a.StatusCode != http.StatusOK {
		t.Errorf("another client got %d", a.StatusCode)
	}
}

// held is an application that answers nobody until it is released.
type held struct {
	server *httptest.Server
	free   chan struct{}
	once   sync.Once

	mu       sync.Mutex
	now, top int // requests at a time
}

func newHeld(t *testing.T) *held {
	t.Helper()
	u := &held{free: make(chan struct{})}
	u.server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		u.count(1)
		defer u.count(-1)
		select {
		case <-u.free:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(func() { u.release(); u.server.Close() })
	return u
}

func (u *held) count(n int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.now += n
	u.top = max(u.top, u.now)
}

func (u *held) most() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.top
}

func (u *held) release() { u.once.Do(func() { close(u.free) }) }

// TestRapidReset (CVE-2023-39325): streams that are reset as soon as they are opened
// do not count as open, and each would still reach the application.
func TestRapidReset(t *testing.T) {
	u := newHeld(t)
	s := newSite(t, plan{limits: "max_streams: 10", upstream: u.server.URL})
	h := s.http2Frames(t)
	for i := range uint32(10_000) {
		if h.get(2*i+1, "/public/") != nil || h.WriteRSTStream(2*i+1, http2.ErrCodeCancel) != nil {
			break // it hung up
		}
	}
	if h.until(t, func(http2.Frame) bool { return false }) {
		t.Error("the connection stays open")
	}
	if n := u.most(); n > 20 { // what was reset can be on its way back yet
		t.Errorf("%d requests reached the application at a time", n)
	}
	u.release()
	s.others(t)
}

// TestStreamsOfAConnectionAreBounded: what is more is refused, so that a client
// knows that nothing of it was done.
func TestStreamsOfAConnectionAreBounded(t *testing.T) {
	u := newHeld(t)
	s := newSite(t, plan{limits: "max_streams: 10", upstream: u.server.URL})
	h := s.http2Frames(t)
	const streams = 2000
	for i := range uint32(streams) {
		if h.get(2*i+1, "/public/") != nil {
			break
		}
	}
	refused := 0
	h.until(t, func(f http2.Frame) bool {
		if r, ok := f.(*http2.RSTStreamFrame); ok && r.ErrCode == http2.ErrCodeRefusedStream {
			refused++
		}
		return refused == streams-10
	})
	if n := u.most(); refused != streams-10 || n > 10 {
		t.Errorf("%d were refused, and %d reached the application at a time", refused, n)
	}
	u.release()
	s.others(t)
}

// TestEndlessContinuation (CVE-2023-45288): header blocks that never end are decoded
// and thrown away, without a limit.
func TestEndlessContinuation(t *testing.T) {
	s := newSite(t, plan{})
	h := s.http2Frames(t)
	block := h.block("/public/", hpack.HeaderField{Name: "x", Value: strings.Repeat("a", 8<<10)})
	err := h.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block, EndStream: true})
	for range 10_000 {
		if err != nil {
			break
		}
		err = h.WriteContinuation(1, false, h.fields(hpack.HeaderField{Name: "x", Value: strings.Repeat("a", 8<<10)}))
	}
	if err == nil {
		t.Error("80 MB of one header were taken")
	}
	s.others(t)
	if got := s.upstream.take(); len(got) != 1 {
		t.Errorf("%d requests reached the application", len(got))
	}
}

// TestHeaderListOfOneByteLines: HPACK sends a line in one byte that takes tens of
// them in memory.
func TestHeaderListOfOneByteLines(t *testing.T) {
	s := newSite(t, plan{})
	for name, field := range map[string]hpack.HeaderField{
		"empty lines":              {Name: "a", Value: ""},
		"a long line of the table": {Name: "a", Value: strings.Repeat("b", 3000)},
	} {
		h := s.http2Frames(t)
		block := bytes.Clone(h.block("/public/"))
		line := h.fields(field) // now it is in the table
		block = append(block, line...)
		block = append(block, bytes.Repeat(h.fields(field), 12_000)...)
		if err := h.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block, EndStream: true, EndHeaders: true}); err != nil {
			t.Fatal(err)
		}
		if status := h.status(t, 1); status == "200" {
			t.Errorf("%s: taken", name)
		}
	}
	for _, got := range s.upstream.take() {
		t.Errorf("the application received %d bytes", len(got.raw))
	}
	s.others(t)
}

// TestControlFrames (CVE-2019-9512, CVE-2019-9515): each has to be answered, and a
// client that reads no answer makes them pile up.
func TestControlFrames(t *testing.T) {
	s := newSite(t, plan{})
	for name, write := range map[string]func(h *http2Frames) error{
		"PING":           func(h *http2Frames) error { return h.WritePing(false, [8]byte{1}) },
		"SETTINGS":       func(h *http2Frames) error { return h.WriteSettings() },
		"PRIORITY":       func(h *http2Frames) error { return h.WritePriority(1, http2.PriorityParam{StreamDep: 3}) },
		"WINDOW_UPDATE":  func(h *http2Frames) error { return h.WriteWindowUpdate(0, 1) },
		"an unknown one": func(h *http2Frames) error { return h.WriteRawFrame(0xbe, 0, 0, nil) },
		"empty DATA":     func(h *http2Frames) error { return h.WriteData(1, false, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			h := s.http2Frames(t)
			if name == "empty DATA" {
				if err := h.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: h.block("/public/"), EndHeaders: true}); err != nil {
					t.Fatal(err)
				}
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for range 20_000 {
				if write(h) != nil {
					break // it has had enough
				}
			}
			s.others(t)
			runtime.ReadMemStats(&after)
			if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 32<<20 {
				t.Errorf("%d bytes are held for it", grown)
			}
		})
	}
}

// TestSlowHeaders: connections that trickle their header are closed by its time
// limit, whatever they send, and others are served meanwhile.
func TestSlowHeaders(t *testing.T) {
	t.Parallel()
	s := newSite(t, plan{limits: "read_header_timeout: 1s"})
	const clients = 200
	conns := make([]net.Conn, clients)
	for i := range conns {
		conns[i] = s.dial(t)
		t.Cleanup(func() { _ = conns[i].Close() })
		if _, err := io.WriteString(conns[i], "GET /public/ HTTP/1.1\r\nHost: "+s.host+"\r\nX-A: "); err != nil {
			t.Fatal(err)
		}
	}
	s.others(t)
	ended := make(chan struct{}, clients)
	for _, c := range conns {
		go func() {
			defer func() { ended <- struct{}{} }()
			closed := make(chan struct{})
			go func() { _, _ = io.Copy(io.Discard, c); close(closed) }()
			tick := time.NewTicker(50 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-closed:
					return
				case <-tick.C:
					_, _ = io.WriteString(c, "a")
				}
			}
		}()
	}
	for range clients {
		<-ended
	}
	if got := s.upstream.take(); len(got) != 1 {
		t.Errorf("%d requests reached the application", len(got))
	}
}

// TestSlowReaders: a client that does not read its answer holds nobody else up.
func TestSlowReaders(t *testing.T) {
	s := newSite(t, plan{})
	s.upstream.answers("HTTP/1.1 200 OK\r\nContent-Length: 20000000\r\n\r\n" + strings.Repeat("a", 20_000_000))
	for range 5 {
		c := s.dial(t)
		t.Cleanup(func() { _ = c.Close() })
		if _, err := io.WriteString(c, s.request("GET", "/public/")); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(make([]byte, 1)); err != nil { // the answer has begun
			t.Fatal(err)
		}
	}
	s.upstream.answers("")
	s.others(t)
}
