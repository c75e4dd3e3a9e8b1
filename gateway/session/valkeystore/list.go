package valkeystore

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/valkey-io/valkey-go"

	"github.com/sallyport/sallyport/gateway/session"
)

// seen is a session and its last use, as the activity of its bucket has them.
type seen struct {
	handle handle
	at     time.Time
}

// batch is how much is asked for at once.
const batch = 256

// firstBatch is how many buckets are asked for first: whoever wants a page of a
// million sessions does not wait for sixteen thousand of them.
const firstBatch = 16

// walk visits all sessions in the order of keys, bucket by bucket, until visit
// has enough. Some that it is shown may be over.
func (s *Store) walk(ctx context.Context, from int, visit func([]seen) (more bool, err error)) error {
	step := firstBatch
	for begin := from; begin < bucketCount; {
		end := min(begin+step, bucketCount)
		found, err := s.members(ctx, begin, end)
		if err != nil {
			return err
		}
		begin, step = end, min(2*step, batch)
		if len(found) == 0 {
			continue
		}
		if more, err := visit(found); err != nil || !more {
			return err
		}
	}
	return nil
}

// firstOf begins a bucket.
func firstOf(bucket int) (h handle) {
	h[0], h[1] = byte(bucket>>(bucketBits-8)), byte(bucket<<(16-bucketBits))
	return h
}

// members returns the sessions in some buckets, in the order of keys.
func (s *Store) members(ctx context.Context, begin, end int) ([]seen, error) {
	return call(ctx, s, "walk", firstOf(begin), func(ctx context.Context, c valkey.Client) ([]seen, error) {
		questions := make([]valkey.Completed, 0, end-begin)
		for bucket := begin; bucket < end; bucket++ {
			questions = append(questions, c.B().Zrange().Key(s.layout.bucketKey(bucket, 'a')).Min("0").Max("-1").Withscores().Build())
		}
		var found []seen
		for i, answer := range c.DoMulti(ctx, questions...) {
			members, err := answer.AsZScores()
			if err != nil && !valkey.IsValkeyNil(err) {
				return nil, err
			}
			for _, m := range members {
				if len(m.Member) != handleSize-1 {
					continue
				}
				h := firstOf(begin + i)
				copy(h[1:], m.Member)
				found = append(found, seen{h, time.UnixMicro(int64(m.Score))})
			}
		}
		slices.SortFunc(found, func(a, b seen) int { return bytes.Compare(a.handle[:], b.handle[:]) })
		return found, nil
	})
}

// values reads the values of sessions; "" for one that does not exist.
func (s *Store) values(ctx context.Context, sessions []handle) ([]string, error) {
	out := make([]string, 0, len(sessions))
	for part := range slices.Chunk(sessions, batch) {
		values, err := call(ctx, s, "read", part[0], func(ctx context.Context, c valkey.Client) ([]string, error) {
			questions := make([]valkey.Completed, len(part))
			for i, h := range part {
				questions[i] = c.B().Get().Key(s.layout.session(h)).Build()
			}
			values := make([]string, len(part))
			for i, answer := range c.DoMulti(ctx, questions...) {
				value, err := answer.ToString()
				if err != nil && !valkey.IsValkeyNil(err) {
					return nil, err
				}
				values[i] = value
			}
			return values, nil
		})
		if err != nil {
			return nil, err
		}
		out = append(out, values...)
	}
	return out, nil
}

// List implements session.Store.
func (s *Store) List(ctx context.Context, f session.Filter) ([]session.Listed, error) {
	l := lister{store: s, filter: f, now: time.Now()}
	if f.Subject != "" || f.ProviderSession != "" {
		if f.Issuer == "" {
			return nil, errors.New("session store: a subject or provider session is listed with its issuer only")
		}
		at, kind := pairOf(f.Issuer, f.Subject), byte(bySubject)
		if f.Subject == "" {
			at, kind = pairOf(f.Issuer, f.ProviderSession), byProvider
		}
		sessions, err := s.find(ctx, at, kind)
		if err != nil {
			return nil, err
		}
		found := make([]seen, len(sessions))
		for i, h := range sessions {
			found[i].handle = h
		}
		if _, err = l.visit(ctx, found); err != nil {
			return nil, err
		}
		return l.listed, nil
	}
	err := s.walk(ctx, handleOf(f.After).bucket(), func(found []seen) (bool, error) { return l.visit(ctx, found) })
	if err != nil {
		return nil, err
	}
	return l.listed, nil
}

// lister gathers what a filter lets through.
type lister struct {
	store  *Store
	filter session.Filter
	now    time.Time
	listed []session.Listed
}

func (l *lister) full() bool { return l.filter.Limit > 0 && len(l.listed) >= l.filter.Limit }

func (l *lister) visit(ctx context.Context, found []seen) (more bool, err error) {
	after := l.filter.After
	for part := range slices.Chunk(found, batch) {
		if l.full() {
			break
		}
		sessions := make([]handle, len(part))
		for i := range part {
			sessions[i] = part[i].handle
		}
		values, err := l.store.values(ctx, sessions)
		if err != nil {
			return false, err
		}
		for i, value := range values {
			if value == "" || l.full() {
				continue
			}
			live, _, err := l.store.codec.unpack(sessions[i], value)
			if err != nil {
				continue // of another release, or damaged: the others are listed all the same
			}
			if live.Expired(l.now) || !l.filter.Matches(live) || after != (session.Key{}) && bytes.Compare(live.Identity.Ref[:], after[:]) <= 0 {
				continue
			}
			at := part[i].at
			if at.IsZero() {
				if at, err = l.store.LastSeen(ctx, live.Key()); errors.Is(err, session.ErrNotFound) {
					continue
				} else if err != nil {
					return false, err
				}
			}
			l.listed = append(l.listed, session.Listed{Session: live, LastSeen: at})
		}
	}
	return !l.full(), nil
}
