package valkeystore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/valkey-io/valkey-go"

	"github.com/sallyport/sallyport/gateway/session"
)

// Fields of an entry of a stream.
const (
	fieldName  = "n"
	fieldValue = "v"
	fieldEnd   = "e" // ms since 1970; absent: never
)

// Publish implements session.Feeds. Ends are kept to the millisecond, rounded
// up. It does not wait for a replica: every gateway that has heard of the entry
// brings it back after a failover that lost it.
func (s *Store) Publish(ctx context.Context, feed string, e session.FeedEntry) error {
	if err := e.Check(feed); err != nil {
		return err
	}
	if e.Expired(time.Now()) {
		return nil
	}
	key := s.layout.feed(feed)
	_, err := call(ctx, s, "publish", key.handle, func(ctx context.Context, c valkey.Client) (string, error) {
		return c.Do(ctx, addEntry(c.B(), key, e)).ToString()
	})
	return err
}

func addEntry(b valkey.Builder, key feedKey, e session.FeedEntry) valkey.Completed {
	add := b.Xadd().Key(key.name).Id("*").FieldValue().FieldValue(fieldName, e.Name).FieldValue(fieldValue, valkey.BinaryString(e.Value))
	if !e.ExpiresAt.IsZero() {
		end := e.ExpiresAt.Add(time.Millisecond - 1).UnixMilli()
		add = add.FieldValue(fieldEnd, strconv.FormatInt(end, 10))
	}
	return add.Build()
}

// item is an entry as the stream has it.
type item struct {
	session.FeedEntry
	id streamID
}

// streamID is where an entry is in its stream.
type streamID struct{ ms, seq uint64 }

var errStream = errors.New("session store: a feed holds what is no entry")

func parseStreamID(text string) (id streamID, err error) {
	ms, seq, ok := strings.Cut(text, "-")
	if id.ms, err = strconv.ParseUint(ms, 10, 64); err == nil && ok {
		id.seq, err = strconv.ParseUint(seq, 10, 64)
	}
	if err != nil || !ok {
		return streamID{}, errStream
	}
	return id, nil
}

// String is what Valkey calls it.
func (id streamID) String() string {
	return strconv.FormatUint(id.ms, 10) + "-" + strconv.FormatUint(id.seq, 10)
}

// itemOf reads an entry of a stream. One that makes no sense is an error and not
// left out: what it should have said could matter.
func itemOf(at string, fields map[string]string) (item, error) {
	id, err := parseStreamID(at)
	if err != nil {
		return item{}, err
	}
	it := item{id: id}
	it.Name, it.Value = fields[fieldName], []byte(fields[fieldValue])
	if len(it.Value) == 0 {
		return item{}, fmt.Errorf("%w: %s", errStream, id)
	}
	if end, ok := fields[fieldEnd]; ok {
		ms, err := strconv.ParseInt(end, 10, 64)
		if err != nil {
			return item{}, fmt.Errorf("%w: %s", errStream, id)
		}
		it.ExpiresAt = time.UnixMilli(ms)
	}
	return it, nil
}

// Follow implements session.Feeds. It reads over a connection of its own, and
// after any trouble reads everything again over another one, since it may lead
// to another server by then, which need not have all that the one before had.
func (s *Store) Follow(ctx context.Context, feed string, apply func([]session.FeedEntry), confirmed func(time.Time)) {
	f := follower{store: s, key: s.layout.feed(feed), apply: apply, confirmed: confirmed, memory: newMemory()}
	for wait := firstRetry; ctx.Err() == nil; wait = min(2*wait, maxRetry) {
		if f.attempt(ctx) {
			wait = firstRetry
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait/2 + rand.N(wait/2)): //nolint:gosec // so that gateways don't come all at once; no secret
		}
	}
}
