package login

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// A mark says in the login cookie what happened lately, so that a circle is
// noticed without a note on the server.
type mark struct {
	kind  byte
	at    int64  // Unix seconds
	where string // a short hash of the return URL, so that tabs do not count for one another
}

// The kinds of mark.
const (
	markDone    = 'd' // a sign-in came to its end
	markAgain   = 'a' // a stale callback started a sign-in again, without a word
	markBounced = 'b' // another site sent the browser back without an answer to the sign-in before
	markHash    = 'h' // a fragment page was shown, and the state is not in the URL for it to say so
)

const (
	maxMarks     = 8
	markLifetime = time.Minute

	markTimeChars = 6 // in base 36, until the year 2038 and long after
	markHashBytes = 3
	markHashChars = 4
	markChars     = 1 + markTimeChars + markHashChars
)

func newMark(kind byte, target string) mark {
	return mark{kind: kind, at: time.Now().Unix(), where: whereHash(target)}
}

func whereHash(target string) string {
	sum := sha256.Sum256([]byte(orRoot(target)))
	return base64.RawURLEncoding.EncodeToString(sum[:markHashBytes])
}

func (m mark) String() string { return string(m.kind) + strconv.FormatInt(m.at, 36) + m.where }

func parseMark(part string) (mark, bool) {
	if len(part) != markChars {
		return mark{}, false
	}
	at, err := strconv.ParseInt(part[1:1+markTimeChars], 36, 64)
	where := part[1+markTimeChars:]
	if _, bad := base64.RawURLEncoding.Strict().DecodeString(where); err != nil || bad != nil {
		return mark{}, false
	}
	m := mark{kind: part[0], at: at, where: where}
	// One spelling only, so that the cookie is the same when it is set again.
	return m, slices.Contains([]byte{markDone, markAgain, markBounced, markHash}, m.kind) && m.String() == part
}

// recent reports whether the mark still counts.
func (m mark) recent(now time.Time) bool {
	if m.kind == markHash {
		return m.within(now, attemptLifetime)
	}
	return m.within(now, markLifetime)
}

// within reports whether it happened at most d ago. Gateways may have clocks
// that differ a little.
func (m mark) within(now time.Time, d time.Duration) bool {
	age := now.Sub(time.Unix(m.at, 0))
	return age <= d && age > -markLifetime
}

// count says how often one of the kinds happened with a return URL.
func (p *pending) count(target string, kinds ...byte) (n int) {
	where := whereHash(target)
	for _, m := range p.marks {
		if m.where == where && slices.Contains(kinds, m.kind) {
			n++
		}
	}
	return n
}

// settled notes that a sign-in came to its end.
func (s *Service) settled(w http.ResponseWriter, r *http.Request, done nonce, target string) {
	p := s.readPending(r.Header)
	p.drop(done)
	p.marks = append(p.marks, newMark(markDone, target))
	s.keep(w, p)
}

// forget takes everything out of the login cookie at a sign-out: what comes
// after it begins anew.
func (s *Service) forget(w http.ResponseWriter, r *http.Request) {
	if p := s.readPending(r.Header); len(p.nonces)+len(p.marks) > 0 || p.form != "" {
		s.keep(w, pending{})
	}
}
