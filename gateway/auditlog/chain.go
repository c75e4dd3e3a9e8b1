// Package auditlog keeps audit records as a stream of their own: in a file that is
// rotated, on the standard output, or at a syslog server. Each record carries a
// number and a hash over itself and the record before it, so that what was removed,
// changed or put elsewhere shows (Verify). What is in a record is up to others.
package auditlog

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"strconv"
	"time"
)

// beginning is the prev of the first record.
var beginning = [sha256.Size]byte{} //nolint:gochecknoglobals // a constant that Go has no form for

// A chain seals records. With a key, its hashes are HMACs (RFC 2104): who can write
// the stream can't make them.
type chain struct {
	key  []byte // nil: plain SHA-256
	seq  uint64 // of the last record
	prev [sha256.Size]byte
}

// chainKey derives the key of the hashes from the secret of the configuration.
func chainKey(secret []byte) ([]byte, error) {
	if len(secret) == 0 {
		return nil, nil
	}
	return hkdf.Key(sha256.New, secret, nil, "sallyport audit chain", sha256.Size)
}

const (
	prevMember = `,"prev":"`
	hashMember = `,"hash":"`
	closing    = `"}`
	hexSize    = 2 * sha256.Size
	// sealSize is the length of what a record ends with after its prev.
	sealSize = len(hashMember) + hexSize + len(closing)
)

// seal appends the line of the next record to b. body is a JSON object on one line
// with at least one member. The chain goes on only with accept.
func (c *chain) seal(b []byte, now time.Time, body []byte) (line []byte, next [sha256.Size]byte) {
	start := len(b)
	b = append(b, `{"seq":`...)
	b = strconv.AppendUint(b, c.seq+1, 10)
	b = append(b, `,"time":"`...)
	b = now.UTC().AppendFormat(b, time.RFC3339Nano)
	b = append(b, `",`...)
	b = append(b, body[1:len(body)-1]...)
	b = append(b, prevMember...)
	b = hex.AppendEncode(b, c.prev[:])
	b = append(b, '"')
	next = digest(c.key, b[start:])
	b = append(b, hashMember...)
	b = hex.AppendEncode(b, next[:])
	return append(b, closing...), next
}

// accept makes the record that was sealed last a part of the chain.
func (c *chain) accept(next [sha256.Size]byte) { c.seq, c.prev = c.seq+1, next }

// digest is the hash over the bytes of a record up to its hash, the hash of the
// record before included.
func digest(key, record []byte) (sum [sha256.Size]byte) {
	var h hash.Hash
	if key == nil {
		h = sha256.New()
	} else {
		h = hmac.New(sha256.New, key)
	}
	h.Write(record)
	h.Sum(sum[:0])
	return sum
}
