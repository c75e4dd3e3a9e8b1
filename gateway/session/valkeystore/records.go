package valkeystore

import (
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"time"

	"github.com/valkey-io/valkey-go"

	"github.com/sallyport/sallyport/gateway/session"
)

// A record's value is its version and its end (ms since 1970, 0: never), 8 bytes
// each, big endian, and what it holds.
const recordHead = 16

// maxRecordName bounds kind and name together, as the embedded store does.
const maxRecordName = 4096

var errRecordName = errors.New("session store: a record's kind is empty, has a NUL, or is too long with its name")

func checkRecord(kind, name string) error {
	if kind == "" || strings.IndexByte(kind, 0) >= 0 || len(kind)+len(name) > maxRecordName {
		return errRecordName
	}
	return nil
}

// LoadRecord implements session.Records. Ends are kept to the millisecond.
func (s *Store) LoadRecord(ctx context.Context, kind, name string) (session.Record, error) {
	key := s.layout.record(kind, name)
	value, err := call(ctx, s, "load_record", key.handle, func(ctx context.Context, c valkey.Client) (string, error) {
		return orNotFound(c.Do(ctx, c.B().Get().Key(key.name).Build()).ToString())
	})
	if err != nil {
		return session.Record{}, err
	}
	if len(value) < recordHead {
		return session.Record{}, errValue
	}
	head := []byte(value[:recordHead])
	r := session.Record{Value: []byte(value[recordHead:]), Version: binary.BigEndian.Uint64(head)}
	if ms := int64(binary.BigEndian.Uint64(head[8:])); ms != 0 {
		if r.ExpiresAt = time.UnixMilli(ms); !time.Now().Before(r.ExpiresAt) {
			return session.Record{}, session.ErrNotFound
		}
	}
	return r, nil
}

// SaveRecord implements session.Records.
func (s *Store) SaveRecord(ctx context.Context, kind, name string, version uint64, value []byte, expires time.Time) (uint64, error) {
	if err := checkRecord(kind, name); err != nil {
		return 0, err
	}
	key := s.layout.record(kind, name)
	end, lives := int64(0), "0"
	if !expires.IsZero() {
		end, lives = expires.UnixMilli(), life(expires)
	}
	b := make([]byte, 0, recordHead+len(value))
	b = binary.BigEndian.AppendUint64(b, version+1)
	b = binary.BigEndian.AppendUint64(b, uint64(end))
	expected := string(binary.BigEndian.AppendUint64(nil, version))
	saved, err := s.script(ctx, "save_record", key.handle, scripts.save, []string{key.name}, []string{expected, string(append(b, value...)), lives})
	switch {
	case err != nil:
		return 0, err
	case saved == 0:
		return 0, session.ErrConflict
	}
	return version + 1, nil
}

// RemoveRecord implements session.Records.
func (s *Store) RemoveRecord(ctx context.Context, kind, name string) error {
	key := s.layout.record(kind, name)
	_, err := call(ctx, s, "remove_record", key.handle, func(ctx context.Context, c valkey.Client) (int64, error) {
		return c.Do(ctx, c.B().Del().Key(key.name).Build()).AsInt64()
	})
	return err
}
