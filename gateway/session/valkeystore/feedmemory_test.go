package valkeystore

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sallyport/sallyport/gateway/session"
)

// stream reads "name=value@id" words; a value that begins with "x" has expired.
func stream(t *testing.T, words string, now time.Time) (items []item) {
	t.Helper()
	for word := range strings.FieldsSeq(words) {
		entry, id, _ := strings.Cut(word, "@")
		name, value, _ := strings.Cut(entry, "=")
		at, err := parseStreamID(id + "-0")
		if err != nil {
			t.Fatal(err)
		}
		it := item{id: at}
		it.Name, it.Value, it.ExpiresAt = name, []byte(value), now.Add(time.Hour)
		if value[0] == 'x' {
			it.ExpiresAt = now
		}
		items = append(items, it)
	}
	return items
}

func TestWhatAFollowerMakesOfAServer(t *testing.T) {
	for what, c := range map[string]struct {
		before, followed  string // what it read as a whole, then one by one
		after             string // what the server has after a reconnect
		fresh, lacks, now string // what is told, what is written again, what counts
		old               string // what is to be deleted
	}{
		"the first reading":                                   {after: "a=1@1 b=2@2", fresh: "a=1 b=2", now: "a=1 b=2"},
		"of one name the last counts":                         {after: "a=1@1 b=2@2 a=3@3", fresh: "b=2 a=3", now: "a=3 b=2", old: "1"},
		"what has expired ends what it replaced":              {after: "a=1@1 a=x@2", old: "1 2"},
		"nothing is told twice":                               {before: "a=1@1", followed: "a=2@2", after: "a=1@1 a=2@2", now: "a=2", old: "1"},
		"the server lost everything":                          {before: "a=1@1", followed: "b=2@2", lacks: "a=1 b=2", now: "a=1 b=2"},
		"it lost the last entries":                            {before: "a=1@1", followed: "b=2@2", after: "a=1@1", lacks: "b=2", now: "a=1 b=2"},
		"an entry from before does not replace its successor": {before: "a=1@1", followed: "a=2@2", after: "a=1@1", lacks: "a=2", now: "a=2"},
		"nor one from before the first reading":               {before: "a=1@1 a=2@2", after: "a=1@1", lacks: "a=2", now: "a=2"},
		"a new one of a primary whose clock is slow does":     {before: "a=1@1", followed: "a=2@9", after: "a=1@1 a=3@5", fresh: "a=3", now: "a=3", old: "1"},
		"a new one replaces what the server lacks":            {before: "a=1@1", followed: "a=2@2", after: "a=3@3", fresh: "a=3", now: "a=3"},
		"one written again by another gateway is not lacking": {before: "a=1@4", after: "a=1@2", fresh: "a=1", now: "a=1"},
		"what expired is not written again":                   {before: "a=x@1 b=2@2", lacks: "b=2", now: "b=2"},
		"an expired successor is not forgotten":               {before: "a=1@1", followed: "a=x@2", after: "a=1@1 a=x@2", old: "1 2"},
	} {
		t.Run(what, func(t *testing.T) {
			now := time.Now()
			m := newMemory()
			if c.before != "" {
				m.whole(stream(t, c.before, now), now)
			}
			for _, it := range stream(t, c.followed, now) {
				m.learn(it, now)
			}
			later := now.Add(time.Minute)
			fresh := m.whole(stream(t, c.after, now), later)
			if diff := cmp.Diff(c.fresh, words(fresh)); diff != "" {
				t.Error("fresh:", diff)
			}
			if diff := cmp.Diff(c.lacks, words(m.missing(later, 100))); diff != "" {
				t.Error("lacks:", diff)
			}
			live := map[string]string{}
			for name, k := range m.live {
				live[name] = string(k.Value)
			}
			want := map[string]string{}
			for word := range strings.FieldsSeq(c.now) {
				name, value, _ := strings.Cut(word, "=")
				want[name] = value
			}
			if diff := cmp.Diff(want, live); diff != "" {
				t.Error("live:", diff)
			}
			var old []string
			for id := range strings.FieldsSeq(c.old) {
				old = append(old, id+"-0")
			}
			if diff := cmp.Diff(old, m.due(later.Add(time.Minute), time.Second, 100), cmpopts.EquateEmpty()); diff != "" {
				t.Error("to be deleted:", diff)
			}
		})
	}
}

func words(entries []session.FeedEntry) string {
	var all []string
	for _, e := range entries {
		all = append(all, e.Name+"="+string(e.Value))
	}
	return strings.Join(all, " ")
}

// An entry is deleted only after those that it replaced: without it, they would
// count again.
func TestWhatWasReplacedIsDeletedFirst(t *testing.T) {
	now := time.Now()
	m := newMemory()
	m.whole(stream(t, "a=1@1 a=2@2 b=1@3 c=1@4 a=x@5", now), now)
	var order []string
	for at := now.Add(time.Minute); ; {
		ids := m.due(at, time.Second, 1)
		if len(ids) == 0 {
			break
		}
		order = append(order, ids...)
		m.removed(1)
	}
	if diff := cmp.Diff([]string{"1-0", "2-0", "5-0"}, order); diff != "" {
		t.Error(diff)
	}
}

// Clocks differ a little: what one gateway thinks has expired may count for
// another.
func TestWhatHasJustExpiredIsNotDeletedYet(t *testing.T) {
	now := time.Now()
	m := newMemory()
	m.whole(stream(t, "a=1@1 b=1@2", now), now)
	m.live["a"].ExpiresAt = now.Add(time.Minute)
	m.expire(now.Add(2*time.Minute), keepRevocations)
	if len(m.live) != 2 || len(m.garbage) != 0 {
		t.Errorf("a minute after its end: %d live, to be deleted %v", len(m.live), m.garbage)
	}
	m.expire(now.Add(12*time.Minute), keepRevocations)
	if len(m.live) != 1 || len(m.garbage) != 1 || m.garbage[0].id.ms != 1 {
		t.Errorf("11 minutes after its end: %d live, to be deleted %v", len(m.live), m.garbage)
	}
}

// However often the connection breaks, what no longer counts is counted once and
// its time goes on.
func TestGarbageDoesNotPileUpWithReconnects(t *testing.T) {
	now := time.Now()
	m := newMemory()
	for i := range 100 {
		m.whole(stream(t, "a=1@1 a=2@2", now), now.Add(time.Duration(i)*time.Minute))
	}
	if len(m.garbage) != 1 || !m.garbage[0].since.Equal(now) || len(m.live["a"].older) != 1 {
		t.Errorf("garbage %v, older %v", m.garbage, m.live["a"].older)
	}
}

func TestAnEntryThatMakesNoSenseIsAnError(t *testing.T) {
	for _, raw := range []struct{ id, fields string }{
		{"1", "v=1"}, {"x-1", "v=1"}, {"1-x", "v=1"}, {"1-2", "n=a"}, {"1-2", "n=a v="}, {"1-2", "n=a v=1 e=soon"}, {"", ""},
	} {
		if it, err := itemOf(raw.id, fieldsOf(raw.fields)); err == nil || it.Name != "" {
			t.Errorf("%s %s: %v, %v", raw.id, raw.fields, it, err)
		}
	}
}

func fieldsOf(text string) map[string]string {
	fields := map[string]string{}
	for word := range strings.FieldsSeq(text) {
		name, value, _ := strings.Cut(word, "=")
		fields[name] = value
	}
	return fields
}
