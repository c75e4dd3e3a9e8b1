package sealing

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/sallyport/sallyport/gateway/session"
)

// Kind and Name are those of the record of a ring that the store keeps.
const (
	Kind = "key"
	Name = "sealing"
)

const ringFormat = 1

// ringRecord is such a ring. What the first releases kept is the secret alone.
type ringRecord struct {
	Version int      `json:"version"`
	Keys    [][]byte `json:"keys"` // the first seals
}

// DecodeStored reads the secrets of a ring that a store keeps.
func DecodeStored(value []byte) ([][]byte, error) {
	if len(value) == session.KeySize {
		return [][]byte{value}, nil
	}
	var r ringRecord
	if err := json.Unmarshal(value, &r); err != nil {
		return nil, errors.New("sealing: the keys in the store can't be read") // the decoder's words could quote a key
	}
	if r.Version != ringFormat {
		return nil, fmt.Errorf("sealing: the keys in the store have format %d, this release knows %d", r.Version, ringFormat)
	}
	return r.Keys, nil
}

// loadStored loads the ring that the store keeps, and makes it at the first start.
// Two that start at once agree: the loser reads the winner's.
func loadStored(ctx context.Context, records session.Records) (secrets [][]byte, version uint64, err error) {
	for {
		record, err := records.LoadRecord(ctx, Kind, Name)
		if err == nil {
			secrets, err = DecodeStored(record.Value)
			return secrets, record.Version, err
		}
		if !errors.Is(err, session.ErrNotFound) {
			return nil, 0, fmt.Errorf("sealing key: %w", err)
		}
		secret, err := fresh(nil)
		if err != nil {
			return nil, 0, err
		}
		err = saveStored(ctx, records, [][]byte{secret}, 0)
		if err != nil && !errors.Is(err, session.ErrConflict) {
			return nil, 0, fmt.Errorf("sealing key: %w", err)
		}
	}
}

func saveStored(ctx context.Context, records session.Records, secrets [][]byte, version uint64) error {
	value, err := json.Marshal(ringRecord{Version: ringFormat, Keys: secrets})
	if err != nil {
		return err
	}
	_, err = records.SaveRecord(ctx, Kind, Name, version, value, time.Time{})
	return err
}

// fresh draws a secret until its name clashes with none of those.
func fresh(taken []session.KeyName) ([]byte, error) {
	for {
		secret := make([]byte, session.KeySize)
		rand.Read(secret)
		name, err := session.NameKey(secret)
		if err != nil {
			return nil, err
		}
		free := true
		for _, other := range taken {
			free = free && !name.Clashes(other)
		}
		if free {
			return secret, nil
		}
	}
}

// contents are the files of the keys as they were read.
type contents struct {
	texts [][]byte
	times []time.Time // of their last modification
}

// readFiles reads all of them.
func readFiles(files []string, read func(string) ([]byte, error)) (c contents, err error) {
	for i, file := range files {
		text, err := read(file)
		if err != nil {
			return contents{}, &FileError{i, err}
		}
		var at time.Time
		if info, err := os.Stat(file); err == nil {
			at = info.ModTime()
		}
		c.texts, c.times = append(c.texts, bytes.Clone(text)), append(c.times, at)
	}
	return c, nil
}

// origin is where a key of a ring from files comes from.
type origin struct {
	file string
	at   time.Time
}

// ring makes a ring of what the files hold.
func (c *contents) ring(files []string) (*session.Keyring, map[session.KeyName]origin, error) {
	var secrets [][]byte
	var origins []origin
	for i, text := range c.texts {
		of, err := session.ParseKeys(string(text))
		if err != nil {
			return nil, nil, &FileError{i, err}
		}
		for _, secret := range of {
			secrets, origins = append(secrets, secret), append(origins, origin{files[i], c.times[i]})
		}
	}
	ring, err := session.NewKeyring(secrets...)
	if err != nil {
		return nil, nil, err
	}
	of := make(map[session.KeyName]origin, len(secrets))
	for i, name := range ring.Names() {
		of[name] = origins[i]
	}
	return ring, of, nil
}

// RingFromFiles makes a ring of files that hold a secret a line, of which the
// first seals. The error is a *FileError where one of them is at fault.
func RingFromFiles(files []string, read func(string) ([]byte, error)) (*session.Keyring, error) {
	c, err := readFiles(files, read)
	if err != nil {
		return nil, err
	}
	ring, _, err := c.ring(files)
	return ring, err
}
