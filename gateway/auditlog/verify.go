package auditlog

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// record is what the chain needs of a line.
type record struct {
	seq        uint64
	prev, hash [sha256.Size]byte
	sealed     []byte // what the hash is over
}

// parse reads a line without its line feed.
func parse(line []byte) (*record, error) {
	var members struct {
		Seq        uint64 `json:"seq"`
		Prev, Hash string
	}
	if err := json.Unmarshal(line, &members); err != nil {
		return nil, errors.New("not JSON")
	}
	r := &record{seq: members.Seq}
	for _, h := range []struct {
		text string
		to   *[sha256.Size]byte
	}{{members.Prev, &r.prev}, {members.Hash, &r.hash}} {
		if n, err := hex.Decode(h.to[:], []byte(h.text)[:min(len(h.text), hexSize)]); err != nil || n != sha256.Size || len(h.text) != hexSize {
			return nil, errors.New("without prev and hash")
		}
	}
	if r.seq == 0 || len(line) < sealSize || !bytes.HasPrefix(line[len(line)-sealSize:], []byte(hashMember)) {
		return nil, errors.New("not in the form in which it was written")
	}
	r.sealed = line[:len(line)-sealSize]
	return r, nil
}

// Summary is what Verify saw.
type Summary struct {
	Records     int
	First, Last uint64 // numbers of records
	Head        string // the hash of the last record
	Chains      int    // 1, or more with restarts
}

// BreakError is where a stream is not what was written.
type BreakError struct {
	File string
	Line int // from 1
	What string
}

// Error says where and what.
func (b *BreakError) Error() string { return fmt.Sprintf("%s line %d: %s", b.File, b.Line, b.What) }

// A Verifier reads the files of a stream in their order. It stops at the first
// break.
type Verifier struct {
	Summary
	key      []byte
	restarts bool
	prev     *record
}

// NewVerifier makes a Verifier for streams that were written with the secret.
// restarts says that chains may begin anew, as they do with each process where the
// stream is no file.
func NewVerifier(secret []byte, restarts bool) (*Verifier, error) {
	key, err := chainKey(secret)
	if err != nil {
		return nil, err
	}
	return &Verifier{key: key, restarts: restarts}, nil
}

// Read goes on with a file. Its error is a *BreakError, or one of reading.
func (v *Verifier) Read(name string, r io.Reader) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxRecord)
	n := 0
	for lines.Scan() {
		n++
		if what := v.line(bytes.Clone(lines.Bytes())); what != "" {
			return &BreakError{name, n, what}
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return &BreakError{name, n + 1, "the line is too long for a record"}
	}
	return lines.Err()
}

// line takes the next line, and says what is wrong with it.
func (v *Verifier) line(line []byte) string {
	r, err := parse(line)
	if err != nil {
		return "the line is no audit record: " + err.Error()
	}
	if digest(v.key, r.sealed) != r.hash {
		return fmt.Sprintf("record %d was changed, or was written with another key", r.seq)
	}
	begins := r.seq == 1 && r.prev == beginning
	switch {
	case v.prev == nil || begins && v.restarts:
		v.Chains++
	case begins:
		return fmt.Sprintf("a new stream begins after record %d", v.prev.seq)
	case r.seq > v.prev.seq+1:
		return fmt.Sprintf("%d records are missing between %d and %d", r.seq-v.prev.seq-1, v.prev.seq, r.seq)
	case r.seq <= v.prev.seq:
		return fmt.Sprintf("record %d stands after record %d: moved or repeated", r.seq, v.prev.seq)
	case r.prev != v.prev.hash:
		return fmt.Sprintf("record %d does not follow this record %d: one of them was exchanged", r.seq, v.prev.seq)
	}
	if v.Records == 0 {
		v.First = r.seq
	}
	v.Records++
	v.Last, v.Head, v.prev = r.seq, hex.EncodeToString(r.hash[:]), r
	return ""
}
