//nolint:thelper // these functions are tests, not helpers
package sessiontest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/sallyport/sallyport/gateway/session"
)

func models() []behaviour {
	return []behaviour{
		{"any sequence of calls answers as a plain map would", func(t *testing.T, s Store) {
			runs := 0
			rapid.Check(t, func(rt *rapid.T) {
				runs++
				m := &model{Store: s, run: runs, sessions: map[session.Key]*kept{}, records: map[string]session.Record{}, base: now()}
				rt.Repeat(map[string]func(*rapid.T){
					"":                      m.check,
					"create":                m.create,
					"create twice":          m.createTwice,
					"update":                m.update,
					"delete":                m.delete,
					"delete subject":        m.deleteSubject,
					"delete provider":       m.deleteProvider,
					"delete before":         m.deleteBefore,
					"touch":                 m.touch,
					"save record":           m.saveRecord,
					"save a stale version":  m.saveStale,
					"remove record":         m.removeRecord,
					"list a page":           m.listPage,
					"list a user's session": m.listSubject,
				})
				if _, err := s.DeleteBefore(t.Context(), m.base.Add(24*time.Hour)); err != nil {
					rt.Fatal(err)
				}
			})
		}},
	}
}

// model is what a store should hold. Each run has keys, users and record kinds
// of its own: a store with tombstones does not take a key twice.
type model struct {
	Store
	run      int
	made     int
	base     time.Time
	sessions map[session.Key]*kept
	records  map[string]session.Record
}

type kept struct {
	session *session.Session
	tokens  string
	seen    time.Time
}

func (m *model) issuer(rt *rapid.T) string {
	return fmt.Sprintf("https://%d.example/%s", m.run, rapid.SampledFrom([]string{"", "a"}).Draw(rt, "issuer"))
}

func (m *model) subject(rt *rapid.T) string {
	return rapid.SampledFrom([]string{"a", "b", "ab"}).Draw(rt, "subject")
}

func (m *model) sid(rt *rapid.T) string {
	return rapid.SampledFrom([]string{"", "1", "2"}).Draw(rt, "sid")
}

// key draws a key that is there, was there, or never was.
func (m *model) key(rt *rapid.T) session.Key {
	return m.nth(rapid.IntRange(0, m.made).Draw(rt, "key"))
}

func (m *model) nth(n int) session.Key {
	key := Key(m.run*1000 + n)
	// Not in the order of their making.
	key[0], key[1] = byte(n*101), byte(n)
	return key
}

func (m *model) ordered() []*kept {
	var all []*kept
	for _, k := range m.sessions {
		all = append(all, k)
	}
	slices.SortFunc(all, func(a, b *kept) int { return bytes.Compare(a.session.Identity.Ref[:], b.session.Identity.Ref[:]) })
	return all
}

func (m *model) draw(rt *rapid.T) *session.Session {
	in := of(m.made, m.issuer(rt), m.subject(rt), m.sid(rt))
	in.Identity.Ref = m.nth(m.made)
	in.Created = m.base.Add(time.Duration(rapid.IntRange(0, 5).Draw(rt, "age")) * time.Second).UnixNano()
	in.SealedTokens = new([]byte(rapid.SampledFrom([]string{"", "t1", "t2"}).Draw(rt, "tokens")))
	return in
}

func (m *model) create(rt *rapid.T) {
	in := m.draw(rt)
	if err := m.Create(rt.Context(), in); err != nil {
		rt.Fatal(err)
	}
	m.made++
	seen, err := m.LastSeen(rt.Context(), in.Key())
	if err != nil {
		rt.Fatal(err)
	}
	m.sessions[in.Key()] = &kept{session: expected(in), tokens: string(in.Tokens()), seen: seen}
}

func (m *model) createTwice(rt *rapid.T) {
	for key := range m.sessions {
		in := m.draw(rt)
		in.Identity.Ref = key
		if err := m.Create(rt.Context(), in); !errors.Is(err, session.ErrConflict) {
			rt.Fatalf("got %v, want ErrConflict", err)
		}
		return
	}
}

func (m *model) update(rt *rapid.T) {
	key := m.key(rt)
	name, subject, sid := strconv.Itoa(rapid.Int().Draw(rt, "name")), m.subject(rt), m.sid(rt)
	tokens := rapid.SampledFrom([][]byte{nil, {}, []byte("t3")}).Draw(rt, "tokens")
	got, err := m.Update(rt.Context(), key, func(c *session.Session) error {
		c.Identity.Name, c.Identity.Subject, c.Identity.ProviderSession = name, subject, sid
		if tokens != nil {
			c.SealedTokens = &tokens
		}
		return nil
	})
	k := m.sessions[key]
	if k == nil {
		wantNotFound(rt, err)
		return
	}
	if err != nil {
		rt.Fatal(err)
	}
	k.session.Version++
	k.session.Identity.Name, k.session.Identity.Subject, k.session.Identity.ProviderSession = name, subject, sid
	if tokens != nil {
		k.tokens = string(tokens)
	}
	if diff := cmp.Diff(k.session, got, ignored()); diff != "" {
		rt.Fatalf("-want +got\n%s", diff)
	}
}

func (m *model) delete(rt *rapid.T) {
	key := m.key(rt)
	if err := m.Delete(rt.Context(), key); err != nil {
		rt.Fatal(err)
	}
	delete(m.sessions, key)
}

// drop removes what matches from the model and compares the numbers.
func (m *model) drop(rt *rapid.T, n int, err error, match func(*session.Session) bool) {
	want := 0
	for key, k := range m.sessions {
		if match(k.session) {
			delete(m.sessions, key)
			want++
		}
	}
	if n != want || err != nil {
		rt.Fatalf("deleted %d, %v, want %d", n, err, want)
	}
}

func (m *model) deleteSubject(rt *rapid.T) {
	issuer, subject := m.issuer(rt), m.subject(rt)
	n, err := m.DeleteSubject(rt.Context(), issuer, subject)
	m.drop(rt, n, err, func(s *session.Session) bool {
		return s.Identity.Issuer == issuer && s.Identity.Subject == subject
	})
}

func (m *model) deleteProvider(rt *rapid.T) {
	issuer, sid := m.issuer(rt), m.sid(rt)
	n, err := m.DeleteProviderSession(rt.Context(), issuer, sid)
	m.drop(rt, n, err, func(s *session.Session) bool {
		return sid != "" && s.Identity.Issuer == issuer && s.Identity.ProviderSession == sid
	})
}

func (m *model) deleteBefore(rt *rapid.T) {
	t := m.base.Add(time.Duration(rapid.IntRange(0, 3).Draw(rt, "before")) * time.Second)
	n, err := m.DeleteBefore(rt.Context(), t)
	m.drop(rt, n, err, func(s *session.Session) bool { return s.CreatedAt().Before(t) })
}

func (m *model) touch(rt *rapid.T) {
	key := m.key(rt)
	at := m.base.Add(time.Duration(rapid.IntRange(-10, 100).Draw(rt, "at")) * time.Second)
	err := m.Touch(rt.Context(), key, at)
	k := m.sessions[key]
	if k == nil {
		wantNotFound(rt, err)
		return
	}
	if err != nil {
		rt.Fatal(err)
	}
	if at.After(k.seen) {
		k.seen = at
	}
}

func (m *model) kind() string { return "kind" + strconv.Itoa(m.run) }

func (m *model) name(rt *rapid.T) string {
	return rapid.SampledFrom([]string{"", "x", "y"}).Draw(rt, "record")
}

func (m *model) saveRecord(rt *rapid.T) {
	name, value := m.name(rt), rapid.SliceOfN(rapid.Byte(), 0, 10).Draw(rt, "value")
	version := m.records[name].Version
	got, err := m.SaveRecord(rt.Context(), m.kind(), name, version, value, m.base.Add(time.Hour))
	if err != nil || got != version+1 {
		rt.Fatalf("got %d, %v, want %d", got, err, version+1)
	}
	m.records[name] = session.Record{Value: value, Version: got}
}

func (m *model) saveStale(rt *rapid.T) {
	name := m.name(rt)
	version := m.records[name].Version + uint64(rapid.IntRange(1, 3).Draw(rt, "off"))
	if _, err := m.SaveRecord(rt.Context(), m.kind(), name, version, nil, time.Time{}); !errors.Is(err, session.ErrConflict) {
		rt.Fatalf("got %v, want ErrConflict", err)
	}
}

func (m *model) removeRecord(rt *rapid.T) {
	name := m.name(rt)
	if err := m.RemoveRecord(rt.Context(), m.kind(), name); err != nil {
		rt.Fatal(err)
	}
	delete(m.records, name)
}

func (m *model) listPage(rt *rapid.T) {
	f := session.Filter{After: m.key(rt), Limit: rapid.IntRange(0, 4).Draw(rt, "limit")}
	m.compareList(rt, f, func(*session.Session) bool { return true })
}

func (m *model) listSubject(rt *rapid.T) {
	f := session.Filter{Issuer: m.issuer(rt), Subject: m.subject(rt), Limit: rapid.IntRange(0, 4).Draw(rt, "limit")}
	m.compareList(rt, f, func(s *session.Session) bool {
		return s.Identity.Issuer == f.Issuer && s.Identity.Subject == f.Subject
	})
}

func (m *model) compareList(rt *rapid.T, f session.Filter, match func(*session.Session) bool) {
	var want []session.Listed
	for _, k := range m.ordered() {
		full := f.Limit > 0 && len(want) == f.Limit
		if bytes.Compare(k.session.Identity.Ref[:], f.After[:]) > 0 && match(k.session) && !full {
			want = append(want, session.Listed{Session: k.session, LastSeen: k.seen})
		}
	}
	got, err := m.List(rt.Context(), f)
	if err != nil {
		rt.Fatal(err)
	}
	if diff := cmp.Diff(want, got, ignored()); diff != "" {
		rt.Fatalf("%+v: -want +got\n%s", f, diff)
	}
}

// check compares everything after each step.
func (m *model) check(rt *rapid.T) {
	for n := range m.made + 1 {
		key := m.nth(n)
		k := m.sessions[key]
		got, err := m.Get(rt.Context(), key)
		tokens, tokensErr := m.Tokens(rt.Context(), key)
		seen, seenErr := m.LastSeen(rt.Context(), key)
		if k == nil {
			wantNotFound(rt, err)
			wantNotFound(rt, tokensErr)
			wantNotFound(rt, seenErr)
			continue
		}
		if err := errors.Join(err, tokensErr, seenErr); err != nil {
			rt.Fatal(err)
		}
		want, wantID, gotID := k.session, k.session.Identity, got.Identity
		if got.Key() != key || got.Version != want.Version || got.Created != want.Created || got.Identity.ProviderSession != want.Identity.ProviderSession ||
			gotID.Issuer != wantID.Issuer || gotID.Subject != wantID.Subject || gotID.Name != wantID.Name {
			rt.Fatalf("%s: -want +got\n%s", key, cmp.Diff(want, got, ignored()))
		}
		if string(tokens) != k.tokens || !seen.Equal(k.seen) {
			rt.Fatalf("%s: tokens %q, seen %v, want %q, %v", key, tokens, seen, k.tokens, k.seen)
		}
	}
	for _, name := range []string{"", "x", "y"} {
		want, ok := m.records[name]
		got, err := m.LoadRecord(rt.Context(), m.kind(), name)
		if !ok {
			wantNotFound(rt, err)
			continue
		}
		if err != nil || got.Version != want.Version || !bytes.Equal(got.Value, want.Value) {
			rt.Fatalf("record %q: got %v, %v, want %v", name, got, err, want)
		}
	}
}

func wantNotFound(rt *rapid.T, err error) {
	if !errors.Is(err, session.ErrNotFound) {
		rt.Fatalf("got %v, want ErrNotFound", err)
	}
}
