//go:build e2e

package env

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// A Scan holds what a run of tests uses that must never be seen, and looks for it in
// everything that gateways have written or answered to operators. It is safe for
// concurrent use.
type Scan struct {
	mu      sync.Mutex
	secrets map[string]string // kind by value
	dir     string            // of what was collected
	n       int
}

// NewScan collects in a directory.
func NewScan(dir string) *Scan { return &Scan{secrets: map[string]string{}, dir: dir} }

// minSecret is the shortest text that is looked for: shorter ones occur by chance.
const minSecret = 12

// Secret adds a value that must never be seen. Short ones are left out.
func (s *Scan) Secret(kind, value string) {
	if s == nil || len(value) < minSecret {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.secrets[value] = kind
}

// SecretsFile adds the lines "KIND VALUE" that another program writes, when the run is over.
func (s *Scan) SecretsFile() (path string) {
	if s == nil {
		return ""
	}
	return filepath.Join(s.dir, "secrets")
}

// Output adds what a gateway has written or answered.
func (s *Scan) Output(where, text string) {
	if s == nil || text == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	name := fmt.Sprintf("%05d %s", s.n, strings.NewReplacer("/", "_", ":", "_").Replace(where))
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
		panic(err) // a run that cannot be judged must not pass
	}
}

// Answers adds what a gateway shows to operators now.
func (s *Scan) Answers(admin, token string) {
	if s == nil {
		return
	}
	client := &http.Client{Timeout: 5 * time.Second}
	for _, path := range []string{"/metrics", "/readyz", "/api/v1/sessions", "/api/v1/events", "/api/v1/stats", "/api/v1/keys", "/api/v1/locks", "/api/v1/decisions", "/api/v1/routes", "/api/v1/providers", "/api/v1/issuers", "/api/v1/upstreams"} {
		req, err := http.NewRequest(http.MethodGet, admin+path, nil) //nolint:noctx // the test's context is over
		if err != nil {
			return
		}
		req.Header.Set("Authorization", "Bearer "+token)
		res, err := client.Do(req)
		if err != nil {
			continue // a gateway that the test has stopped
		}
		body, _ := io.ReadAll(io.LimitReader(res.Body, 64<<20))
		_ = res.Body.Close()
		s.Output(admin+path, string(body))
	}
}

// Leak is a secret that was seen.
type Leak struct{ Kind, Masked, Form, Where, Around string }

// Leaks looks for every secret in everything that was collected, as it is and in the
// forms in which it could have been written. errors are those of reading.
func (s *Scan) Leaks() (leaks []Leak, secrets, outputs int, err error) {
	if written, err := os.ReadFile(s.SecretsFile()); err == nil {
		for line := range strings.Lines(string(written)) {
			kind, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
			s.Secret(kind, value)
		}
	} else if !errors.Is(err, os.ErrNotExist) {
		return nil, 0, 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	needles := index(s.secrets)
	files, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, 0, 0, err
	}
	for _, f := range files {
		if f.Name() == "secrets" {
			continue
		}
		text, err := os.ReadFile(filepath.Join(s.dir, f.Name()))
		if err != nil {
			return nil, 0, 0, err
		}
		outputs++
		leaks = append(leaks, needles.find(f.Name(), text)...)
	}
	return leaks, len(s.secrets), outputs, nil
}

type needle struct{ kind, secret, form, text string }

// needles are found by how they begin. Most of what is searched begins like none of
// them, which four bytes tell.
type needles struct {
	byBegin map[[minSecret]byte][]needle
	begins  [1 << 18]bool // by begin of the first four bytes
}

func begin(four []byte) uint32 { return binary.LittleEndian.Uint32(four) * 2654435761 >> 14 } // Knuth's multiplicative hash

func index(secrets map[string]string) *needles {
	all := &needles{byBegin: map[[minSecret]byte][]needle{}}
	for value, kind := range secrets {
		for form, text := range forms(value) {
			if len(text) >= minSecret {
				first := [minSecret]byte([]byte(text[:minSecret]))
				all.begins[begin(first[:])] = true
				all.byBegin[first] = append(all.byBegin[first], needle{kind, value, form, text})
			}
		}
	}
	return all
}

// forms are the ways in which a text could be written.
func forms(value string) map[string]string {
	all := map[string]string{"as it is": value, "hex": hex.EncodeToString([]byte(value))}
	if escaped := url.QueryEscape(value); escaped != value {
		all["percent-encoded"] = escaped
		all["percent-encoded in lower case"] = strings.ToLower(escaped)
	}
	for skip := range 3 { // where it begins within a group of base64
		for name, encoding := range map[string]*base64.Encoding{"base64": base64.RawStdEncoding, "base64url": base64.RawURLEncoding} {
			text := encoding.EncodeToString(append(make([]byte, skip), value...))
			// The first and the last characters hold bits of what is beside it.
			text = text[(skip*8+5)/6:]
			if (skip+len(value))%3 != 0 {
				text = text[:len(text)-1]
			}
			all[fmt.Sprintf("%s at %d", name, skip)] = text
		}
	}
	return all
}

// next is the first place from i on where something may begin. The race detector, which
// would look at every byte of hundreds of megabytes, is told not to: nobody writes here.
//
//go:norace
func (all *needles) next(text []byte, i int) int {
	for ; i+minSecret <= len(text); i++ {
		if all.begins[begin(text[i:])] {
			return i
		}
	}
	return len(text)
}

func (all *needles) find(where string, text []byte) (leaks []Leak) {
	var seen []span
	var at []int // where in text each of leaks is
	told := map[string]bool{}
	for i := all.next(text, 0); i+minSecret <= len(text); i = all.next(text, i+1) {
		for _, n := range all.byBegin[[minSecret]byte(text[i:i+minSecret])] {
			seen = append(seen, span{i, i + common(text[i:], n.text), n.kind})
			if told[n.secret] || !bytes.HasPrefix(text[i:], []byte(n.text)) {
				continue
			}
			told[n.secret] = true
			leaks, at = append(leaks, Leak{Kind: n.kind, Masked: n.secret[:3] + "...", Form: n.form, Where: where}), append(at, i)
		}
	}
	for j := range leaks {
		leaks[j].Around = around(text, at[j], seen) + "[" + leaks[j].Kind + "]"
	}
	return leaks
}

// span is where a text has a secret, or how one begins.
type span struct {
	begin, end int
	kind       string
}

// common is how far text goes on as secret does.
func common(text []byte, secret string) (n int) {
	for n < len(text) && n < len(secret) && text[n] == secret[n] {
		n++
	}
	return n
}

// around is what stands before a place in its line, with every secret masked that is
// in it, in part as well: what is told of a leak must not be another one. secrets are
// in the order of their beginnings.
func around(text []byte, at int, secrets []span) string {
	begin := max(0, at-100)
	if line := bytes.LastIndexByte(text[begin:at], '\n'); line >= 0 {
		begin += line + 1
	}
	var b strings.Builder
	for _, s := range secrets {
		if s.begin >= at {
			break
		}
		if s.end <= begin {
			continue
		}
		if s.begin >= begin {
			b.Write(text[begin:s.begin])
		}
		b.WriteString("[" + s.kind + "]")
		begin = min(s.end, at)
	}
	return b.String() + string(text[begin:at])
}

// Report writes what was seen, and returns the exit code of a run that had code.
func (s *Scan) Report(w io.Writer, code int) int {
	leaks, secrets, outputs, err := s.Leaks()
	if err != nil {
		fmt.Fprintln(w, "the outputs can't be scanned:", err)
		return max(code, 1)
	}
	fmt.Fprintf(w, "%d outputs of gateways were searched for %d secrets\n", outputs, secrets)
	for _, l := range leaks {
		fmt.Fprintf(w, "a secret was seen: %s %s (%s) in %s: %s\n", l.Kind, l.Masked, l.Form, l.Where, l.Around)
		code = max(code, 1)
	}
	return code
}
