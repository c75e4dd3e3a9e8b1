package valkeystore

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/valkey-io/valkey-go"
	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/session"
)

// follower is one call of Follow.
type follower struct {
	store     *Store
	key       feedKey
	apply     func([]session.FeedEntry)
	confirmed func(time.Time)
	memory    memory

	last    streamID  // what was read up to
	mendAt  time.Time // not before, what is lacking is written again
	sweepAt time.Time // then, what has expired is forgotten
}

const (
	// listen is how long a read waits for something new. Just before the next
	// confirmation comes the last one is twice as old, which has to be less than
	// the least that anybody can ask for, a second.
	listen = 250 * time.Millisecond
	// atOnce is the shortest wait that Valkey knows: with 0 it waits for ever.
	atOnce = time.Millisecond
	// readCount is how many entries one read brings, which takes a megabyte at most.
	readCount = 256
	// maxMend and maxTidy are how many entries are written again, or deleted, at a time.
	maxMend, maxTidy = 64, 256
	// readAgain is how often everything is read again without any trouble, should
	// somebody have emptied the server.
	readAgain = time.Hour
)

// attempt follows the feed until there is trouble, and reports whether it has
// read all of it.
func (f *follower) attempt(ctx context.Context) bool {
	s := f.store
	// A call like any other first: it waits while the store is known not to
	// answer, and finds out where a cluster has the feed now and which server is
	// the primary. One that refuses writes may still be read, and where the
	// connection of all calls is silent, a new one may not be.
	_, err := call(ctx, s, "follow", f.key.handle, func(ctx context.Context, c valkey.Client) (int64, error) {
		return c.Do(ctx, c.B().Xdel().Key(f.key.name).Id("0-0").Build()).AsInt64()
	})
	if err != nil && stepOf(err) != StepWrite && !errors.Is(err, errDeadline) {
		return false
	}
	line, err := s.dedicate(ctx)
	if err != nil {
		return false
	}
	defer func() { go line.Close() }() // it may wait for a peer that is silent
	err = f.readAll(ctx, line)
	read := err == nil
	for end := time.Now().Add(readAgain); err == nil && time.Now().Before(end); {
		err = f.listen(ctx, line)
	}
	if errors.Is(err, errStream) || err != nil && stepOf(err) == StepPermissions {
		s.complain(err)
	}
	return read
}

// dedicate returns a connection of its own. The client dials it without a
// context.
func (s *Store) dedicate(ctx context.Context) (valkey.DedicatedClient, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	client := s.client.Load()
	made := make(chan valkey.DedicatedClient, 1)
	go func() {
		line, _ := client.Dedicate()
		made <- line
	}()
	select {
	case line := <-made:
		return line, nil
	case <-ctx.Done():
		go func() { (<-made).Close() }()
		return nil, ctx.Err()
	}
}

// readAll reads the feed from its beginning.
func (f *follower) readAll(ctx context.Context, line valkey.DedicatedClient) error {
	f.last = streamID{}
	var all []item
	for limit := dialTimeout; ; limit = listen { // in a cluster, the first has to connect
		a, err := f.ask(ctx, line, question{key: f.key, after: f.last, wait: atOnce}, limit)
		if err != nil {
			return err
		}
		all = append(all, a.items...)
		if len(a.items) < readCount {
			f.tell(f.memory.whole(all, time.Now()), a.at)
			break
		}
	}
	if n := len(f.memory.lacking); n > 0 {
		f.store.log.Warn("the session store has lost entries of a feed, which are written again",
			zap.String("key", f.key.name), zap.Int("entries", n))
	}
	return nil
}

// listen waits for what is new, and meanwhile brings back what the server lacks,
// or deletes what no longer counts.
func (f *follower) listen(ctx context.Context, line valkey.DedicatedClient) error {
	now, m := time.Now(), &f.memory
	if settled := f.store.settled; now.After(f.sweepAt) {
		m.expire(now, settled)
		f.sweepAt = now.Add(settled / 10)
	}
	q := question{key: f.key, after: f.last, wait: listen}
	if now.After(f.mendAt) {
		q.mend = m.missing(now, maxMend)
	}
	switch {
	case len(q.mend) > 0:
		q.wait = atOnce
	case len(m.lacking) == 0:
		q.tidy = m.due(now, f.store.settled, maxTidy)
	}
	a, err := f.ask(ctx, line, q, listen)
	if err != nil {
		return err
	}
	if a.tidied {
		m.removed(len(q.tidy))
	}
	if a.refused {
		f.mendAt = now.Add(maxRetry)
	}
	var fresh []session.FeedEntry
	for _, it := range a.items {
		if m.learn(it, now) {
			fresh = append(fresh, it.FeedEntry)
		}
	}
	if len(a.items) == readCount {
		a.at = time.Time{} // there may be more
	}
	f.tell(fresh, a.at)
	return nil
}

// tell passes on what is new, and that at a time there was nothing else.
func (f *follower) tell(fresh []session.FeedEntry, at time.Time) {
	if len(fresh) > 0 {
		f.apply(fresh)
	}
	if !at.IsZero() {
		f.confirmed(at)
	}
}

// ask puts a question, with a deadline that it keeps itself as call does: a
// limit, and the time that a call may take.
func (f *follower) ask(ctx context.Context, line valkey.DedicatedClient, q question, limit time.Duration) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, limit+f.store.cfg.Timeout)
	defer cancel()
	type result struct {
		answer
		err error
	}
	answered := make(chan result, 1)
	at := time.Now()
	go func() {
		a, err := q.put(ctx, line)
		answered <- result{a, err}
	}()
	select {
	case r := <-answered:
		if r.err != nil {
			return answer{}, r.err
		}
		if n := len(r.items); n > 0 {
			f.last = r.items[n-1].id
		}
		r.at = at
		return r.answer, nil
	case <-ctx.Done():
		return answer{}, ctx.Err()
	}
}

// question is one exchange over a follower's connection.
type question struct {
	key   feedKey
	after streamID
	wait  time.Duration
	mend  []session.FeedEntry // to be written again
	tidy  []string            // to be deleted
}

// answer is what the server says.
type answer struct {
	items   []item
	at      time.Time // when it was asked
	tidied  bool
	refused bool // nothing can be written now
}

// put begins with a deletion, of nothing if need be: a server that refuses it is
// no primary any more, or has lost its replicas, so that what it has to read may
// be out of date. The read comes last, and so brings what was written again.
func (q question) put(ctx context.Context, line valkey.DedicatedClient) (a answer, err error) {
	b := line.B()
	commands := []valkey.Completed{b.Xdel().Key(q.key.name).Id("0-0").Id(q.tidy...).Build()}
	if len(q.mend) > 0 {
		commands = append(commands, q.mending(b))
	}
	commands = append(commands, b.Xread().Count(readCount).Block(q.wait.Milliseconds()).Streams().Key(q.key.name).Id(q.after.String()).Build())
	said := line.DoMulti(ctx, commands...)
	err = said[0].Error()
	a.tidied = err == nil
	if err != nil && !full(ctx, line, err) {
		return answer{}, err
	}
	if len(q.mend) > 0 {
		a.refused = said[1].Error() != nil
	}
	read, err := said[len(said)-1].AsXRead()
	if err != nil && !valkey.IsValkeyNil(err) {
		return answer{}, err
	}
	for _, raw := range read[q.key.name] {
		it, err := itemOf(raw.ID, raw.FieldValues)
		if err != nil {
			return answer{}, err
		}
		a.items = append(a.items, it)
	}
	return a, nil
}

// full reports whether a write was refused by a primary that can't write to its
// disk. It has nothing that is not read, since it takes nothing.
func full(ctx context.Context, line valkey.DedicatedClient, err error) bool {
	said, ok := valkey.IsValkeyErr(err)
	if !ok || !strings.HasPrefix(said.Error(), "MISCONF") {
		return false
	}
	info, err := line.Do(ctx, line.B().Info().Section("replication").Build()).ToString()
	return err == nil && strings.Contains(info, "role:master\r\n")
}

// mend writes entries unless there are some that were not read: one of them may
// be newer than what it would replace, or another gateway's of the same kind.
// KEYS feed; ARGV id up to which it was read, and for each entry its name, value
// and end. 0: read on first
const mend = `
if redis.call('XREAD', 'COUNT', 1, 'STREAMS', KEYS[1], ARGV[1]) then return 0 end
for i = 2, #ARGV, 3 do
  if ARGV[i + 2] == '' then redis.call('XADD', KEYS[1], '*', 'n', ARGV[i], 'v', ARGV[i + 1])
  else redis.call('XADD', KEYS[1], '*', 'n', ARGV[i], 'v', ARGV[i + 1], 'e', ARGV[i + 2]) end
end
return 1`

func (q question) mending(b valkey.Builder) valkey.Completed {
	args := make([]string, 0, 1+3*len(q.mend))
	args = append(args, q.after.String())
	for _, e := range q.mend {
		end := ""
		if !e.ExpiresAt.IsZero() {
			end = strconv.FormatInt(e.ExpiresAt.UnixMilli(), 10)
		}
		args = append(args, e.Name, string(e.Value), end)
	}
	return b.Eval().Script(mend).Numkeys(1).Key(q.key.name).Arg(args...).Build()
}
