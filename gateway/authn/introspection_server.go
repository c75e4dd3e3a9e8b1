package authn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"
	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/telemetry"
)

const (
	// maxAnswer bounds what is read of an answer, in bytes.
	maxAnswer = 1 << 20
	// maxAsking bounds the calls to one server that are under way at once.
	maxAsking = 64
	// maxKnownBytes bounds the memory for one server's answers about good tokens.
	maxKnownBytes = 16 << 20
	// maxForged bounds how many refused tokens are remembered for each server.
	maxForged = 1 << 14
	// forgedFor is how long a refused token is refused without asking again.
	forgedFor = 5 * time.Second
)

// IntrospectionServer is one authorization server that is asked about tokens.
// It is safe for concurrent use.
//
// What it answered is kept in two caches: one of good tokens and one of bad, so
// that a flood of forged tokens pushes no good one out.
type IntrospectionServer struct {
	cfg    config.Introspection
	client *http.Client
	auth   clientAuth
	log    *zap.Logger

	good    *otter.Cache[[32]byte, *known]
	bad     *otter.Cache[[32]byte, *known]
	flights flights[*answer]
	slots   chan struct{}
	// refusing: the server did not take the gateway's own credentials when it was
	// asked last. It is logged once, not with each request.
	refusing atomic.Bool
}

// known is what a server said of a token, and until when that counts.
type known struct {
	answer  *answer // nil with a refusal
	refusal *Refusal
	until   time.Time
	bytes   uint32
}

// NewIntrospectionServer makes a server from an entry of the configuration that
// was checked and has its defaults. client is one of jwks.NewClient. It calls
// nobody. Errors concern the client's key.
func NewIntrospectionServer(cfg config.Introspection, client *http.Client, log *zap.Logger) (*IntrospectionServer, error) {
	auth, err := newClientAuth(cfg)
	if err != nil {
		return nil, err
	}
	own := *client
	own.Timeout = 0 // the context has the deadline
	// A redirect would carry the token, or the client's secret, elsewhere.
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	s := &IntrospectionServer{
		cfg: cfg, client: &own, auth: auth, log: log, slots: make(chan struct{}, maxAsking),
	}
	weigh := func(_ [32]byte, k *known) uint32 { return k.bytes }
	if s.good, err = otter.New(&otter.Options[[32]byte, *known]{MaximumWeight: maxKnownBytes, Weigher: weigh}); err != nil {
		return nil, err
	}
	if s.bad, err = otter.New(&otter.Options[[32]byte, *known]{MaximumSize: maxForged}); err != nil {
		return nil, err
	}
	return s, nil
}

// ask returns what the server says of a token, from memory where that is recent enough. The
// digest is the token's SHA-256.
func (s *IntrospectionServer) ask(ctx context.Context, token string, digest [32]byte) (*answer, error) {
	now := time.Now()
	if k, ok := s.good.GetIfPresent(digest); ok && now.Before(k.until) {
		return k.answer, nil
	}
	if k, ok := s.bad.GetIfPresent(digest); ok && now.Before(k.until) {
		return nil, k.refusal
	}
	return s.flights.do(ctx, digest, func(ctx context.Context) (*answer, error) {
		ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
		defer cancel()
		return s.learn(ctx, token, digest)
	})
}

// learn asks the server and remembers what it says. An outage is not remembered.
func (s *IntrospectionServer) learn(ctx context.Context, token string, digest [32]byte) (*answer, error) {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return nil, errBusy
	}
	asked := time.Now() // the answer is at least as old as the question
	body, err := s.call(ctx, token)
	if err != nil {
		return nil, err
	}
	a, err := judgeAnswer(&s.cfg, body, time.Now())
	if refusal, refused := errors.AsType[*Refusal](err); refused {
		s.bad.Set(digest, &known{refusal: refusal, until: asked.Add(forgedFor)})
		s.good.Invalidate(digest)
		return nil, err
	}
	if err != nil {
		return nil, err
	}
	a.id.Ref, a.id.Memo = digest, new(identity.Memo)
	until := asked.Add(s.cfg.CacheTTL)
	if !a.id.ExpiresAt.IsZero() && a.id.ExpiresAt.Before(until) {
		until = a.id.ExpiresAt
	}
	if asked.Before(until) {
		// Decoded, an answer takes several times the room of its text.
		s.good.Set(digest, &known{answer: a, until: until, bytes: uint32(1024 + 8*len(body))})
	}
	return a, nil
}

// call makes one request. Its errors hold neither the token nor a secret.
func (s *IntrospectionServer) call(ctx context.Context, token string) ([]byte, error) {
	form := url.Values{"token": {token}, "token_type_hint": {"access_token"}}
	header := http.Header{
		"Accept":       {"application/json"},
		"Content-Type": {"application/x-www-form-urlencoded"},
		// Asking twice does no harm: net/http may repeat the request where a kept
		// connection turns out to be closed. Without values it is not sent.
		"X-Idempotency-Key": nil,
	}
	if err := s.auth.apply(header, form); err != nil {
		return nil, fmt.Errorf("the gateway's own credentials: %w", err)
	}
	r, err := http.NewRequestWithContext(telemetry.WithOperation(ctx, telemetry.OperationIntrospection), http.MethodPost, s.cfg.Endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	r.Header = header
	res, err := s.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	switch res.StatusCode {
	case http.StatusOK:
		s.accepted()
	case http.StatusUnauthorized, http.StatusBadRequest, http.StatusForbidden:
		s.refused(res.StatusCode)
		return nil, fmt.Errorf("the server refuses the gateway's request with status %d", res.StatusCode)
	default:
		return nil, fmt.Errorf("the server answers with status %d", res.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("the answer breaks off: %w", err)
	}
	if len(body) > maxAnswer {
		return nil, fmt.Errorf("the answer is larger than %d bytes", maxAnswer)
	}
	return body, nil
}

func (s *IntrospectionServer) refused(status int) {
	if !s.refusing.Swap(true) {
		s.log.Error("the introspection endpoint refuses this gateway: check client_id, client_auth and the secret or key; until it takes them, no opaque token can be judged",
			zap.String("server", s.cfg.Name), zap.Int("status", status))
	}
}

func (s *IntrospectionServer) accepted() {
	if s.refusing.Swap(false) {
		s.log.Info("the introspection endpoint takes this gateway's credentials again", zap.String("server", s.cfg.Name))
	}
}
