package embedded

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/sallyport/sallyport/gateway/session"
)

// feedID is where an entry is in the file.
type feedID struct{ feed, name string }

var errFeedName = errors.New("session store: a feed's name has a NUL")

func (id feedID) check(e session.FeedEntry) error {
	if strings.IndexByte(id.feed, 0) >= 0 {
		return errFeedName
	}
	return e.Check(id.feed)
}

func (id feedID) key() []byte { return append(append([]byte(id.feed), 0), id.name...) }

func putFeedEntry(tx *bolt.Tx, id feedID, e placed) error {
	b := make([]byte, checksumSize, feedSize+len(e.Value))
	b = binary.BigEndian.AppendUint64(b, e.place)
	b = binary.BigEndian.AppendUint64(b, uint64(nanos(e.ExpiresAt)))
	key := id.key()
	return put(inFeeds(tx), key, seal(key, append(b, e.Value...)))
}

// eachFeedEntry yields every entry, in the order of feeds and names.
func eachFeedEntry(tx *bolt.Tx, yield func(feed string, e placed)) error {
	c := inFeeds(tx).Cursor()
	var last []byte
	var n uint64
	for k, v := c.First(); k != nil; k, v = c.Next() {
		feed, name, ok := bytes.Cut(k, []byte{0})
		if !ok || len(v) <= feedSize || !sealed(k, v) || last != nil && bytes.Compare(k, last) <= 0 {
			return errDamaged
		}
		last = k
		e := placed{place: binary.BigEndian.Uint64(v[checksumSize:])}
		e.Name, e.Value = string(name), bytes.Clone(v[feedSize:])
		if at := int64(binary.BigEndian.Uint64(v[checksumSize+8:])); at != 0 {
			e.ExpiresAt = time.Unix(0, at)
		}
		yield(string(feed), e)
		n++
	}
	return complete(inFeeds(tx), n)
}
