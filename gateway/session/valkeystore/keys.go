package valkeystore

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strings"

	"github.com/sallyport/sallyport/gateway/session"
)

// The layout in Valkey (docs/decisions/0002-sessions-in-valkey.md tells why).
// Every key has a hash tag of three characters, one of 16,384, so that what is
// changed together lies in one slot of a cluster; and one letter for its kind:
//
//	sp:{TAG}sREST  string  a session: rest of the key, deflated record
//	sp:{TAG}kREST  string  its provider tokens, sealed
//	sp:{TAG}xREST  string  its tombstone: when it was revoked, ms since 1970
//	sp:{TAG}a      zset    activity: handle -> last use in us since 1970
//	sp:{TAG}u      zset    subjects: hash of the user, handle -> end in hours
//	sp:{TAG}p      zset    provider sessions, likewise
//	sp:{TAG}rREST  string  a record: version, end, value
//	sp:{TAG}fNAME  stream  a feed: name (n), value (v) and end (e, ms) of each entry
//
// TAG and REST of a session spell its handle, the first 12 bytes of its Key, so
// that a member of an index leads to the name; the other bytes of the Key are in
// the value. The tag of a record and of a feed comes from a hash of its name.
type layout struct{ prefix string }

// handleSize is how much of a session.Key is in names and indexes. Among 96 bits
// of SHA-256, a thousand million sessions collide with a chance of one in a
// hundred thousand million; one that does could not be created.
const handleSize = 12

// handle begins a session.Key.
type handle [handleSize]byte

func handleOf(key session.Key) handle { return handle(key[:handleSize]) }

// bucketCount is how many tags there are. A million sessions then make some
// sixty members an index, which Valkey keeps packed (up to 128): 25 bytes a
// member where a key of its own would cost a hundred.
const bucketCount = 1 << bucketBits

const bucketBits = 14

// bucketOf is the number that the first 14 bits spell; buckets in order are
// keys in order.
func bucketOf(h []byte) int { return int(binary.BigEndian.Uint16(h) >> (16 - bucketBits)) }

func (h handle) bucket() int { return bucketOf(h[:]) }

// member is what stands for a session in the activity of its bucket: the first
// byte is known there.
func (h handle) member() string { return string(h[1:]) }

const (
	tagSize  = 3
	restSize = 15 // 11 bytes in base64
)

func appendTag(dst []byte, bucket int) []byte {
	var b [3]byte
	binary.BigEndian.PutUint16(b[:], uint16(bucket)<<(16-bucketBits))
	var text [4]byte
	base64.RawURLEncoding.Encode(text[:], b[:])
	return append(dst, text[:tagSize]...)
}

// bucketKey names what a bucket has once: kinds a, u and p.
func (l layout) bucketKey(bucket int, kind byte) string {
	b := make([]byte, 0, len(l.prefix)+tagSize+4)
	b = append(append(b, l.prefix...), ":{"...)
	return string(append(appendTag(b, bucket), '}', kind))
}

// key names what belongs to one session, or a record.
func (l layout) key(h handle, kind byte) string {
	b := make([]byte, 0, len(l.prefix)+tagSize+restSize+4)
	b = append(append(b, l.prefix...), ":{"...)
	b = append(appendTag(b, h.bucket()), '}', kind)
	return string(base64.RawURLEncoding.AppendEncode(b, h[1:]))
}

func (l layout) session(h handle) string   { return l.key(h, 's') }
func (l layout) tokens(h handle) string    { return l.key(h, 'k') }
func (l layout) tombstone(h handle) string { return l.key(h, 'x') }
func (l layout) activity(h handle) string  { return l.bucketKey(h.bucket(), 'a') }

// keysOf is what the scripts that make or end a session take, in their order.
func (l layout) keysOf(h handle) []string {
	return []string{l.session(h), l.tokens(h), l.tombstone(h), l.activity(h)}
}

var errKeyName = errors.New("not the name of a session")

// parse reads the name of a session. Names come from Valkey's pushes.
func (l layout) parse(name string) (h handle, err error) {
	rest, ok := strings.CutPrefix(name, l.prefix)
	if !ok || len(rest) != len(":{")+tagSize+len("}s")+restSize || rest[:2] != ":{" || rest[5:7] != "}s" {
		return handle{}, errKeyName
	}
	var text [4]byte
	var tag [3]byte
	copy(text[:], rest[2:5])
	text[3] = 'A'
	if _, err := base64.RawURLEncoding.Decode(tag[:], text[:]); err != nil {
		return handle{}, errKeyName
	}
	h[0] = tag[0]
	if _, err := base64.RawURLEncoding.Decode(h[1:], []byte(rest[7:])); err != nil || h.bucket() != bucketOf(tag[:]) {
		return handle{}, errKeyName
	}
	return h, nil
}

// pair is the hash of two strings that belong together, such as issuer and
// subject. It chooses the bucket and begins the member of an index.
type pair [pairSize]byte

const (
	pairSize   = 4
	memberSize = pairSize - 2 + handleSize
)

// pairOf keeps ("a", "bc") and ("ab", "c") apart.
func pairOf(first, second string) pair {
	b := make([]byte, 0, 128)
	b = binary.AppendUvarint(b, uint64(len(first)))
	b = append(append(b, first...), second...)
	sum := sha256.Sum256(b)
	return pair(sum[:pairSize])
}

func (l layout) index(p pair, kind byte) string { return l.bucketKey(bucketOf(p[:]), kind) }

// member is what stands for a session in an index. The first two bytes of the
// pair mostly chose the bucket, and two more leave one stranger in a thousand:
// what is found is read and compared before it counts.
func (p pair) member(h handle) string { return string(p[2:]) + string(h[:]) }

// pattern matches the members of the pair, as ZSCAN wants it: the bytes that
// mean something to Valkey's glob are escaped.
func (p pair) pattern() string {
	b := make([]byte, 0, 2*pairSize)
	for _, c := range p[2:] {
		if c == '*' || c == '?' || c == '[' || c == ']' || c == '\\' {
			b = append(b, '\\')
		}
		b = append(b, c)
	}
	return string(append(b, '*'))
}

// sessionOf returns the session that a member of an index stands for.
func sessionOf(member string) (h handle, ok bool) {
	if len(member) != memberSize {
		return handle{}, false
	}
	return handle([]byte(member[pairSize-2:])), true
}

// recordKey is where a record is.
type recordKey struct {
	handle handle
	name   string
}

// record finds a record. Names are free texts, so a hash stands for them.
func (l layout) record(kind, name string) recordKey {
	sum := sha256.Sum256([]byte(kind + "\x00" + name))
	h := handle(sum[:handleSize])
	rest := base64.RawURLEncoding.EncodeToString(sum[1:])
	return recordKey{handle: h, name: l.bucketKey(h.bucket(), 'r') + rest}
}

// feedKey is where a feed is.
type feedKey struct {
	handle handle
	name   string
}

// feed finds a feed. Its name is a constant, and stays legible.
func (l layout) feed(name string) feedKey {
	sum := sha256.Sum256([]byte(name))
	h := handle(sum[:handleSize])
	return feedKey{handle: h, name: l.bucketKey(h.bucket(), 'f') + name}
}
