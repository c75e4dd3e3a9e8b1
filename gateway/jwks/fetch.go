package jwks

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/jose"
	"github.com/sallyport/sallyport/gateway/telemetry"
)

const (
	maxBody      = jose.MaxKeySetBytes
	fetchTimeout = 10 * time.Second // of discovery and key set together
)

// The results that OnFetch hears.
const (
	resultOK          = "ok"
	resultNotModified = "not_modified"
	resultError       = "error"
	resultRejected    = "rejected"
)

// The classes of failures: what Status and the log say, one word each.
const (
	classDNS        = "dns"
	classConnect    = "connect"
	classTLS        = "tls"
	classTimeout    = "timeout"
	classStatus     = "status"
	classRedirect   = "redirect"
	classForbidden  = "forbidden_address"
	classInsecure   = "insecure_url"
	classTooLarge   = "too_large"
	classMalformed  = "malformed"
	classNoKeys     = "no_usable_keys"
	classIssuer     = "issuer_mismatch"
	classIncomplete = "incomplete"
)

// failure is an error with its class.
type failure struct {
	class string
	err   error
}

func (f *failure) Error() string { return f.class + ": " + f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

func fail(class, format string, args ...any) error {
	return &failure{class, fmt.Errorf(format, args...)}
}

func classOf(err error) string {
	if f, ok := errors.AsType[*failure](err); ok {
		return f.class
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return classDNS
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return classTLS
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return classTLS
	}
	if _, ok := errors.AsType[tls.AlertError](err); ok {
		return classTLS
	}
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
		return classTimeout
	}
	return classConnect
}

// fetcher is what Run remembers from one fetch to the next.
type fetcher struct {
	metadata   *Metadata
	discovered time.Time
	failed     bool
	toldTooOld bool
}

// fetch asks the issuer once and takes over the answer, if it is a good one.
// A bad answer changes nothing.
func (s *Source) fetch(ctx context.Context) (fresh time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	defer func() { s.fetcher.failed = err != nil }()

	ctx, address, err := s.locate(ctx)
	if err != nil {
		s.o.OnFetch(resultError)
		return 0, err
	}
	old := s.current.Load()
	header := http.Header{"Accept": {"application/jwk-set+json, application/json"}}
	if old != nil && old.etag != "" && old.url == address {
		header.Set("If-None-Match", old.etag)
	}
	res, err := get(telemetry.WithOperation(ctx, telemetry.OperationKeys), s.o.Client, address, header)
	if err != nil {
		s.o.OnFetch(resultError)
		return 0, err
	}
	defer res.Body.Close() //nolint:errcheck // it was read, or is not wanted

	switch {
	case res.StatusCode == http.StatusNotModified && header.Get("If-None-Match") != "":
		same := *old
		same.confirmed = time.Now()
		s.current.Store(&same)
		s.o.OnFetch(resultNotModified)
		return s.freshFor(res.Header), nil
	case res.StatusCode != http.StatusOK:
		s.o.OnFetch(resultError)
		return 0, fail(classStatus, "key set: status %d", res.StatusCode)
	}
	body, err := readBody(res.Body)
	if err != nil {
		s.o.OnFetch(resultError)
		return 0, err
	}
	set, dropped, err := s.accept(body)
	if err != nil {
		s.o.OnFetch(resultRejected)
		return 0, err
	}
	s.replace(old, &snapshot{
		set: set, confirmed: time.Now(), sum: sha256.Sum256(body),
		url: address, etag: res.Header.Get("ETag"),
	}, dropped)
	s.o.OnFetch(resultOK)
	return s.freshFor(res.Header), nil
}

// locate returns the address of the key set, and a context that holds fetches
// from a learned address to the rules for such.
func (s *Source) locate(ctx context.Context) (context.Context, string, error) {
	if s.o.JWKSURL != "" {
		u, err := url.Parse(s.o.JWKSURL)
		if err != nil {
			return nil, "", &failure{classMalformed, err}
		}
		return ctx, s.o.JWKSURL, checkScheme(u, s.o.InsecureHTTP)
	}
	f := &s.fetcher
	if f.metadata == nil || f.failed || time.Since(f.discovered) >= s.o.MaxRefresh {
		m, err := Discover(ctx, s.o.Client, s.o.Issuer, s.o.InsecureHTTP)
		switch {
		case err == nil:
			f.metadata, f.discovered = m, time.Now()
		case f.metadata == nil:
			return nil, "", err
		}
		// Otherwise the address that was good before is tried: the keys may
		// well be there while the document is not.
	}
	return f.metadata.Context(ctx), f.metadata.JWKSURI, nil
}

// accept turns a body into a set that is worth having.
func (s *Source) accept(body []byte) (*jose.KeySet, int, error) {
	set, dropped, err := jose.ParseKeySet(body)
	if err != nil {
		return nil, 0, &failure{classMalformed, err}
	}
	useful := set.Len() > 0
	if len(s.o.Algorithms) > 0 {
		useful = slices.ContainsFunc(s.o.Algorithms, set.Supports)
	}
	if !useful {
		return nil, 0, fail(classNoKeys, "key set: %d keys, %d left out, none for %q", set.Len(), dropped, s.o.Algorithms)
	}
	return set, dropped, nil
}

// replace makes the new set current. The generation only changes with the keys.
func (s *Source) replace(old, set *snapshot, dropped int) {
	switch {
	case old == nil:
		set.generation = 1
	case old.sum == set.sum:
		set.generation, set.set = old.generation, old.set
	default:
		set.generation = old.generation + 1
	}
	s.current.Store(set)
	if old == nil || old.generation != set.generation {
		s.o.Log.Info("key set loaded", zap.String("issuer", s.o.Issuer), zap.Int("keys", set.set.Len()),
			zap.Int("left_out", dropped), zap.Uint64("generation", set.generation))
	}
}

// get sends one request. Its errors do not repeat the address.
func get(ctx context.Context, client *http.Client, address string, header http.Header) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, &failure{classMalformed, err}
	}
	req.Header = header
	req.Header.Set("User-Agent", "sallyport")
	res, err := client.Do(req)
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return nil, fmt.Errorf("fetch: %w", wrapped.Err)
	}
	return res, err
}

// readBody reads an answer of at most one MiB, counted after decompression.
func readBody(r io.Reader) ([]byte, error) {
	var b bytes.Buffer
	n, err := b.ReadFrom(io.LimitReader(r, maxBody+1))
	if err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	if n > maxBody {
		return nil, fail(classTooLarge, "more than %d bytes", maxBody)
	}
	return b.Bytes(), nil
}
