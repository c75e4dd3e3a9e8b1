package embedded_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/sallyport/sallyport/gateway/session"
	"github.com/sallyport/sallyport/gateway/session/embedded"
	"github.com/sallyport/sallyport/gateway/session/sessiontest"
)

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// fill creates n sessions with tokens.
func fill(tb testing.TB, s *embedded.Store, n int) {
	tb.Helper()
	for i := range n {
		in := sessiontest.Session(i)
		in.SealedTokens = new(fmt.Appendf(nil, "tokens %d", i))
		must(tb, s.Create(tb.Context(), in))
	}
}

func TestSessionsSurviveARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sallyport.db")
	first, err := embedded.Open(embedded.Options{Path: path})
	must(t, err)
	fill(t, first, 10)
	at := time.Now().Add(time.Minute)
	must(t, first.Touch(t.Context(), sessiontest.Key(1), at))
	_, err = first.Update(t.Context(), sessiontest.Key(2), func(c *session.Session) error {
		c.Identity.Subject, c.Identity.ProviderSession = "renamed", "another"
		return nil
	})
	must(t, err)
	must(t, first.Delete(t.Context(), sessiontest.Key(3)))
	if n, err := first.DeleteSubject(t.Context(), sessiontest.Session(4).Identity.Issuer, sessiontest.Session(4).Identity.Subject); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	_, err = first.SaveRecord(t.Context(), "jti", "seen", 0, []byte("value"), time.Now().Add(time.Hour))
	must(t, err)
	_, err = first.SaveRecord(t.Context(), "jti", "for ever", 0, []byte("value"), time.Time{})
	must(t, err)
	_, err = first.SaveRecord(t.Context(), "jti", "removed", 0, nil, time.Time{})
	must(t, err)
	must(t, first.RemoveRecord(t.Context(), "jti", "removed"))
	must(t, first.Close())

	s := open(t, path)
	if s.Len() != 7 {
		t.Errorf("%d sessions, want 7", s.Len())
	}
	for n := range 10 {
		key := sessiontest.Key(n)
		got, err := s.Get(t.Context(), key)
		if n == 3 || n == 4 || n == 9 {
			if !errors.Is(err, session.ErrNotFound) {
				t.Errorf("deleted session %d came back: %v", n, err)
			}
			continue
		}
		if err != nil || got.Key() != key {
			t.Errorf("session %d: %v", n, err)
			continue
		}
		if tokens, err := s.Tokens(t.Context(), key); string(tokens) != fmt.Sprint("tokens ", n) || err != nil {
			t.Errorf("tokens of %d: %q, %v", n, tokens, err)
		}
	}
	if got, err := s.LastSeen(t.Context(), sessiontest.Key(1)); !got.Equal(at) || err != nil {
		t.Errorf("last seen %v, %v, want %v", got, err, at)
	}
	if got, err := s.LastSeen(t.Context(), sessiontest.Key(2)); time.Since(got) > time.Minute || err != nil {
		t.Errorf("last seen %v, %v, want about now", got, err)
	}
	if n, err := s.DeleteProviderSession(t.Context(), sessiontest.Session(2).Identity.Issuer, "another"); n != 1 || err != nil {
		t.Errorf("the index has %d, %v", n, err)
	}
	if r, err := s.LoadRecord(t.Context(), "jti", "seen"); string(r.Value) != "value" || r.Version != 1 || r.ExpiresAt.IsZero() || err != nil {
		t.Errorf("record %+v, %v", r, err)
	}
	if r, err := s.LoadRecord(t.Context(), "jti", "for ever"); !r.ExpiresAt.IsZero() || err != nil {
		t.Errorf("record %+v, %v", r, err)
	}
	if _, err := s.LoadRecord(t.Context(), "jti", "removed"); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("a removed record came back: %v", err)
	}
}

// copyFile takes the file as a crash at this moment would leave it.
func copyFile(tb testing.TB, path string) string {
	tb.Helper()
	data, err := os.ReadFile(path)
	must(tb, err)
	to := filepath.Join(tb.TempDir(), "copy.db")
	must(tb, os.WriteFile(to, data, 0o600))
	return to
}

func TestWhatWasAnsweredSurvivesAKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sallyport.db")
	s := open(t, path)
	fill(t, s, 20)
	must(t, s.Delete(t.Context(), sessiontest.Key(0)))
	_, err := s.Update(t.Context(), sessiontest.Key(1), func(c *session.Session) error {
		c.Identity.Groups = []string{"demoted"}
		return nil
	})
	must(t, err)
	_, err = s.SaveRecord(t.Context(), "key", "a", 0, []byte("value"), time.Time{})
	must(t, err)

	after := open(t, copyFile(t, path))
	if after.Len() != 19 {
		t.Errorf("%d sessions, want 19", after.Len())
	}
	if _, err := after.Get(t.Context(), sessiontest.Key(0)); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("an ended session came back: %v", err)
	}
	got, err := after.Get(t.Context(), sessiontest.Key(1))
	must(t, err)
	if len(got.Identity.Groups) != 1 || got.Version != 2 {
		t.Errorf("a change was lost: version %d, groups %v", got.Version, got.Identity.Groups)
	}
	if _, err := after.LoadRecord(t.Context(), "key", "a"); err != nil {
		t.Error(err)
	}
}

// Uses are written by a timer, not only at Close.
func TestUsesReachTheFileWhileTheGatewayRuns(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sallyport.db")
	s := open(t, path)
	fill(t, s, 1)
	at := time.Now().Add(time.Minute)
	must(t, s.Touch(t.Context(), sessiontest.Key(0), at))
	deadline := time.Now().Add(20 * time.Second)
	for tick := time.NewTicker(200 * time.Millisecond); ; <-tick.C {
		other, err := embedded.Open(embedded.Options{Path: copyFile(t, path)})
		// A copy taken in the middle of a commit may be no file at all.
		if err == nil {
			seen, err := other.LastSeen(t.Context(), sessiontest.Key(0))
			must(t, err)
			must(t, other.Close())
			if seen.Equal(at) {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatal("not within 20 s")
		}
	}
}

func TestASecondGatewayOnTheSameFileIsToldSo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sallyport.db")
	open(t, path)
	wantOpenError(t, path, "another process has the file open")
}

func wantOpenError(t *testing.T, path string, says ...string) {
	t.Helper()
	s, err := embedded.Open(embedded.Options{Path: path})
	if err == nil {
		t.Errorf("it opened, with %d sessions", s.Len())
		must(t, s.Close())
		return
	}
	if s != nil {
		t.Error("a store beside an error")
	}
	for _, text := range append(says, path) {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("the error does not say %q: %v", text, err)
		}
	}
}

func TestFilesThatAreNoSessionStore(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		must(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	foreign := filepath.Join(dir, "foreign.db")
	later := filepath.Join(dir, "later.db")
	for path, bucket := range map[string]string{foreign: "theirs", later: "meta"} {
		db, err := bolt.Open(path, 0o600, nil)
		must(t, err)
		must(t, db.Update(func(tx *bolt.Tx) error {
			b, err := tx.CreateBucket([]byte(bucket))
			if err != nil {
				return err
			}
			return b.Put([]byte("format"), []byte("2"))
		}))
		must(t, db.Close())
	}
	wantOpenError(t, write("short.db", "x"), "damaged", "move it away")
	wantOpenError(t, write("config.yaml", strings.Repeat("server:\n", 10000)), "damaged", "move it away")
	wantOpenError(t, foreign, "another release", "move the file away")
	wantOpenError(t, later, "another release", `format "2"`)
	wantOpenError(t, dir)
	wantOpenError(t, filepath.Join(dir, "missing", "sallyport.db"), "no such file or directory")
}

func TestATruncatedFileIsAnErrorThatSaysWhatToDo(t *testing.T) {
	data := file(t, 300)
	dir := t.TempDir()
	for size := 1; size < len(data); size += len(data)/40 + 1 {
		path := filepath.Join(dir, fmt.Sprint(size)) // a file found damaged stays locked
		must(t, os.WriteFile(path, data[:size], 0o600))
		s, err := embedded.Open(embedded.Options{Path: path})
		if err == nil {
			// Only free pages were cut off.
			if s.Len() != 300 {
				t.Errorf("cut to %d of %d bytes: %d sessions and no error", size, len(data), s.Len())
			}
			must(t, s.Close())
			continue
		}
		if !strings.Contains(err.Error(), "move it away") {
			t.Errorf("cut to %d of %d bytes: %v", size, len(data), err)
		}
	}
}

// A flipped bit is found, or does not matter; it never changes who someone is,
// and never ends the process.
func TestAFlippedBitInTheFileNeverChangesASession(t *testing.T) {
	data := file(t, 100)
	dir := t.TempDir()
	random := rand.New(rand.NewPCG(1, 2))
	damaged := 0
	var bits []int
	for range 300 {
		bits = append(bits, random.IntN(len(data)*8))
	}
	// The heads of pages, where bbolt keeps how many keys there are and where.
	for page := range len(data) / os.Getpagesize() {
		bits = append(bits, page*os.Getpagesize()*8+random.IntN(16*8), page*os.Getpagesize()*8+80+random.IntN(16))
	}
	for _, bit := range bits {
		path := filepath.Join(dir, fmt.Sprint(bit)) // a file found damaged stays locked
		data[bit/8] ^= 1 << (bit % 8)
		must(t, os.WriteFile(path, data, 0o600))
		data[bit/8] ^= 1 << (bit % 8)

		s, err := embedded.Open(embedded.Options{Path: path})
		if err != nil {
			damaged++
			if !strings.Contains(err.Error(), "move") {
				t.Errorf("bit %d: %v", bit, err)
			}
			continue
		}
		for n := range 100 {
			got, err := s.Get(t.Context(), sessiontest.Key(n))
			if err != nil && errors.Is(err, session.ErrNotFound) {
				t.Errorf("bit %d: session %d vanished", bit, n)
			}
			if err == nil && (got.Identity.Name != "Alice Liddell" || len(got.Identity.Groups) != 5 || got.Identity.Groups[4] != "admin") {
				t.Errorf("bit %d: session %d is now %+v", bit, n, got.Identity)
			}
		}
		must(t, s.Close())
	}
	if damaged == 0 {
		t.Error("no damage was found at all")
	}
}

func TestPagesThatLeadInACircleAreDamage(t *testing.T) {
	data := file(t, 100)
	size, circles := os.Getpagesize(), 0
	for id := range len(data) / size {
		page := data[id*size : (id+1)*size]
		if binary.NativeEndian.Uint64(page) != uint64(id) || binary.NativeEndian.Uint16(page[8:]) != 1 { // a branch
			continue
		}
		child := page[16+8:]
		was := binary.NativeEndian.Uint64(child)
		binary.NativeEndian.PutUint64(child, uint64(id))
		path := filepath.Join(t.TempDir(), "circle.db")
		must(t, os.WriteFile(path, data, 0o600))
		binary.NativeEndian.PutUint64(child, was)
		s, err := embedded.Open(embedded.Options{Path: path})
		if err == nil { // a page that is no longer used
			must(t, s.Close())
			continue
		}
		circles++
		if !strings.Contains(err.Error(), "damaged") || !strings.Contains(err.Error(), "move it away") {
			t.Errorf("page %d: %v", id, err)
		}
	}
	if circles == 0 {
		t.Error("no circle was found")
	}
}

// file returns the bytes of a file with n sessions.
func file(t *testing.T, n int) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sallyport.db")
	s, err := embedded.Open(embedded.Options{Path: path})
	must(t, err)
	fill(t, s, n)
	// bbolt has two headers and falls back to the one before the last commit,
	// as after a crash in the midst of it. That must not cost a session here.
	for i := range 2 {
		_, err := s.SaveRecord(t.Context(), "kind", fmt.Sprint(i), 0, nil, time.Time{})
		must(t, err)
	}
	must(t, s.Close())
	data, err := os.ReadFile(path)
	must(t, err)
	return data
}

func TestTheFileIsForItsOwnerAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sallyport.db")
	s, err := embedded.Open(embedded.Options{Path: path})
	must(t, err)
	must(t, s.Close())
	info, err := os.Stat(path)
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, want 0600", info.Mode().Perm())
	}

	must(t, os.Chmod(path, 0o644))
	core, logs := observer.New(zap.WarnLevel)
	s, err = embedded.Open(embedded.Options{Path: path, Log: zap.New(core)})
	must(t, err)
	must(t, s.Close())
	if logs.FilterMessageSnippet("chmod 600").Len() != 1 {
		t.Errorf("no warning about a file that others can read: %v", logs.All())
	}
}

func TestAClosedStoreIsNotReady(t *testing.T) {
	for _, path := range []string{"", filepath.Join(t.TempDir(), "sallyport.db")} {
		s, err := embedded.Open(embedded.Options{Path: path})
		must(t, err)
		must(t, s.Ping(t.Context()))
		must(t, s.Close())
		if s.Ping(t.Context()) == nil {
			t.Error("it answers")
		}
		must(t, s.Close())
	}
}
