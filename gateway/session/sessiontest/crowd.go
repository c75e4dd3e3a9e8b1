//go:build long

package sessiontest

import (
	"bytes"
	"crypto/rand"
	"runtime"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/session"
)

// Crowd is how many sessions a store has.
type Crowd struct {
	Old, Young      int // began before, and after
	Before          time.Time
	Issuer, Subject string // of one user, who has some of the young ones
	Users           int    // how many those are
}

// crowdMemory is what a listing may take at a time, however many sessions there are.
const crowdMemory = 64 << 20

// ListCrowd lists all sessions of a store page by page, as operators do: all, by age, and
// those of one user. Then it ends the old ones. It logs what that takes, and asserts the
// counts, and that memory does not grow with them.
func ListCrowd(t *testing.T, s Store, c Crowd) {
	t.Helper()
	secret := make([]byte, session.KeySize)
	_, _ = rand.Read(secret)
	ring, err := session.NewKeyring(secret)
	if err != nil {
		t.Fatal(err)
	}
	cfg := config.Default()
	m := session.NewManager(session.Options{Store: s, Records: s, Keyring: ring, Server: cfg.Server, Session: cfg.Session})
	defer m.Close()

	list := func(what string, want, mostPages int, q session.Query) {
		t.Helper()
		q.Limit = session.MaxPage
		var found, pages int
		var last session.Key
		most, longest := int64(0), time.Duration(0)
		begin, before := time.Now(), inUse()
		for {
			asked := time.Now()
			page, err := m.List(t.Context(), q)
			if err != nil {
				t.Fatalf("%s, page %d: %v", what, pages, err)
			}
			longest = max(longest, time.Since(asked))
			pages++
			for i := range page.Sessions {
				key := page.Sessions[i].Key()
				if bytes.Compare(key[:], last[:]) <= 0 {
					t.Fatalf("%s, page %d: a session comes twice, or out of order", what, pages)
				}
				last = key
			}
			if found += len(page.Sessions); pages%50 == 1 {
				most = max(most, inUse()-before)
			}
			runtime.KeepAlive(page)
			if q.After = page.Next; q.After == (session.Key{}) {
				break
			}
		}
		t.Logf("%s: %d sessions in %d pages, %v in all, %v the longest, %d KiB of heap", what, found, pages, time.Since(begin).Round(time.Millisecond), longest.Round(time.Microsecond), most>>10)
		if found != want || pages > mostPages {
			t.Errorf("%s: %d sessions in %d pages, want %d in %d at most", what, found, pages, want, mostPages)
		}
		if most > crowdMemory {
			t.Errorf("%s: %d bytes of heap are in use", what, most)
		}
	}
	all := c.Old + c.Young
	full, looks := all/session.MaxPage+2, all/20_000+all/session.MaxPage+2
	list("all", all, full, session.Query{})
	list("by age", c.Old, looks, session.Query{CreatedBefore: c.Before})
	list("of a user", c.Users, c.Users/session.MaxPage+2, session.Query{Issuer: c.Issuer, Subject: c.Subject})
	list("of a user of any issuer", c.Users, looks, session.Query{Subject: c.Subject})
	list("of a user, by age", 0, c.Users/20_000+2, session.Query{Issuer: c.Issuer, Subject: c.Subject, CreatedBefore: c.Before})

	begin, before := time.Now(), inUse()
	ended, err := m.EndBefore(t.Context(), c.Before)
	t.Logf("the old ones ended: %d in %v, %d KiB of heap more than before", ended, time.Since(begin).Round(time.Millisecond), (inUse()-before)>>10)
	if ended != c.Old || err != nil {
		t.Errorf("%d sessions were ended, want %d: %v", ended, c.Old, err)
	}
	list("what is left", c.Young, full, session.Query{})
	list("what is left, by age", 0, looks, session.Query{CreatedBefore: c.Before})
	list("what is left of the user", c.Users, c.Users/session.MaxPage+2, session.Query{Issuer: c.Issuer, Subject: c.Subject})
}

// inUse is the heap without what is free to go.
func inUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
