package session

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/sallyport/sallyport/gateway/identity"
)

// recordVersion leads every record. It changes only when an older release could
// misread the record; then a release that reads both comes before the one that
// writes the new one. New fields go to the end, where older releases ignore
// them. docs/decisions/0001-session-record-codec.md tells why the format is
// our own.
//
//	version  byte
//	flags    byte
//	counter  uvarint    Session.Version
//	created  varint     nanoseconds since 1970
//	expires  varint     nanoseconds after created
//	idle     varint     nanoseconds
//	auth     varint     nanoseconds after created; only with flagAuthTime
//	strings  provider, provider session, issuer, subject, email, name,
//	         preferred user name, acr, method
//	lists    groups, amr: uvarint count, strings
//	claims   uvarint count, then name and value
//	grant    only with flagGrant: see codec_grant.go
//	fields   what was added later: see codec_fields.go
const recordVersion = 1

const (
	flagEmailVerified = 1 << iota
	flagAuthTime
	flagGrant
)

// maxClaimDepth bounds the nesting of a claim on both ways, so that no record
// can exhaust the stack.
const maxClaimDepth = 32

var (
	errNoIdentity  = errors.New("session: record: no identity, or one without a subject")
	errTime        = errors.New("session: record: a time is missing or out of range")
	errClaimType   = errors.New("not a JSON value")
	errClaimDepth  = errors.New("nested too deep")
	errRecordShort = errors.New("session: record: damaged")
)

// Marshal encodes what Get returns of a session: all but the key, the sealed
// tokens and the activity. Times keep their nanoseconds. It fails for a session
// without a subject, start or end, and for claims that are no JSON values.
//
// Claims are normalised to what JSON decodes to: whole numbers of any Go type
// become float64 where that is exact, and json.Number beyond 2^53, where
// float64 would change them; []string becomes []any. Empty groups, AMR and
// claims come back as nil.
func Marshal(s *Session) ([]byte, error) {
	id := s.Identity
	if id == nil || id.Subject == "" {
		return nil, errNoIdentity
	}
	if s.Created == 0 || !storable(s.ExpiresAt()) {
		return nil, errTime
	}
	var flags byte
	if id.EmailVerified {
		flags |= flagEmailVerified
	}
	if !id.AuthTime.IsZero() {
		if !storable(id.AuthTime) {
			return nil, errTime
		}
		flags |= flagAuthTime
	}
	if s.Grant != (Grant{}) {
		flags |= flagGrant
	}

	// Differences wrap around on both ways alike, so none can overflow.
	created := s.Created
	w := writer{buf: append(make([]byte, 0, 512), recordVersion, flags)}
	w.buf = binary.AppendUvarint(w.buf, s.Version)
	w.buf = binary.AppendVarint(w.buf, created)
	w.buf = binary.AppendVarint(w.buf, s.ExpiresAt().UnixNano()-created)
	w.buf = binary.AppendVarint(w.buf, int64(s.IdleTimeout))
	if flags&flagAuthTime != 0 {
		w.buf = binary.AppendVarint(w.buf, id.AuthTime.UnixNano()-created)
	}
	for _, text := range [...]string{
		s.Provider, id.ProviderSession, id.Issuer, id.Subject, id.Email, id.Name, id.PreferredUsername, id.ACR, id.Method,
	} {
		w.text(text)
	}
	w.texts(id.Groups)
	w.texts(id.AMR)
	if err := w.claims(id.Claims); err != nil {
		return nil, err
	}
	if flags&flagGrant != 0 {
		w.grant(&s.Grant, created)
	}
	w.fields(s)
	return w.buf, nil
}

// storable reports whether nanoseconds since 1970 in 64 bits hold t.
func storable(t time.Time) bool {
	return !t.IsZero() && time.Unix(0, t.UnixNano()).Equal(t)
}

// Unmarshal decodes a record that Marshal made for the session under key, with
// an identity complete with Ref, ExpiresAt and Memo. An unknown version and a
// damaged record are errors, and never ErrNotFound: the session may well exist.
//
// The session keeps a copy of the strings and the encoded claims. Claims are
// decoded when asked for: see identity.Claims.
func Unmarshal(key Key, data []byte) (*Session, error) {
	h, err := readHead(data)
	if err != nil {
		return nil, err
	}
	return h.session(key, reader{record: string(data[h.size:])})
}

// UnmarshalString is Unmarshal for a caller that keeps the record: the strings
// and claims of the session are parts of it rather than copies.
func UnmarshalString(key Key, record string) (*Session, error) {
	h, err := readHead(record)
	if err != nil {
		return nil, err
	}
	return h.session(key, reader{record: record, at: h.size})
}

// session reads what follows the head.
func (h *head) session(key Key, r reader) (*Session, error) {
	// One allocation for what always lives and dies together.
	all := new(struct {
		session  Session
		identity identity.Identity
		memo     identity.Memo
		claims   recordClaims
	})
	s, id := &all.session, &all.identity
	s.Identity, id.Memo = id, &all.memo
	id.Ref = key

	s.Version = h.counter
	s.Created = h.created
	id.ExpiresAt = time.Unix(0, h.created+h.expires).UTC()
	s.IdleTimeout = time.Duration(h.idle)
	if h.flags&flagAuthTime != 0 {
		id.AuthTime = time.Unix(0, h.created+h.auth).UTC()
	}
	id.EmailVerified = h.flags&flagEmailVerified != 0
	for _, text := range [...]*string{
		&s.Provider, &id.ProviderSession, &id.Issuer, &id.Subject, &id.Email, &id.Name, &id.PreferredUsername, &id.ACR, &id.Method,
	} {
		*text = r.text()
	}
	id.Groups, id.AMR = r.twoTexts()
	if all.claims = r.claims(); all.claims != "" {
		id.Claims = &all.claims
	}
	if h.flags&flagGrant != 0 {
		s.Grant = r.grant(h.created)
	}
	r.fields(s)
	switch {
	case r.failed:
		return nil, errRecordShort
	case id.Subject == "":
		return nil, errNoIdentity
	}
	return s, nil
}
