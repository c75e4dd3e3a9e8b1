package authn

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/session"
)

// APIKeyIssuer is the issuer of identities behind API keys that name no other.
const APIKeyIssuer = "api_key"

// apiKeysFeed is the feed that holds the keys.
const apiKeysFeed = "api_keys"

// apiKeyVersion is the version of an entry's format.
const apiKeyVersion = 1

// APIKeyInfo is what is known of a key. The key itself is kept nowhere: only its
// hash is, of which ID is the first 16 hexadecimal digits.
type APIKeyInfo struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Subject string    `json:"subject"`
	Issuer  string    `json:"issuer"`
	Email   string    `json:"email,omitempty"`
	Groups  []string  `json:"groups,omitempty"`
	Scopes  []string  `json:"scopes,omitempty"`
	Routes  []string  `json:"routes,omitempty"` // where it may be used; empty = wherever keys are taken
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires,omitzero"` // zero: never
	Revoked bool      `json:"revoked,omitempty"`
}

// ErrNoAPIKey says that no key has that id.
var ErrNoAPIKey = errors.New("authn: no such API key")

var errAPIKeyUnreadable = errors.New("the API key was kept by a newer release, or is damaged")

// APIKeys holds every API key in memory, kept true by the store's feed, so that
// judging one costs no call. A key that was revoked once stays revoked, whatever
// the feed brings later. It is safe for concurrent use.
type APIKeys struct {
	feeds     session.Feeds
	freshness *session.Freshness
	log       *zap.Logger

	mu    sync.RWMutex
	keys  map[[32]byte]*apiKey
	swept time.Time
}

// apiKey is one key. It is not changed once it is in the map.
type apiKey struct {
	APIKeyInfo
	identity *identity.Identity // nil where the entry could not be read
}

func (k *apiKey) over(now time.Time) bool { return !k.Expires.IsZero() && !now.Before(k.Expires) }

// NewAPIKeys makes an empty set, which Run fills. maxStaleness is how long the
// keys count when the store falls silent.
func NewAPIKeys(feeds session.Feeds, maxStaleness time.Duration, log *zap.Logger) *APIKeys {
	return &APIKeys{feeds: feeds, freshness: session.NewFreshness(maxStaleness), log: log, keys: map[[32]byte]*apiKey{}}
}

// SetMaxStaleness changes how long the keys count when the store falls silent.
func (k *APIKeys) SetMaxStaleness(limit time.Duration) { k.freshness.SetLimit(limit) }

// Run follows the feed until ctx ends.
func (k *APIKeys) Run(ctx context.Context) { k.feeds.Follow(ctx, apiKeysFeed, k.apply, k.confirm) }

// Ready says why no key can be judged now, or nil.
func (k *APIKeys) Ready() error { return k.fresh(time.Now()) }

func (k *APIKeys) fresh(now time.Time) error {
	if err := k.freshness.Judge(now); err != nil {
		return fmt.Errorf("API keys: %w", err)
	}
	return nil
}

// Revoked reports whether the key behind an identity was taken back. It is for
// streams, which have outlived the request with the key.
func (k *APIKeys) Revoked(id *identity.Identity) bool {
	found, ok := k.find(id.Ref)
	return ok && found.Revoked
}

func (k *APIKeys) find(hash [32]byte) (*apiKey, bool) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	found, ok := k.keys[hash]
	return found, ok
}

// confirm also forgets keys that are over, now and then.
func (k *APIKeys) confirm(at time.Time) {
	k.freshness.Confirm(at)
	now := time.Now()
	k.mu.Lock()
	defer k.mu.Unlock()
	if now.Sub(k.swept) < time.Minute {
		return
	}
	k.swept = now
	maps.DeleteFunc(k.keys, func(_ [32]byte, one *apiKey) bool { return one.over(now) })
}

// storedAPIKey is the value of an entry.
type storedAPIKey struct {
	Version int `json:"v"`
	APIKeyInfo
}

func (k *APIKeys) apply(entries []session.FeedEntry) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, e := range entries {
		var hash [32]byte
		if n, err := hex.Decode(hash[:], []byte(e.Name)); err != nil || n != len(hash) || len(e.Name) != 2*len(hash) {
			k.log.Error("an entry of the API keys has no hash for a name")
			continue
		}
		if before, ok := k.keys[hash]; ok && before.Revoked {
			continue
		}
		one, err := readAPIKey(hash, e.Value)
		if err != nil {
			k.log.Error("an API key can't be read; it is neither accepted nor refused", zap.String("id", identity.Ref(hash).String()), zap.Error(err))
		}
		k.keys[hash] = one
	}
}

// readAPIKey returns a key without an identity beside an error.
func readAPIKey(hash [32]byte, value []byte) (*apiKey, error) {
	unreadable := &apiKey{APIKeyInfo: APIKeyInfo{ID: identity.Ref(hash).String()}}
	var stored storedAPIKey
	if err := json.Unmarshal(value, &stored); err != nil {
		return unreadable, errors.New("not the JSON of a key")
	}
	info := stored.APIKeyInfo
	info.ID = unreadable.ID
	if info.Revoked { // in whatever version
		return &apiKey{APIKeyInfo: info}, nil
	}
	if stored.Version != apiKeyVersion || info.Subject == "" || info.Issuer == "" {
		return unreadable, fmt.Errorf("version %d", stored.Version)
	}
	id := &identity.Identity{
		Issuer: info.Issuer, Subject: info.Subject, PreferredUsername: info.Subject,
		Email: info.Email, EmailVerified: info.Email != "", Groups: info.Groups,
		Method: string(KindAPIKey), ExpiresAt: info.Expires, Ref: hash, Memo: new(identity.Memo),
	}
	if len(info.Scopes) > 0 {
		id.Claims = identity.MapClaims{"scope": strings.Join(info.Scopes, " ")}
	}
	return &apiKey{APIKeyInfo: info, identity: id}, nil
}

// Create makes a key and returns it with what is known of it: this is the only
// time that anybody sees the key. Of info, ID, Created and Revoked are set here;
// Subject must be given; an empty Issuer becomes APIKeyIssuer. Every gateway
// takes the key some milliseconds later, this one at once.
func (k *APIKeys) Create(ctx context.Context, info APIKeyInfo) (string, APIKeyInfo, error) {
	random := make([]byte, apiKeyBytes)
	rand.Read(random)
	key := apiKeyPrefix + base64.RawURLEncoding.EncodeToString(random)
	hash, _ := hashAPIKey(key)
	info.ID, info.Created, info.Revoked = identity.Ref(hash).String(), time.Now().UTC().Truncate(time.Second), false
	if info.Issuer == "" {
		info.Issuer = APIKeyIssuer
	}
	if err := k.publish(ctx, hash, info); err != nil {
		return "", APIKeyInfo{}, err
	}
	return key, info, nil
}

// List returns every key that is not over, revoked ones too, oldest first. The
// error is an outage.
func (k *APIKeys) List(ctx context.Context) ([]APIKeyInfo, error) {
	now := k.freshness.Await(ctx, time.Now())
	if err := k.fresh(now); err != nil {
		return nil, err
	}
	k.mu.RLock()
	defer k.mu.RUnlock()
	list := make([]APIKeyInfo, 0, len(k.keys))
	for _, one := range k.keys {
		if !one.over(now) {
			list = append(list, one.APIKeyInfo)
		}
	}
	slices.SortFunc(list, func(a, b APIKeyInfo) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	})
	return list, nil
}

// Revoke ends a key on every gateway, for ever, and returns what it was. Revoking
// it again does no harm. ErrNoAPIKey where no key has the id; any other error
// means that it may or may not have been revoked.
func (k *APIKeys) Revoke(ctx context.Context, id string) (APIKeyInfo, error) {
	k.freshness.Await(ctx, time.Now())
	hash, info, err := k.byID(id)
	if err != nil {
		return APIKeyInfo{}, err
	}
	info.Revoked = true
	return info, k.publish(ctx, hash, info)
}

func (k *APIKeys) byID(id string) (hash [32]byte, info APIKeyInfo, err error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	found := 0
	for h, one := range k.keys {
		if one.ID == id {
			hash, info = h, one.APIKeyInfo
			found++
		}
	}
	switch {
	case found > 1: // 64 bits: not by chance
		return hash, info, errors.New("several API keys have this id")
	case found == 1:
		return hash, info, nil
	}
	if err := k.fresh(time.Now()); err != nil {
		return hash, info, err
	}
	return hash, info, ErrNoAPIKey
}

func (k *APIKeys) publish(ctx context.Context, hash [32]byte, info APIKeyInfo) error {
	value, err := json.Marshal(storedAPIKey{apiKeyVersion, info})
	if err != nil {
		return err
	}
	e := session.FeedEntry{Name: hex.EncodeToString(hash[:]), Value: value, ExpiresAt: info.Expires}
	if err := k.feeds.Publish(ctx, apiKeysFeed, e); err != nil {
		return fmt.Errorf("the API key was not kept: %w", err)
	}
	k.apply([]session.FeedEntry{e})
	return nil
}
