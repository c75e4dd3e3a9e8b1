package embedded

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/sallyport/sallyport/gateway/session"
	"github.com/sallyport/sallyport/gateway/session/sessiontest"
)

// disk is a file that can refuse to be written, and take it up again.
type disk struct {
	t      *testing.T
	path   string
	handle *os.File
	backup int
}

func openOn(t *testing.T, o Options) (*Store, *disk) {
	t.Helper()
	d := &disk{t: t, path: filepath.Join(t.TempDir(), "sallyport.db")}
	o.Path = d.path
	o.bolt.OpenFile = func(name string, flag int, mode os.FileMode) (*os.File, error) {
		var err error
		d.handle, err = os.OpenFile(name, flag, mode)
		return d.handle, err
	}
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return s, d
}

// fail puts a read-only handle in the place of the file's.
func (d *disk) fail() {
	d.t.Helper()
	readOnly, err := os.Open(d.path)
	if err != nil {
		d.t.Fatal(err)
	}
	defer readOnly.Close()
	if d.backup, err = syscall.Dup(int(d.handle.Fd())); err != nil {
		d.t.Fatal(err)
	}
	d.replace(int(readOnly.Fd()))
}

func (d *disk) heal() {
	d.t.Helper()
	d.replace(d.backup)
	if err := syscall.Close(d.backup); err != nil {
		d.t.Fatal(err)
	}
}

func (d *disk) replace(by int) {
	d.t.Helper()
	if err := syscall.Dup3(by, int(d.handle.Fd()), syscall.O_CLOEXEC); err != nil {
		d.t.Fatal(err)
	}
}

func reopen(t *testing.T, s *Store, d *disk) *Store {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Open(Options{Path: d.path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = again.Close() })
	return again
}

func TestWhatCannotBeWrittenIsNotSeen(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	s, d := openOn(t, Options{Log: zap.New(core)})
	must(t, s.Create(t.Context(), sessiontest.Session(1)))
	d.fail()
	wantOutage(t, "create", s.Create(t.Context(), sessiontest.Session(2)))
	wantAbsent(t, s, 2)
	_, err := s.Update(t.Context(), sessiontest.Key(1), func(c *session.Session) error {
		c.Identity.Name = "Mallory"
		return nil
	})
	wantOutage(t, "update", err)
	wantName(t, s, 1, "Alice Liddell")
	_, err = s.SaveRecord(t.Context(), "jti", "x", 0, nil, time.Time{})
	wantOutage(t, "save record", err)
	if _, err := s.LoadRecord(t.Context(), "jti", "x"); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("record: %v", err)
	}
	// Who is signed in stays so, and the gateway stays ready.
	must(t, s.Ping(t.Context()))
	at := time.Now().Add(time.Minute)
	must(t, s.Touch(t.Context(), sessiontest.Key(1), at))

	d.heal()
	must(t, s.Create(t.Context(), sessiontest.Session(2)))
	s = reopen(t, s, d)
	wantName(t, s, 1, "Alice Liddell")
	wantName(t, s, 2, "Alice Liddell")
	if seen, err := s.LastSeen(t.Context(), sessiontest.Key(1)); !seen.Equal(at) || err != nil {
		t.Errorf("last seen %v, %v, want %v", seen, err, at)
	}
	if n := logs.FilterMessageSnippet("cannot be written").Len(); n != 1 {
		t.Errorf("%d log lines about the failure, want 1", n)
	}
	if n := logs.FilterMessageSnippet("can be written again").Len(); n != 1 {
		t.Errorf("%d log lines about the recovery, want 1", n)
	}
}

func TestAUseThatCouldNotBeWrittenIsWrittenLater(t *testing.T) {
	core, logs := observer.New(zap.ErrorLevel)
	s, d := openOn(t, Options{Log: zap.New(core)})
	must(t, s.Create(t.Context(), sessiontest.Session(1)))
	d.fail()
	at := time.Now().Add(time.Minute)
	must(t, s.Touch(t.Context(), sessiontest.Key(1), at))
	for deadline := time.Now().Add(20 * time.Second); logs.Len() == 0; <-time.After(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nothing was written within 20 s")
		}
	}
	d.heal()
	s = reopen(t, s, d)
	if seen, err := s.LastSeen(t.Context(), sessiontest.Key(1)); !seen.Equal(at) || err != nil {
		t.Errorf("last seen %v, %v, want %v", seen, err, at)
	}
}

func TestRevocationHoldsAtOnceThoughTheDiskFails(t *testing.T) {
	s, d := openOn(t, Options{})
	for n := range 5 {
		must(t, s.Create(t.Context(), sessiontest.Session(n)))
	}
	_, err := s.SaveRecord(t.Context(), "apikey", "x", 0, nil, time.Time{})
	must(t, err)
	d.fail()
	wantOutage(t, "delete", s.Delete(t.Context(), sessiontest.Key(0)))
	wantAbsent(t, s, 0)
	in := sessiontest.Session(1)
	n, err := s.DeleteSubject(t.Context(), in.Identity.Issuer, in.Identity.Subject)
	wantOutage(t, "delete subject", err)
	if n != 1 {
		t.Errorf("%d deleted, want 1", n)
	}
	wantAbsent(t, s, 1)
	wantOutage(t, "remove record", s.RemoveRecord(t.Context(), "apikey", "x"))
	if _, err := s.LoadRecord(t.Context(), "apikey", "x"); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("record: %v", err)
	}
	// Trying again does not report a success that a restart would undo.
	wantOutage(t, "delete again", s.Delete(t.Context(), sessiontest.Key(0)))
	_, err = s.DeleteSubject(t.Context(), in.Identity.Issuer, in.Identity.Subject)
	wantOutage(t, "delete subject again", err)

	d.heal()
	must(t, s.Delete(t.Context(), sessiontest.Key(0)))
	s = reopen(t, s, d)
	wantAbsent(t, s, 0)
	wantAbsent(t, s, 1)
	wantName(t, s, 2, "Alice Liddell")
	if _, err := s.LoadRecord(t.Context(), "apikey", "x"); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("a removed record came back: %v", err)
	}
}

// What is published is mostly a revocation, and holds like one.
func TestAnEntryIsHeardAtOnceThoughTheDiskFails(t *testing.T) {
	s, d := openOn(t, Options{})
	f := sessiontest.Follow(t, s, "revoked")
	d.fail()
	wantOutage(t, "publish", s.Publish(t.Context(), "revoked", session.FeedEntry{Name: "a", Value: []byte("1")}))
	f.WaitConfirmed(t)
	if heard := f.Heard(); len(heard) != 1 {
		t.Errorf("heard %q", heard)
	}
	d.heal()
	sessiontest.Publish(t, s, "revoked", "b", "2", 0)
	f.End()
	s = reopen(t, s, d)
	again := sessiontest.Follow(t, s, "revoked")
	again.WaitConfirmed(t)
	if diff := cmp.Diff([]string{"1", "2"}, again.Heard()); diff != "" {
		t.Error(diff)
	}
	again.End()
}

func TestAKeyTakenAgainOutlivesTheOldDeletion(t *testing.T) {
	s, d := openOn(t, Options{})
	must(t, s.Create(t.Context(), sessiontest.Session(1)))
	_, err := s.SaveRecord(t.Context(), "lease", "x", 0, []byte("old"), time.Time{})
	must(t, err)
	d.fail()
	wantOutage(t, "delete", s.Delete(t.Context(), sessiontest.Key(1)))
	wantOutage(t, "remove record", s.RemoveRecord(t.Context(), "lease", "x"))
	d.heal()
	must(t, s.Create(t.Context(), sessiontest.Session(1)))
	_, err = s.SaveRecord(t.Context(), "lease", "x", 0, []byte("new"), time.Time{})
	must(t, err)
	s = reopen(t, s, d)
	wantName(t, s, 1, "Alice Liddell")
	if r, err := s.LoadRecord(t.Context(), "lease", "x"); string(r.Value) != "new" || err != nil {
		t.Errorf("%q, %v", r.Value, err)
	}
}

func TestCloseSaysThatADeletionIsNotOnTheDisk(t *testing.T) {
	s, d := openOn(t, Options{})
	must(t, s.Create(t.Context(), sessiontest.Session(1)))
	d.fail()
	wantOutage(t, "delete", s.Delete(t.Context(), sessiontest.Key(1)))
	if err := s.Close(); err == nil {
		t.Error("it says that all is well")
	}
	must(t, syscall.Close(d.backup))
}

func TestAFullDiskRefusesSignInAndKeepsSessions(t *testing.T) {
	s, d := openOn(t, Options{bolt: bolt.Options{MaxSize: 1 << 20, InitialMmapSize: 1 << 20}})
	var err error
	n := 0
	for ; n < 10000 && err == nil; n++ {
		err = s.Create(t.Context(), sessiontest.Session(n))
	}
	wantOutage(t, "create", err)
	full := n - 1
	wantAbsent(t, s, full)
	if s.Len() != full {
		t.Errorf("%d sessions, want %d", s.Len(), full)
	}
	must(t, s.Ping(t.Context()))
	s = reopen(t, s, d)
	if s.Len() != full {
		t.Errorf("%d sessions after a restart, want %d", s.Len(), full)
	}
	must(t, s.Create(t.Context(), sessiontest.Session(full)))
}

// A panic of bbolt must not leave requests waiting for its locks.
func TestDamageFoundWhileRunningIsAnOutage(t *testing.T) {
	s, _ := openOn(t, Options{})
	must(t, s.Create(t.Context(), sessiontest.Session(1)))
	wantOutage(t, "a panic in a commit", s.wait(t.Context(), s.change(&op{
		write: func(*bolt.Tx) error { panic("page 7: unexpected page type") },
		done:  func(error) {},
	})))
	wantOutage(t, "create", s.Create(t.Context(), sessiontest.Session(2)))
	_, err := s.Tokens(t.Context(), sessiontest.Key(1))
	wantOutage(t, "tokens", err)
	wantOutage(t, "ping", s.Ping(t.Context()))
	wantName(t, s, 1, "Alice Liddell")
	if err := s.Close(); err == nil {
		t.Error("it closed as if all were well")
	}
}
