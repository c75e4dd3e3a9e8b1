package embedded

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/sallyport/sallyport/gateway/session"
)

// The file: bucket meta with the format, and five of data. Numbers are big
// endian, times unix nanoseconds.
//
//	sessions  key          -> checksum, expires, idle, created, seen, subject hash, provider session hash, record
//	tokens    key          -> sealed tokens
//	seen      key          -> last use, where later than in sessions
//	records   kind 0 name  -> checksum, version, expires (0: never), value
//	feeds     feed 0 name  -> checksum, place in the feed, expires (0: never), value
//
// The header of a session is what the indexes need, so that opening decodes no
// record. bbolt checks its own pages only in part: without a checksum of ours a
// flipped bit could make someone an administrator, and without a count of what
// is in a bucket, which its sequence number holds, it could hide some of it.
const format = "1"

const (
	checksumSize = 4
	sessionSize  = checksumSize + 6*8
	recordSize   = checksumSize + 2*8
	feedSize     = checksumSize + 2*8
)

var (
	errOtherFormat = errors.New("written by another release of Sallyport")
	errDamaged     = errors.New("contents do not match their checksums or count")
)

// Bucket names. Functions, because a slice cannot be constant.
func inMeta(tx *bolt.Tx) *bolt.Bucket     { return tx.Bucket([]byte("meta")) }
func inSessions(tx *bolt.Tx) *bolt.Bucket { return tx.Bucket([]byte("sessions")) }
func inTokens(tx *bolt.Tx) *bolt.Bucket   { return tx.Bucket([]byte("tokens")) }
func inSeen(tx *bolt.Tx) *bolt.Bucket     { return tx.Bucket([]byte("seen")) }
func inRecords(tx *bolt.Tx) *bolt.Bucket  { return tx.Bucket([]byte("records")) }
func inFeeds(tx *bolt.Tx) *bolt.Bucket    { return tx.Bucket([]byte("feeds")) }

// examine tells whether the file is new, and refuses another format.
func examine(tx *bolt.Tx) (isNew bool, err error) {
	meta := inMeta(tx)
	if meta == nil {
		if name, _ := tx.Cursor().First(); name != nil {
			return false, fmt.Errorf("bucket %.20q: %w", name, errOtherFormat)
		}
		return true, nil
	}
	if got := meta.Get([]byte("format")); string(got) != format {
		return false, fmt.Errorf("format %.20q: %w", got, errOtherFormat)
	}
	if inSessions(tx) == nil || inTokens(tx) == nil || inSeen(tx) == nil || inRecords(tx) == nil {
		return false, errDamaged
	}
	if hadFeeds(tx) && inFeeds(tx) == nil {
		return false, errDamaged
	}
	return false, nil
}

// hadFeeds tells a file that lost its feeds from one of a release that had none,
// which gets an empty one and stays readable for that release.
func hadFeeds(tx *bolt.Tx) bool { return inMeta(tx).Get([]byte("feeds")) != nil }

func addFeeds(tx *bolt.Tx) error {
	if _, err := tx.CreateBucketIfNotExists([]byte("feeds")); err != nil {
		return err
	}
	return inMeta(tx).Put([]byte("feeds"), []byte("1"))
}

func create(tx *bolt.Tx) error {
	for _, name := range []string{"meta", "sessions", "tokens", "seen", "records"} {
		if _, err := tx.CreateBucket([]byte(name)); err != nil {
			return err
		}
	}
	return errors.Join(addFeeds(tx), inMeta(tx).Put([]byte("format"), []byte(format)))
}

// stored is a session as the file holds it.
type stored struct {
	expires, idle, created, seen int64
	subject, provider            uint64
	record                       string
}

func (s *stored) encode(key session.Key) []byte {
	b := make([]byte, checksumSize, sessionSize+len(s.record))
	for _, v := range [...]uint64{uint64(s.expires), uint64(s.idle), uint64(s.created), uint64(s.seen), s.subject, s.provider} {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	return seal(key[:], append(b, s.record...))
}

func decodeStored(key, value []byte) (stored, error) {
	if len(key) != len(session.Key{}) || len(value) <= sessionSize || !sealed(key, value) {
		return stored{}, errDamaged
	}
	at := func(i int) uint64 { return binary.BigEndian.Uint64(value[checksumSize+8*i:]) }
	return stored{
		expires: int64(at(0)), idle: int64(at(1)), created: int64(at(2)), seen: int64(at(3)),
		subject: at(4), provider: at(5),
		record: string(value[sessionSize:]),
	}, nil
}

// seal puts the checksum of key and value into the room left for it.
func seal(key, value []byte) []byte {
	binary.BigEndian.PutUint32(value, checksum(key, value))
	return value
}

func sealed(key, value []byte) bool { return binary.BigEndian.Uint32(value) == checksum(key, value) }

func checksum(key, value []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	return crc32.Update(crc32.Checksum(key, table), table, value[checksumSize:])
}

// put and remove keep count of what a bucket holds.
func put(b *bolt.Bucket, key, value []byte) error {
	if b.Get(key) == nil {
		if err := b.SetSequence(b.Sequence() + 1); err != nil {
			return err
		}
	}
	return b.Put(key, value)
}

func remove(b *bolt.Bucket, key []byte) error {
	if b.Get(key) == nil {
		return nil
	}
	return errors.Join(b.SetSequence(b.Sequence()-1), b.Delete(key))
}

// complete fails unless n is what the bucket should hold.
func complete(b *bolt.Bucket, n uint64) error {
	if b.Sequence() != n {
		return errDamaged
	}
	return nil
}

// putSession writes a session. tokens nil leaves those that are kept; empty
// tokens remove them.
func putSession(tx *bolt.Tx, key session.Key, value, tokens []byte) error {
	if err := put(inSessions(tx), key[:], value); err != nil {
		return err
	}
	switch {
	case tokens == nil:
		return nil
	case len(tokens) == 0:
		return inTokens(tx).Delete(key[:])
	}
	return inTokens(tx).Put(key[:], tokens)
}

func deleteSession(tx *bolt.Tx, key session.Key) error {
	return errors.Join(remove(inSessions(tx), key[:]), inTokens(tx).Delete(key[:]), inSeen(tx).Delete(key[:]))
}

func writeSeen(tx *bolt.Tx, touched []*entry) error {
	for _, e := range touched {
		// First the flag: a use that comes after this is written next time.
		e.dirty.Store(false)
		if e.gone.Load() {
			continue
		}
		if err := inSeen(tx).Put(e.key[:], binary.BigEndian.AppendUint64(nil, uint64(e.seen.Load()))); err != nil {
			return err
		}
	}
	return nil
}

// eachSession yields every session in the order of keys, with its last use.
func eachSession(tx *bolt.Tx, yield func(session.Key, stored)) error {
	seen := inSeen(tx).Cursor()
	seenKey, seenValue := seen.First()
	var last []byte
	var n uint64
	c := inSessions(tx).Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		s, err := decodeStored(k, v)
		if err != nil {
			return err
		}
		// A damaged tree can lead in circles; keys out of order tell.
		if last != nil && bytes.Compare(k, last) <= 0 {
			return errDamaged
		}
		last = k
		for seenKey != nil && bytes.Compare(seenKey, k) < 0 {
			seenKey, seenValue = seen.Next()
		}
		if bytes.Equal(seenKey, k) && len(seenValue) == 8 {
			s.seen = max(s.seen, int64(binary.BigEndian.Uint64(seenValue)))
		}
		yield(session.Key(k), s)
		n++
	}
	return complete(inSessions(tx), n)
}

func recordKey(id recordID) []byte {
	return append(append([]byte(id.kind), 0), id.name...)
}

func encodeRecord(key []byte, r session.Record) []byte {
	b := make([]byte, checksumSize, recordSize+len(r.Value))
	b = binary.BigEndian.AppendUint64(b, r.Version)
	b = binary.BigEndian.AppendUint64(b, uint64(nanos(r.ExpiresAt)))
	return seal(key, append(b, r.Value...))
}

func eachRecord(tx *bolt.Tx, yield func(recordID, session.Record)) error {
	c := inRecords(tx).Cursor()
	var last []byte
	var n uint64
	for k, v := c.First(); k != nil; k, v = c.Next() {
		kind, name, ok := bytes.Cut(k, []byte{0})
		if !ok || len(v) < recordSize || !sealed(k, v) || last != nil && bytes.Compare(k, last) <= 0 {
			return errDamaged
		}
		last = k
		r := session.Record{Version: binary.BigEndian.Uint64(v[checksumSize:]), Value: bytes.Clone(v[recordSize:])}
		if at := int64(binary.BigEndian.Uint64(v[checksumSize+8:])); at != 0 {
			r.ExpiresAt = time.Unix(0, at)
		}
		yield(recordID{string(kind), string(name)}, r)
		n++
	}
	return complete(inRecords(tx), n)
}

// nanos is 0 for the zero time.
func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}
